"""One value in an answer, as a signal set describes it (the key `fmt`).

`len` bits from bit `bix` on, counted from the left, in the order of the wire (`blsb`: bytes
reversed; `sign`: two's complement), then x * mul / div + add, kept within `min` and `max`. `map`
has words for the number instead, and the unit "ascii" makes the bytes a text.
"""

from math import isfinite
from typing import Annotated, Final

import msgspec
from msgspec import Meta

Value = float | str

TEXT: Final = "ascii"
BITS_MAX: Final = 1000
"""A longer number is none that a float can hold."""


class Meaning(msgspec.Struct, frozen=True):
    value: str


class Format(msgspec.Struct, frozen=True):
    """
    min:     0 where the file has none
    nullmin: a value as low as this is no reading; nullmax: one as high
    """

    len: Annotated[int, Meta(ge=1, le=BITS_MAX)]
    bix: Annotated[int, Meta(ge=0, lt=8 * 4095)] = 0
    blsb: bool = False
    sign: bool = False
    mul: float = 1.0
    div: float = 1.0
    add: float = 0.0
    min: float = 0.0
    max: float | None = None
    nullmin: float | None = None
    nullmax: float | None = None
    map: dict[str, Meaning] | None = None
    unit: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a scale that gives no number."""
        if self.div == 0 or not isfinite(2.0**self.len * self.mul / self.div + self.add):
            raise ValueError(f"mul {self.mul}, div {self.div}, add {self.add} give no number")

    def decode(self, data: bytes) -> Value | None:
        """data: what follows service and PID. None where it ends before, or is no reading."""
        if self.unit == TEXT:
            return self._text(data)
        number = self.number(data)
        if self.map is None or number is None:
            return number
        meaning = self.map.get(str(int(number)))
        return None if meaning is None else meaning.value

    def number(self, data: bytes) -> float | None:
        """As decode, with the number itself where it has a word; a text has none."""
        raw = None if self.unit == TEXT else self._raw(data)
        if raw is None or self.map is not None:
            return raw
        value = max(raw * self.mul / self.div + self.add, self.min)
        value = value if self.max is None else min(value, self.max)
        return None if self._null(value) else value

    def _raw(self, data: bytes) -> int | None:
        behind = 8 * len(data) - self.bix - self.len
        if behind < 0:
            return None
        bits = int.from_bytes(data, "big") >> behind & ((1 << self.len) - 1)
        if self.blsb:
            bits = int.from_bytes(bits.to_bytes((self.len + 7) // 8, "big"), "little")
        top = self.sign << (self.len - 1)
        return (bits ^ top) - top

    def _text(self, data: bytes) -> str | None:
        raw = self._raw(data)
        if raw is None or raw < 0:
            return None
        characters = raw.to_bytes((self.len + 7) // 8, "big").strip(b"\0 ")
        return characters.decode("ascii", "replace")

    def _null(self, value: float) -> bool:
        low = self.nullmin is not None and value <= self.nullmin
        return low or (self.nullmax is not None and value >= self.nullmax)

"""Answers put together from the lines an ELM327 prints: headers on, with or without spaces.

Pure: lines in, messages out. ISO-TP is that of ISO 15765-2; several ECUs may answer at once, their
lines mixed. Whatever is no frame (an echo, "NO DATA", a prompt) is passed over.
"""

import re
from collections.abc import Iterable
from typing import Final

import msgspec

_HEX: Final = re.compile(r"[0-9A-Fa-f]+")
_SHORT, _LONG = 3, 8
"""Digits of an 11-bit and of a 29-bit identifier."""
_MOST_DATA: Final = 8
_LONGEST: Final = 256
"""Digits in a line; our choice."""
_SINGLE, _FIRST, _CONSECUTIVE = range(3)


class Message(msgspec.Struct, frozen=True):
    """
    ecu:     identifier it came by, "7E8" or "18DAF110"
    payload: of the whole message, or of the part of it that came without a gap
    whole:   whether all of it came
    """

    ecu: str
    payload: bytes
    whole: bool

    def __repr__(self) -> str:
        """Without the payload, which may be a VIN."""
        return f"Message(ecu={self.ecu!r}, {len(self.payload)} bytes, whole={self.whole})"


class _Open(msgspec.Struct):
    """A message of several frames that is still arriving."""

    length: int
    payload: bytearray
    next: int = 1
    broken: bool = False


def assembled(lines: Iterable[str], *, extended: bool = False) -> list[Message]:
    """In order of their last frames; what was cut short comes last.

    extended: whether each frame begins with an address byte (ISO 15765-2, 10.3.4)
    """
    found: list[Message] = []
    under_way: dict[str, _Open] = {}
    for line in lines:
        ecu, data = _frame(line)
        if data := data[extended:]:
            _take(ecu, data, under_way, found)
    return found + [
        Message(ecu, bytes(part.payload), whole=False) for ecu, part in under_way.items()
    ]


def _frame(line: str) -> tuple[str, bytes]:
    """Identifier and data of a line; no data where it is none.

    Bytes are two digits each, so an odd number of digits tells an identifier of three.
    """
    digits = "".join(line.split()).upper()
    width = _SHORT if len(digits) % 2 else _LONG
    data = digits[width:]
    if not _HEX.fullmatch(digits) or len(digits) > _LONGEST:
        return "", b""
    return digits[:width], bytes.fromhex(data)


def _take(ecu: str, data: bytes, under_way: dict[str, _Open], found: list[Message]) -> None:
    kind, low = data[0] >> 4, data[0] & 15
    if kind == _SINGLE and 0 < low < len(data):
        found.append(Message(ecu, data[1 : 1 + low], whole=True))
    elif kind == _FIRST and len(data) > 2:  # noqa: PLR2004  the two bytes of the length
        under_way[ecu] = _Open(low << 8 | data[1], bytearray(data[2:]))
    elif kind == _CONSECUTIVE and ecu in under_way and len(data) <= _MOST_DATA:
        part = under_way[ecu]
        _append(part, low, data[1:])
        if len(part.payload) >= part.length and not part.broken:
            del under_way[ecu]
            found.append(Message(ecu, bytes(part.payload[: part.length]), whole=True))


def _append(part: _Open, number: int, data: bytes) -> None:
    """Nothing is appended behind a gap: it would stand in the wrong place."""
    part.broken |= number != part.next & 15
    if not part.broken:
        part.payload += data
        part.next += 1

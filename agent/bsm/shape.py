"""Octets whose components have fixed places: what must stand there, and the values in between.

On the wire a signed component is offset binary and a constant is what it is; in the compiled
format the one is two's complement and the other zeros. One addition and one XOR over the octets,
taken as one number, carry all of them across.
"""

from collections.abc import Sequence
from typing import Final, NamedTuple

from agent.bsm.fastbits import compiled


class Run(NamedTuple):
    """Components in a row, or a part of one.

    text:   of the compiled format, for as many bits
    fixed:  the bits that are the same in every message; value: what they are
    turned: the bits that the format has the other way round
    less:   the lowest bit of each component that is one less on the wire
    """

    text: str
    bits: int
    fixed: int = 0
    value: int = 0
    turned: int = 0
    less: int = 0


def constant(value: int, bits: int, inside: int = 0) -> Run:
    """inside: what the format's side has in its place"""
    return Run(f"p{bits}", bits, fixed=(1 << bits) - 1, value=value, turned=value ^ inside)


class Shape:
    """Runs, and zeros up to a whole octet."""

    def __init__(self, runs: Sequence[Run]) -> None:
        bits = sum(run.bits for run in runs)
        self.octets: Final = (bits + 7) // 8
        left = 8 * self.octets
        fixed, value, turned, less = (1 << left - bits) - 1, 0, 0, 0
        for run in runs:
            left -= run.bits
            fixed |= run.fixed << left
            value |= run.value << left
            turned |= run.turned << left
            less |= run.less << left
        self._fixed, self._value, self._turned, self._less = fixed, value, turned, less
        coding = compiled("".join(run.text for run in runs))
        self.pack, self.unpack = coding.pack, coding.unpack

    def inside(self, bits: int, octets: int) -> bytes | None:
        """The format's side of the wire's, one number of so many octets; None for another shape."""
        if octets != self.octets or bits & self._fixed != self._value:
            return None
        return (bits + self._less ^ self._turned).to_bytes(octets)

    def outside(self, bits: int) -> bytes:
        """The octets for the wire of what the format's side is as one number."""
        return ((bits ^ self._turned) - self._less).to_bytes(self.octets)

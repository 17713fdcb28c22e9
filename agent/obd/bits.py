"""Where a number stands among the bits of a frame.

A frame is taken as one whole number in each byte order, and a signal is a shift and a mask of it,
so signals may overlap. Bit numbering as in DBC: little-endian signals start at their lowest bit,
big-endian ones at their highest, counted 7..0 within a byte.
"""

import struct
from math import isfinite
from typing import Final, NamedTuple

from cantools.database.can.signal import Signal as DbcSignal

_FLOATS: Final = {16: ("<e", 2), 32: ("<f", 4), 64: ("<d", 8)}
"""Bits of an IEEE 754 value -> struct format and bytes."""


class Field(NamedTuple):
    """Where one number stands in frames of one length, and what it means.

    little: in which of the two whole numbers; raw = (whole >> shift & mask ^ top) - top
    top:    the sign bit of a two's complement number, else 0
    bits:   of an IEEE 754 value, else 0
    """

    little: bool
    shift: int
    mask: int
    top: int
    scale: float
    offset: float
    bits: int


def place(signal: DbcSignal, length: int) -> Field | None:
    """The field of a signal in a frame of `length` bytes; None where it does not fit."""
    bits = signal.length
    little = signal.byte_order == "little_endian"
    # big-endian: the place of the highest bit, counted from the first bit on the wire
    first = signal.start if little else signal.start // 8 * 8 + 7 - signal.start % 8
    shift = first if little else 8 * length - first - bits
    is_float = signal.conversion.is_float
    scale, offset = float(signal.scale), float(signal.offset)
    reach = abs(scale) * 2.0**bits + abs(offset)
    if first + bits > 8 * length or not isfinite(reach) or (is_float and bits not in _FLOATS):
        return None
    top = 1 << (bits - 1) if signal.is_signed and not is_float else 0
    return Field(little, shift, (1 << bits) - 1, top, scale, offset, bits if is_float else 0)


def raw_value(field: Field, little: int, big: int) -> int:
    whole = little if field.little else big
    return (whole >> field.shift & field.mask ^ field.top) - field.top


def real_value(raw: int, bits: int) -> float:
    code, size = _FLOATS[bits]
    number: float = struct.unpack(code, raw.to_bytes(size, "little"))[0]
    return number

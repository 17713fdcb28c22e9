"""Part I and VehicleSafetyExtensions as flat values, for who wants neither trees nor SI, but speed.

The whole frame is one shape: its head, the length of Part II and whatever else is constant are
compared at once, and the values of Part II come out of one compiled format.

    core, safety = decode_flat(heard)
    encode_flat(core, safety)
"""

from functools import cache
from typing import Final

from agent.bsm.core import BARE, FRAME, Core, decode_core, encode_core
from agent.bsm.opentype import length_octets
from agent.bsm.partii import START, Safety, look, pack, runs, shape, sorted_out
from agent.bsm.shape import Run, Shape, constant
from agent.errors import MalformedInputError

VEHICLE_SAFETY: Final = 0  # SAE J2735, PartII-Id
_HEAD: Final = int.from_bytes(FRAME) << 3  # of a message without lists
_LIST: Final = 2  # of the three bits before Part I: there is a list of Part II
_ONE: Final = 0  # its count less one
_SHORT: Final = 130  # octets of a frame up to which its length takes one octet, not two
_MEDIUM: Final = 170  # and up to which that of its Part II does
_START: Final = (1 << START) - 1


def encode_flat(core: Core, safety: Safety | None = None) -> bytes:
    """The MessageFrame of Part I, and of VehicleSafetyExtensions where there are some.

    Raises MalformedInputError with the component, its value and its range.
    """
    frame = encode_core(core)
    if safety is None:
        return frame
    coding, inside = pack(safety, _framed)
    return coding.outside(inside | int.from_bytes(frame) << coding.after)


def decode_flat(frame: bytes) -> tuple[Core, Safety | None]:
    """What `encode_flat` wrote.

    Raises MalformedInputError, also for a message that has more, or less common, content:
    `Codec.decode_tree` reads those.
    """
    octets = len(frame)
    if octets <= len(FRAME) + BARE:
        return decode_core(frame), None
    bits = int.from_bytes(frame)
    at = 41 if octets <= _SHORT else 42 if octets <= _MEDIUM else 43
    known = look(bits << 40 >> 8 * (octets - at) + 2 & _START)  # 6 bits after those octets
    if known is not None:
        coding = _framed(*known)
        inside = coding.inside(bits, octets)
        if inside is not None:
            safety = sorted_out(coding.unpack(inside), *known)
            if safety is not None:
                return decode_core(inside[coding.part_one]), safety
    raise MalformedInputError(f"{octets} octets that are not Part I and the usual Part II")


class _Framed(Shape):
    """A MessageFrame of Part I and VehicleSafetyExtensions; inside, Part I is a frame of its own.

    part_one: the octets of that frame; after: how many bits follow it
    """

    def __init__(self, present: int, points: int) -> None:
        length = length_octets(shape(present, points).octets)
        entry = len(length) + shape(present, points).octets + 1  # with the id's 6 bits, padded
        head = FRAME[:2] + length_octets(BARE + entry)
        super().__init__(
            [
                constant(int.from_bytes(head) << 3 | _LIST, 8 * len(head) + 3, inside=_HEAD),
                Run("p290", 290),
                constant(_ONE, 3),
                constant(VEHICLE_SAFETY, 6),
                constant(int.from_bytes(length), 8 * len(length)),
                *runs(present, points),
            ]
        )
        self.part_one: Final = slice(len(head) - len(FRAME), len(head) + BARE)
        self.after: Final = 8 * entry


@cache
def _framed(present: int, points: int) -> _Framed:
    return _Framed(present, points)

"""One CAN frame, and what every source of frames offers: a bus, a recording, a virtual bus.

Identifiers as in ISO 11898-1: 11 bits (base format) or 29 bits (extended format); at most
8 data bytes on classic CAN, 64 on CAN FD.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import msgspec

from agent.errors import MalformedInputError

BASE_ID_MAX = 0x7FF
EXTENDED_ID_MAX = 0x1FFF_FFFF
CLASSIC_BYTES_MAX = 8
FD_BYTES_MAX = 64
T_NS_MAX = 2**62
"""Year 2116; what counts on from a time still fits 64 bits."""

FD_LENGTHS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 20, 24, 32, 48, 64)
"""Data bytes for each data length code of CAN FD (ISO 11898-1:2015, table 5)."""


class CanFrame(msgspec.Struct, frozen=True, gc=False):
    """A data frame. What exists is valid: anything else is a MalformedInputError.

    can_id:   11 bits, or 29 bits when `extended`
    data:     0..8 bytes, 0..64 when `fd`
    t_ns:     UTC nanoseconds at reception
    channel:  the bus it was on, "can0"

    The data may be part of a VIN, so they are left out of the text form.
    """

    can_id: int
    data: bytes
    t_ns: int
    channel: str
    extended: bool = False
    fd: bool = False

    def __post_init__(self) -> None:
        # one comparison chain for nearly every frame; the slow road finds the words
        if not (0 <= self.can_id <= BASE_ID_MAX and len(self.data) <= CLASSIC_BYTES_MAX):
            self._refuse()
        if not 0 <= self.t_ns <= T_NS_MAX:
            raise MalformedInputError(f"time {self.t_ns} ns is outside 0..{T_NS_MAX}")

    def _refuse(self) -> None:
        id_max = EXTENDED_ID_MAX if self.extended else BASE_ID_MAX
        if not 0 <= self.can_id <= id_max:
            raise MalformedInputError(f"CAN id {self.can_id:#x} is outside 0..{id_max:#x}")
        bytes_max = FD_BYTES_MAX if self.fd else CLASSIC_BYTES_MAX
        if len(self.data) > bytes_max:
            raise MalformedInputError(f"{len(self.data)} data bytes; at most {bytes_max}")

    def __repr__(self) -> str:
        return f"CanFrame({self.can_id:#x}, {len(self.data)} bytes, {self.channel})"


@dataclass(slots=True)
class Counts:
    """What became of everything that arrived.

    taken:  data frames handed on
    lost:   data frames that nobody fetched in time
    broken: lines, objects or frames that could not be understood
    other:  remote and error frames, which carry no data
    """

    taken: int = 0
    lost: int = 0
    broken: int = 0
    other: int = 0


class FrameSource(Protocol):
    """A bus or a recording. It can only be listened to; nothing here sends."""

    uri: str

    @property
    def counts(self) -> Counts: ...

    def batches(self) -> AsyncIterator[list[CanFrame]]:
        """Frames in order of arrival. Ends where a recording ends; raises SourceLostError."""

    def close(self) -> None:
        """Stop; a running iterator ends. Closing twice is no error."""

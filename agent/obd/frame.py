"""One CAN frame, and what every source of frames offers: a bus, a recording, a virtual bus.

Identifiers as in ISO 11898-1: 11 bits (base format) or 29 bits (extended format); at most
8 data bytes on classic CAN, 64 on CAN FD.
"""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import msgspec

from agent.errors import MalformedInputError

BASE_ID_MAX = 0x7FF
EXTENDED_ID_MAX = 0x1FFF_FFFF
EXTENDED_FLAG = 0x8000_0000
"""Bit 31 of an identifier, as DBC files and linux/can.h have it."""
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

    taken:    data frames handed on
    losses:   why -> data frames that nobody will see
    filtered: data frames that the kernel kept back because no description has them
    broken:   lines, objects or frames that could not be understood
    remote:   remote frames, which carry no data
    errors:   what the controller told -> error frames (agent/obd/buserror.py)
    """

    taken: int = 0
    losses: Counter[str] = field(default_factory=Counter)
    filtered: int = 0
    broken: int = 0
    remote: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def lose(self, reason: str, frames: int) -> None:
        if frames:
            self.losses[reason] += frames

    @property
    def lost(self) -> int:
        return self.losses.total()

    @property
    def other(self) -> int:
        """Remote and error frames."""
        return self.remote + self.errors.total()


class BusState(NamedTuple):
    """What a controller said of itself: "error active", "error passive", "bus off" and the like."""

    t_ns: int
    channel: str
    state: str


class FrameSource(Protocol):
    """A bus or a recording. It can only be listened to; nothing here sends."""

    uri: str

    @property
    def counts(self) -> Counts: ...

    def batches(self) -> AsyncIterator[list[CanFrame]]:
        """Frames in order of arrival; an empty batch where only the state of the bus changed.

        Ends where a recording ends; raises SourceLostError.
        """

    def states(self) -> Sequence[BusState]:
        """Changes of the state of the bus since the last call."""

    def close(self) -> None:
        """Stop; a running iterator ends. Closing twice is no error."""

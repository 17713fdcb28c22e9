"""The door of this room: what is handed to the log, what comes back, and what a log promises."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec

from agent.clock import ClockQuality
from agent.privacy import Level


class Draft(msgspec.Struct, frozen=True, gc=False):
    """An event before it has a place in the log.

    kind:    1 to 255 printable ASCII characters, ending in a version: "dtc-set/1"
    level:   of the whole event
    t_ns:    UTC nanoseconds when it was recorded; may step
    mono_ns: nanoseconds of the monotonic clock at the same instant
    clock:   how far t_ns may be believed
    payload: as stored: clear for Lv3 and Lv4, sealed for Lv1 and Lv2
    """

    kind: str
    level: Level
    t_ns: int
    mono_ns: int
    clock: ClockQuality
    payload: bytes

    def __repr__(self) -> str:
        return f"Draft({self.kind!r}, {len(self.payload)} bytes)"


class Recorded(msgspec.Struct, frozen=True, gc=False):
    """An event with its place; the other fields are those of its Draft.

    seq:  1 for the first event of this log, then without gaps
    boot: which start of the agent on this log wrote it, from 1
    """

    seq: int
    kind: str
    level: Level
    t_ns: int
    mono_ns: int
    boot: int
    clock: ClockQuality
    payload: bytes

    def __repr__(self) -> str:
        return f"Recorded({self.seq}, {self.kind!r}, {len(self.payload)} bytes)"


class Head(msgspec.Struct, frozen=True):
    """The last event of a log and its chain hash of 64 bytes; seq 0 is the genesis."""

    seq: int
    hash: bytes


class EventReader(Protocol):
    """A log that can be read. log_id: 32 bytes, drawn when the log was born."""

    @property
    def log_id(self) -> bytes: ...

    def head(self) -> Head:
        """Raises StoreError."""

    def read(self, after: int = 0, through: int | None = None) -> Iterator[Recorded]:
        """From the first event with seq > after, in order, to `through` or else to the end.

        The end is that of the log as it then is. Events whose bodies were pruned are passed over.
        Hashes are not looked at: that is the verifier's work. Raises LogCorruptError on a gap and
        on bytes that are no event, StoreError when the file cannot be read. A negative
        `after` is a ValueError.
        """


class EventLog(EventReader, Protocol):
    """Append-only. What `append` returned is on disk."""

    @property
    def boot(self) -> int:
        """The number of this start; written into every event of this run."""

    def append(self, drafts: Sequence[Draft]) -> int:
        """The sequence number of the first; the others follow it. All or none, durable on return.

        Raises StoreError; then none of them counts as recorded, and DiskFullError where it may be
        tried again later. Nothing to append, more than
        65,535 drafts, or a draft that has no stored form is a ValueError.
        """

    def recover(self) -> Head:
        """The end of the log as the disk has it, also after an append that raised.

        Such a block may be on disk after all, whole. Raises StoreError.
        """

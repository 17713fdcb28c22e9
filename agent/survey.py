"""What an erasure would reach: found in one pass over the log, before anything is destroyed.

Keys are those of segments, so what is erased is the time asked for, rounded outwards to whole
segments. Of events whose bodies were pruned neither time nor segment is known any more; where
their neighbours say that they may lie in that time, the segments around them go as well.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

import msgspec

from agent.events import ConsentGranted, ParcelRegistered, decode
from agent.eventstore import holds
from agent.eventstore.holds import Hold
from agent.eventstore.log import Recorded
from agent.privacy import Level
from agent.wallet.seal import split
from agent.wallet.segments import SEGMENT_NS

_EVER_NS: Final = -(2**63)
_BOOKS: Final = {ParcelRegistered.kind, ConsentGranted.kind}


class Run(msgspec.Struct, frozen=True):
    """Keys of one level that go together: no other key of that level lies between them.

    keys: how many there are
    first_seq, last_seq: the range of their events in the log, pruned ones among them
    events: how many of them have a body still; first_ns, last_ns: the earliest and the latest
    time of these, UTC ns, None where there are none
    """

    first_segment: int
    last_segment: int
    keys: int
    first_seq: int
    last_seq: int
    events: int
    first_ns: int | None
    last_ns: int | None


class Parcel(msgspec.Struct, frozen=True):
    """One that was uploaded from the range. buyers: who may have opened it, AMO addresses."""

    parcel_id: str
    first_seq: int
    last_seq: int
    buyers: tuple[str, ...]


class Plan(msgspec.Struct, frozen=True):
    """runs: what would be erased; parcels: what stays in other hands; hold: what forbids it."""

    level: Level
    runs: tuple[Run, ...]
    parcels: tuple[Parcel, ...]
    hold: Hold | None


class _Segment(msgspec.Struct):
    """What the log has of one segment at one level. hit: whether it has to go."""

    first_seq: int
    last_seq: int
    hit: bool = False
    times: tuple[int, int] | None = None
    events: int = 0

    def add(self, recorded: Recorded) -> None:
        t_ns = recorded.t_ns
        low, high = self.times or (t_ns, t_ns)
        self.times = min(low, t_ns), max(high, t_ns)
        self.last_seq = recorded.seq
        self.events += 1


class Survey:
    """Folds a whole log, in order. since_ns, until_ns: UTC ns, both included."""

    def __init__(self, level: Level, since_ns: int, until_ns: int) -> None:
        self._level = level
        self._since_ns = since_ns
        self._until_ns = until_ns
        self._due = 1
        self._before_ns = _EVER_NS
        self._segments: dict[int, _Segment] = {}
        self._gaps: list[tuple[int, int]] = []
        self._parcels: dict[str, ParcelRegistered] = {}
        self._buyers: dict[str, list[str]] = {}
        self._holds: dict[int, Hold] = {}

    def take(self, recorded: Recorded) -> None:
        """Raises SealError, MalformedInputError for an event that is not what it says."""
        if recorded.seq != self._due and self._within(self._before_ns, recorded.t_ns):
            self._gaps.append((self._due, recorded.seq - 1))
        self._due = recorded.seq + 1
        self._before_ns = recorded.t_ns
        if recorded.level == self._level:
            self._count(recorded)
        elif recorded.kind in _BOOKS:
            self._book(recorded)
        else:
            holds.take(self._holds, recorded)

    def plan(self, kept: Sequence[int]) -> Plan:
        """kept: segments whose key of the level is there, in order."""
        for first, last in self._gaps:
            self._widen(first, last, kept)
        hit = {number for number, segment in self._segments.items() if segment.hit}
        groups = groupby(kept, key=hit.__contains__)
        runs = tuple(self._run(list(group)) for is_hit, group in groups if is_hit)
        hold = self._hold([self._segments[number] for number in kept if number in hit])
        return Plan(self._level, runs, tuple(self._sold(runs)), hold)

    def _count(self, recorded: Recorded) -> None:
        number = split(recorded.payload).segment
        segment = self._segments.get(number)
        if segment is None:
            segment = self._segments[number] = _Segment(recorded.seq, recorded.seq)
        segment.add(recorded)
        segment.hit = segment.hit or self._since_ns <= recorded.t_ns <= self._until_ns

    def _book(self, recorded: Recorded) -> None:
        event = decode(recorded.kind, recorded.payload)
        if isinstance(event, ConsentGranted):
            self._buyers.setdefault(event.parcel_id, []).append(event.buyer)
        elif isinstance(event, ParcelRegistered) and event.parcel_level == self._level:
            self._parcels[event.parcel_id] = event

    def _within(self, first_ns: int, last_ns: int) -> bool:
        """Whether what happened between may lie in the range; a segment's length is allowed for."""
        low, high = sorted((first_ns, last_ns))  # the wall clock may have stepped back meanwhile
        return low - SEGMENT_NS <= self._until_ns and self._since_ns <= high + SEGMENT_NS

    def _widen(self, first: int, last: int, kept: Sequence[int]) -> None:
        """Pruned events first..last: of the segment before them, the one behind, or any between."""
        seen = self._segments.items()
        low = max((n for n, s in seen if s.first_seq < first), default=0)
        high = min((n for n, s in seen if s.last_seq > last), default=max(kept, default=0))
        for number in (n for n in kept if low <= n <= high):
            segment = self._segments.setdefault(number, _Segment(first, last))
            segment.first_seq = min(segment.first_seq, first)
            segment.last_seq = max(segment.last_seq, last)
            segment.hit = True

    def _run(self, numbers: Sequence[int]) -> Run:
        parts = [self._segments[number] for number in numbers]
        times = [t_ns for part in parts for t_ns in part.times or ()]
        return Run(
            numbers[0],
            numbers[-1],
            len(numbers),
            min(part.first_seq for part in parts),
            max(part.last_seq for part in parts),
            sum(part.events for part in parts),
            min(times, default=None),
            max(times, default=None),
        )

    def _hold(self, going: Iterable[_Segment]) -> Hold | None:
        now = self._holds.values()
        found = (holds.held(now, segment.first_seq, segment.last_seq) for segment in going)
        return next((hold for hold in found if hold is not None), None)

    def _sold(self, runs: Sequence[Run]) -> Iterator[Parcel]:
        for name, parcel in self._parcels.items():
            first, last = parcel.first_seq, parcel.last_seq
            if any(run.first_seq <= last and first <= run.last_seq for run in runs):
                yield Parcel(name, first, last, tuple(self._buyers.get(name, ())))

"""What is in a parcel of ours: what a buyer would be given."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Final, NamedTuple

from agent.errors import ErasedError
from agent.events import ParcelRegistered, SignalsSampled, decode
from agent.eventstore.log import EventReader, Recorded
from agent.privacy import Level, sealed
from agent.upload import NOT_IN_PARCELS

KEPT: Final = 1000
"""Parcels that were looked into and are remembered: our choice."""

Open = Callable[[Level, str, bytes], bytes]
"""(level, kind, sealed payload) -> payload in clear. Raises SealError."""


class Content(NamedTuple):
    """since_ns, until_ns: UTC, of the first and the last event; None where some of it is gone

    kinds: names of signals, and kinds of other events; empty where some of it is gone
    """

    since_ns: int | None
    until_ns: int | None
    kinds: frozenset[str]


UNKNOWN: Final = Content(None, None, frozenset())
"""Some of it was pruned or erased: what a buyer would be given cannot be told any more."""


class Contents:
    """By the log, for as long as it has the events.

    What was once seen whole is remembered; the body that was sold does not change.
    """

    def __init__(self, log: EventReader, open_sealed: Open) -> None:
        self._log = log
        self._open = open_sealed
        self._known: OrderedDict[str, Content] = OrderedDict()

    def of(self, parcel: ParcelRegistered) -> Content:
        """Raises SealError, StoreError."""
        found = self._known.get(parcel.parcel_id)
        if found is None:
            found = self._known[parcel.parcel_id] = self._read(parcel)
            if len(self._known) > KEPT:
                self._known.popitem(last=False)
        return found

    def _read(self, parcel: ParcelRegistered) -> Content:
        times: list[int] = []
        kinds: set[str] = set()
        seq = parcel.first_seq - 1
        for event in self._log.read(seq, parcel.last_seq):
            if event.seq != seq + 1:
                return UNKNOWN
            seq = event.seq
            if event.level == parcel.parcel_level and event.kind not in NOT_IN_PARCELS:
                times = [min([event.t_ns, *times]), max([event.t_ns, *times])]
                try:
                    kinds |= self._names(event)
                except ErasedError:
                    return UNKNOWN
        if seq != parcel.last_seq or not times:
            return UNKNOWN
        return Content(times[0], times[-1], frozenset(kinds))

    def _names(self, event: Recorded) -> set[str]:
        if event.kind != SignalsSampled.kind:
            return {event.kind}
        payload, level = event.payload, Level(event.level)
        if sealed(level):
            payload = self._open(level, event.kind, payload)
        sampled = decode(event.kind, payload)
        assert isinstance(sampled, SignalsSampled)
        return set(sampled.series)

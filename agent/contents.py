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
    """since_ns, until_ns: UTC, of the first and the last event; None where nothing is left of them

    kinds: names of signals, and kinds of other events
    """

    since_ns: int | None
    until_ns: int | None
    kinds: frozenset[str]


class Contents:
    """By the log, for as long as it has the events."""

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
        for event in self._log.read(parcel.first_seq - 1, parcel.last_seq):
            if event.level == parcel.parcel_level and event.kind not in NOT_IN_PARCELS:
                times = [min([event.t_ns, *times]), max([event.t_ns, *times])]
                kinds |= self._names(event)
        since, until = (times[0], times[-1]) if times else (None, None)
        return Content(since, until, frozenset(kinds))

    def _names(self, event: Recorded) -> set[str]:
        if event.kind != SignalsSampled.kind:
            return {event.kind}
        payload, level = event.payload, Level(event.level)
        try:
            if sealed(level):
                payload = self._open(level, event.kind, payload)
        except ErasedError:
            return set()
        sampled = decode(event.kind, payload)
        assert isinstance(sampled, SignalsSampled)
        return set(sampled.series)

"""What is known to lie outside this disk, and what must stay on it: a fold over the log."""

from collections.abc import Iterator
from typing import Final

from agent.events import ParcelChecked, ParcelRegistered, RangeHeld, RangeReleased, decode
from agent.eventstore import holds
from agent.eventstore.holds import Hold
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.eventstore.retention import Ranges
from agent.eventstore.sift import sift
from agent.privacy import Level

AT_ONCE: Final = 500
"""Blocks looked at before whoever waits is heard: a tenth of a second."""
_KINDS: Final = frozenset(
    event.kind for event in (ParcelRegistered, ParcelChecked, RangeHeld, RangeReleased)
)


class Outside:
    """Parcels by the events that tell of them. holds: those in force, by number."""

    def __init__(self) -> None:
        self.holds: dict[int, Hold] = {}
        self._sent: dict[str, ParcelRegistered] = {}
        self._equal: dict[str, bool] = {}
        self._next = 1

    def catch_up(self, reader: LogReader) -> bool:
        """Fold in some more of the log; whether its end was reached.

        Raises LogCorruptError for a body that cannot be read: it might tell of a hold.
        """
        for count, (no, events) in enumerate(sift(reader, _KINDS, self._next), 1):
            for event in events:
                self.take(event)
            self._next = no + 1
            if count == AT_ONCE:
                return False
        return True

    def take(self, recorded: Recorded) -> None:
        """Raises MalformedInputError."""
        holds.take(self.holds, recorded)
        if recorded.kind not in _KINDS:
            return
        event = decode(recorded.kind, recorded.payload)
        if isinstance(event, ParcelRegistered):
            self._sent[event.parcel_id] = event
        elif isinstance(event, ParcelChecked):
            self._equal[event.parcel_id] = event.equal

    def held(self, first: int, last: int) -> bool:
        return holds.held(self.holds.values(), first, last) is not None

    def stored(self) -> dict[Level, Ranges]:
        """Of each level, the events in parcels that were read back and found equal."""
        found: dict[Level, list[tuple[int, int]]] = {level: [] for level in Level}
        for name, receipt in self._sent.items():
            if self._equal.get(name):
                found[Level(receipt.parcel_level)].append((receipt.first_seq, receipt.last_seq))
        return {level: Ranges(ranges) for level, ranges in found.items()}

    def due(self) -> list[ParcelRegistered]:
        """Parcels to be read back. Without a digest there is nothing to hold them against."""
        return [r for name, r in self._sent.items() if r.digest and name not in self._equal]

    def lost(self) -> list[ParcelRegistered]:
        """Parcels that were not found as they were sent, where nothing was sent in their place.

        Those that were are not lost again: a storage that loses twice needs a person.
        """
        sent = list(map(_range, self._sent.values()))
        return [receipt for receipt in self._unequal() if sent.count(_range(receipt)) == 1]

    def _unequal(self) -> Iterator[ParcelRegistered]:
        return (self._sent[name] for name, equal in self._equal.items() if not equal)


def _range(receipt: ParcelRegistered) -> tuple[int, int, int]:
    return receipt.parcel_level, receipt.first_seq, receipt.last_seq

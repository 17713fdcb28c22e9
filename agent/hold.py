"""The owner's holds: a range of the log is kept until it is released, and the log says so."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.errors import UsageError
from agent.events import RangeHeld, RangeReleased
from agent.eventstore import holds
from agent.eventstore.holds import Hold
from agent.eventstore.log import EventReader
from agent.record import Journal


@dataclass(frozen=True, slots=True)
class Holder:
    """Sets and ends holds on one log. Raises StoreError where the disk refuses."""

    log: EventReader
    journal: Journal

    def hold(
        self, since_ns: int, until_ns: int, reason: str, progress: Callable[[int, int], None]
    ) -> Hold:
        """Keep every event from the first to the last one of that time, UTC ns, both included.

        Raises UsageError where there are none.
        """
        first, last = self._range(since_ns, until_ns, progress)
        self.journal.write(RangeHeld(first, last, reason))
        return max(self._now(last).values(), key=lambda hold: hold.no)

    def release(self, no: int) -> Hold:
        """End the hold of that number. Raises UsageError where there is none."""
        now = self._now(0)
        if no not in now:
            there = ", ".join(map(str, now.values())) or "there are none"
            raise UsageError(f"there is no hold {no}: {there}")
        self.journal.write(RangeReleased(no))
        self.journal.flush()
        return now[no]

    def _range(
        self, since_ns: int, until_ns: int, progress: Callable[[int, int], None]
    ) -> tuple[int, int]:
        first = last = 0
        total = self.log.head().seq
        for recorded in self.log.read():
            progress(recorded.seq, total)
            if since_ns <= recorded.t_ns <= until_ns:
                first, last = first or recorded.seq, recorded.seq
        if not first:
            raise UsageError("no event of the log lies in this time")
        return first, last

    def _now(self, after: int) -> dict[int, Hold]:
        """The holds that stand, of those set behind an event."""
        self.journal.flush()
        found: dict[int, Hold] = {}
        for recorded in self.log.read(after):
            holds.take(found, recorded)
        return found

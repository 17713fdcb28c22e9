"""How long a source takes to tell: measured, where there is a clock to measure it with.

The age of a fix at its arrival says that, if our clock is kept right by somebody else. Whoever
converts to BSMs goes by bsm.state.LATENCIES, which are assumptions; this tells how good they are.
"""

from typing import Final

from agent.clock import SECOND, ClockQuality
from agent.events import SourceTimed

EVERY_NS: Final = 600 * SECOND
"""Our choice: six events an hour show what a receiver's load changes."""
STRAY_NS: Final = SECOND
"""An age beyond it is that of a wrong clock, ours or the receiver's."""


class Latency:
    """Ages of one source's values, told every ten minutes and at the end."""

    def __init__(self, origin: str) -> None:
        self._origin = origin
        self._begun_ns: int | None = None
        self._clear()

    def _clear(self) -> None:
        self._count = self._sum_ns = self._most_ns = 0
        self._least_ns = STRAY_NS

    def take(self, age_ns: int, mono_ns: int, quality: ClockQuality) -> SourceTimed | None:
        """The event that is due. age_ns: from the epoch to its arrival on our wall clock"""
        due = None
        if self._begun_ns is None or mono_ns - self._begun_ns >= EVERY_NS:
            due, self._begun_ns = self.finish(), mono_ns
        if quality is ClockQuality.NTP and 0 <= age_ns <= STRAY_NS:
            self._count += 1
            self._sum_ns += age_ns
            self._least_ns = min(self._least_ns, age_ns)
            self._most_ns = max(self._most_ns, age_ns)
        return due

    def finish(self) -> SourceTimed | None:
        """What was measured and not told yet, if anything."""
        count, mean_ns = self._count, self._sum_ns // max(1, self._count)
        event = SourceTimed(self._origin, count, self._least_ns, mean_ns, self._most_ns)
        self._clear()
        return event if count else None

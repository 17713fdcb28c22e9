"""When the next message is due: every 100 ms, counted on the monotonic clock.

The ticks lie on the grid of UTC until there are fixes; then they follow the receiver, each a
little after a fix has arrived, so that a message goes out with the freshest position there is
and describes its epoch. From the second fix on they are drawn there bit by bit, because
receivers are uneven.

The loop round it is:

    schedule.align(clock.now_ns(), clock.mono_ns())     # again after the wall clock was set
    await clock.sleep_until(schedule.due_ns)
    tick = schedule.tick(clock.mono_ns())
    schedule.follow(arrived_ns)                         # of the newest fix

A tick that comes late is counted; whole intervals that passed meanwhile are skipped, not caught
up: a message about the past is of no use to anyone.
"""

from typing import Final

import msgspec

from agent.clock import MS

LATE_NS: Final = 10 * MS  # our choice: a tenth of the interval
SETTLE_NS: Final = 10 * MS  # our choice: the arrival of a fix differs by so much and more
FOLLOWED: Final = 8  # of the distance to where it should be, a tick is moved by one part in these
FURTHEST_NS: Final = 5 * MS  # moved at once, so that two messages are 95 to 105 ms apart


class Tick(msgspec.Struct, frozen=True):
    """
    t_ns:        UTC instant that was planned
    mono_ns:     the same on the monotonic clock
    lateness_ns: from the time that was planned to the call
    skipped:     intervals that passed without a tick before this one
    """

    t_ns: int
    mono_ns: int
    lateness_ns: int
    skipped: int


class Schedule:
    """late, skipped: ticks over LATE_NS late, intervals without one; worst_ns: largest lateness."""

    def __init__(self, interval_ms: int = 100) -> None:
        if interval_ms <= 0:
            raise ValueError(f"an interval of {interval_ms} ms")
        self.interval_ns = interval_ms * MS
        self.due_ns = 0
        self._shift_ns = 0
        self._followed_ns: int | None = None
        self.late = 0
        self.skipped = 0
        self.worst_ns = 0

    def align(self, now_ns: int, mono_ns: int) -> None:
        """Put the next tick on the next multiple of the interval of UTC."""
        self._shift_ns = now_ns - mono_ns
        self._followed_ns = None
        self.due_ns = mono_ns + self.interval_ns - now_ns % self.interval_ns

    def follow(self, arrived_ns: int | None) -> None:
        """Move the next tick towards SETTLE_NS after a fix, once for each; at the first, at once.

        arrived_ns: UTC, as in `align`, of the newest fix; None while there is none
        """
        if arrived_ns is None or arrived_ns == self._followed_ns:
            return
        first, self._followed_ns = self._followed_ns is None, arrived_ns
        half_ns = self.interval_ns // 2
        early_ns = arrived_ns + SETTLE_NS - self._shift_ns - self.due_ns
        off_ns = (early_ns + half_ns) % self.interval_ns - half_ns
        gentle_ns = max(-FURTHEST_NS, min(FURTHEST_NS, off_ns // FOLLOWED))
        self.due_ns += off_ns if first else gentle_ns

    def tick(self, mono_ns: int) -> Tick:
        """Take the tick that is due and plan the next one."""
        lateness_ns = max(0, mono_ns - self.due_ns)
        skipped = lateness_ns // self.interval_ns
        due_ns = self.due_ns + skipped * self.interval_ns
        self.due_ns = due_ns + self.interval_ns
        self.late += lateness_ns > LATE_NS
        self.skipped += skipped
        self.worst_ns = max(self.worst_ns, lateness_ns)
        return Tick(due_ns + self._shift_ns, due_ns, lateness_ns, skipped)

"""Time, so that nothing else in the agent asks the operating system for it.

Intervals are measured on the monotonic clock alone: the wall clock of a board without
a battery may jump by years when the first GNSS fix or NTP answer arrives.
"""

import asyncio
import time
from enum import IntEnum
from typing import Protocol

MS = 1_000_000
"""Nanoseconds in a millisecond."""
SECOND = 1_000_000_000
"""Nanoseconds in a second."""


class ClockQuality(IntEnum):
    """How far the wall clock may be believed; written into every event."""

    UNKNOWN = 0
    FREE = 1  # set once by somebody, nobody checks it now
    NTP = 2
    GNSS = 3
    RECORDED = 4  # times come from a recording, not from a clock


class Clock(Protocol):
    @property
    def quality(self) -> ClockQuality: ...

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970. May step."""

    def mono_ns(self) -> int:
        """Nanoseconds since some start; never steps. For every interval."""

    async def sleep_until(self, mono_ns: int) -> None:
        """Return at or after that monotonic time; at once when it has passed."""


class SystemClock:
    """The clock of the machine."""

    quality = ClockQuality.FREE

    def now_ns(self) -> int:
        return time.time_ns()

    def mono_ns(self) -> int:
        return time.monotonic_ns()

    async def sleep_until(self, mono_ns: int) -> None:
        await asyncio.sleep(max(0, mono_ns - time.monotonic_ns()) / SECOND)


class RecordedClock:
    """Wall time taken from a recording, running on at the machine's own pace.

    `now_ns` is `start_ns` when the clock is made; `speed` 2.0 lets it run twice as fast.
    The monotonic clock runs along, so that a 100 ms tick stays 100 ms of recorded time.
    """

    quality = ClockQuality.RECORDED

    def __init__(self, start_ns: int, *, speed: float = 1.0) -> None:
        self._start_ns = start_ns
        self._speed = speed
        self._begun = time.monotonic_ns()

    def now_ns(self) -> int:
        return self._start_ns + self.mono_ns()

    def mono_ns(self) -> int:
        return int((time.monotonic_ns() - self._begun) * self._speed)

    async def sleep_until(self, mono_ns: int) -> None:
        await asyncio.sleep(max(0, mono_ns - self.mono_ns()) / SECOND / self._speed)


class ManualClock:
    """A clock that moves only when told to; sleeping moves it to the wake-up time."""

    quality = ClockQuality.RECORDED

    def __init__(self, now_ns: int = 0) -> None:
        self._now_ns = now_ns
        self._mono_ns = 0

    def now_ns(self) -> int:
        return self._now_ns

    def mono_ns(self) -> int:
        return self._mono_ns

    async def sleep_until(self, mono_ns: int) -> None:
        self.advance(max(0, mono_ns - self._mono_ns))
        await asyncio.sleep(0)

    def step(self, now_ns: int) -> None:
        """Set the wall clock; the monotonic one does not notice."""
        self._now_ns = now_ns

    def advance(self, delta_ns: int) -> None:
        if delta_ns < 0:
            raise ValueError(f"time does not go back: {delta_ns} ns")
        self._now_ns += delta_ns
        self._mono_ns += delta_ns

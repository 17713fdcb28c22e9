"""Time, so that nothing else in the agent asks the operating system for it.

Intervals are measured on the monotonic clock alone: the wall clock of a board without
a battery may jump by years when the first GNSS fix or NTP answer arrives.
"""

import asyncio
import ctypes
import time
from enum import IntEnum
from typing import Final, Protocol

MS = 1_000_000
"""Nanoseconds in a millisecond."""
SECOND = 1_000_000_000
"""Nanoseconds in a second."""
WRITTEN_NS: Final = 1_764_000_000 * SECOND
"""November 2025: a clock that shows less is wrong, since this program did not exist then."""
AGREED_NS: Final = SECOND
"""A receiver tells its time so late at most; a clock that is further from it is not right."""
AGREED_FOR_NS: Final = 10 * SECOND
"""Our choice: a crystal drifts by less than a millisecond meanwhile."""

_TIMEX_BYTES: Final = (
    256  # struct timex of linux/timex.h has 208; all zero, it asks and sets nothing
)
_TIME_ERROR: Final = 5

_adjtimex = getattr(ctypes.CDLL(None), "adjtimex", lambda _timex: -1)


class ClockQuality(IntEnum):
    """How far the wall clock may be believed; written into every event."""

    UNKNOWN = 0
    FREE = 1  # set once by somebody, nobody checks it now
    NTP = 2  # the kernel says that somebody keeps it right: by NTP, or by a receiver's pulse
    GNSS = 3  # a satellite receiver has just told the same second
    RECORDED = 4  # times come from a recording, not from a clock


class Clock(Protocol):
    @property
    def quality(self) -> ClockQuality: ...

    def now_ns(self) -> int:
        """UTC, nanoseconds since 1970. May step."""

    def mono_ns(self) -> int:
        """Nanoseconds since some start; never steps. For every interval."""

    def compare(self, utc_ns: int) -> None:
        """Take note of what a satellite receiver says the time is now."""

    async def sleep_until(self, mono_ns: int) -> None:
        """Return at or after that monotonic time; at once when it has passed."""


class SystemClock:
    """The clock of the machine.

    quality: NTP while the kernel is told how far it is off (adjtimex(2)), GNSS for 10 s after a
    receiver agreed, UNKNOWN for a time before this program was written
    """

    def __init__(self) -> None:
        self._agreed: tuple[int, int] | None = None

    @property
    def quality(self) -> ClockQuality:
        now_ns, mono_ns = time.time_ns(), time.monotonic_ns()
        if now_ns < WRITTEN_NS:
            return ClockQuality.UNKNOWN
        if 0 <= _adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES)) < _TIME_ERROR:
            return ClockQuality.NTP
        if self._agreed is None:
            return ClockQuality.FREE
        then_ns, then_mono_ns = self._agreed
        passed_ns = mono_ns - then_mono_ns
        stepped_ns = now_ns - then_ns - passed_ns
        holds = passed_ns < AGREED_FOR_NS and abs(stepped_ns) < AGREED_NS
        return ClockQuality.GNSS if holds else ClockQuality.FREE

    def compare(self, utc_ns: int) -> None:
        now_ns = time.time_ns()
        agrees = abs(now_ns - utc_ns) <= AGREED_NS
        self._agreed = (now_ns, time.monotonic_ns()) if agrees else None

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

    def compare(self, utc_ns: int) -> None:
        """Nothing follows: the receiver is part of the recording."""

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

    def compare(self, utc_ns: int) -> None:
        """Nothing follows: it is right by definition."""

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

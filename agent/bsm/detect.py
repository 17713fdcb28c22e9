"""Hard braking: deceleration over 0.4 g for 100 ms and more.

The limit is that of SAE J2735, DE_VehicleEventFlags, eventHardBraking. Deceleration is the
car's own acceleration signal, against the direction it moves in: a car that reverses brakes
with a positive one. Where that signal is silent for half a second, it is the slope of the
speed, low-passed because whole km/h would jump over the limit by themselves.

Feed every signal; the event comes when the braking ends, or after 2 s of it so that a crash
does not keep it from the log. One braking is one event.
"""

import math
from typing import Final

from agent.bsm.state import REVERSE_GEAR
from agent.clock import MS, SECOND
from agent.events import BrakedHard
from agent.signals import Signal

LIMIT_MPS2: Final = 0.4 * 9.80665
HELD_NS: Final = 100 * MS  # our choice, as field units hold their other flags
REPORT_NS: Final = 2 * SECOND
FRESH_NS: Final = 500 * MS
SMOOTHING_S: Final = 0.2  # our choice: two samples of a speed that comes ten times a second

FLAG: Final = "eventHardBraking"
ACCELERATION: Final = "acceleration.longitudinal"
SPEED: Final = "speed.vehicle"
GEAR: Final = "gear"


class HardBraking:
    """active: whether the flag of the message is set now."""

    def __init__(self) -> None:
        self.active = False
        self._slope = _Slope()
        self._reverse_gear = self._speed_negative = False
        self._measured_ns: int | None = None
        self._begun_ns: int | None = None
        self._last_ns = 0
        self._peak = 0.0
        self._onset_mps: float | None = None
        self._reported = False

    @property
    def flags(self) -> frozenset[str]:
        """For the message, as of the last sample."""
        return frozenset([FLAG]) if self.active else frozenset()

    def flags_at(self, t_ns: int) -> frozenset[str]:
        """For the message about that instant: none once the samples have ceased."""
        return self.flags if t_ns - self._last_ns < FRESH_NS else frozenset()

    def update(self, signal: Signal) -> BrakedHard | None:
        """The event that this sample completes."""
        if not math.isfinite(signal.value):
            return None
        silent = self._begun_ns is not None and signal.t_ns - self._last_ns >= FRESH_NS
        ended = self._end() if silent else None
        return self._sample(signal) or ended

    def _sample(self, signal: Signal) -> BrakedHard | None:
        if signal.name == ACCELERATION:
            self._measured_ns = signal.t_ns
            backward = self._reverse_gear or self._speed_negative
            return self._step(signal.t_ns, signal.value if backward else -signal.value)
        if signal.name == GEAR:
            self._reverse_gear = signal.value == REVERSE_GEAR
        elif signal.name == SPEED:
            self._speed_negative = signal.value < 0
            if self._slope.take(signal) and not self._measured(signal.t_ns):
                return self._step(signal.t_ns, -self._slope.mps2)
        return None

    def finish(self) -> BrakedHard | None:
        """The event of a braking that was still going on when the input ended."""
        return self._end()

    def _measured(self, t_ns: int) -> bool:
        return self._measured_ns is not None and abs(t_ns - self._measured_ns) < FRESH_NS

    def _step(self, t_ns: int, deceleration: float) -> BrakedHard | None:
        gap_ns = t_ns - self._last_ns
        ended = None
        if deceleration <= LIMIT_MPS2 or not 0 <= gap_ns < FRESH_NS:
            ended = self._end()
        self._last_ns = t_ns
        if deceleration <= LIMIT_MPS2:
            return ended
        if self._begun_ns is None:
            self._begun_ns, self._peak, self._reported = t_ns, 0.0, False
            self._onset_mps = self._slope.mps(t_ns)
        self._peak = max(self._peak, deceleration)
        held_ns = t_ns - self._begun_ns
        self.active = held_ns >= HELD_NS
        return ended or (self._report() if held_ns > REPORT_NS else None)

    def _end(self) -> BrakedHard | None:
        event = self._report() if self.active else None
        self._begun_ns, self.active = None, False
        return event

    def _report(self) -> BrakedHard | None:
        if self._reported or self._begun_ns is None:
            return None
        self._reported = True
        held_ms = (self._last_ns - self._begun_ns) // MS
        return BrakedHard(self._begun_ns, self._peak, held_ms, self._onset_mps)


class _Slope:
    """Speed, without sign, and its rate of change; one source at a time, a bus before OBD."""

    def __init__(self) -> None:
        self.mps2 = 0.0
        self._last: Signal | None = None

    def take(self, signal: Signal) -> bool:
        """Whether the sample was used."""
        last = self._last
        step_ns = FRESH_NS if last is None else signal.t_ns - last.t_ns
        continues = last is not None and 0 < step_ns < FRESH_NS
        if last is not None and continues and signal.origin != last.origin:
            if signal.origin == "obd":
                return False
            continues = False
        self._last = signal
        if last is None or not continues:
            self.mps2 = 0.0
            return True
        step_s = step_ns / SECOND
        slope = (abs(signal.value) - abs(last.value)) / step_s
        self.mps2 += (slope - self.mps2) * step_s / (SMOOTHING_S + step_s)
        return True

    def mps(self, t_ns: int) -> float | None:
        """The speed then; None when the last sample is over half a second away."""
        last = self._last
        known = last is not None and abs(t_ns - last.t_ns) < FRESH_NS
        return abs(last.value) if last is not None and known else None

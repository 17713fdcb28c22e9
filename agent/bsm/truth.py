"""Cross-checks of what the car says against what else it says, while it drives.

A signal with the wrong sign or unit looks healthy by itself, and so does one that stands still.
Here each is held against others that cannot all be wrong the same way:

    speed.vehicle               the GNSS speed, backwards in reverse gear
    yaw.rate                    the change of the GNSS course
    acceleration.longitudinal   the change of the speed
    acceleration.lateral        speed times yaw rate
    steering.angle              what a car needs for its speed and yaw rate

Both sides are means over a second, so that filters and delays do not matter. A verdict needs a
window in which something happened: a car that goes straight on proves nothing. Nothing is held
against a signal that is doubted itself, or that GNSS speaks of and has not confirmed in this drive.
"""

import math
from collections import deque
from collections.abc import Iterable
from statistics import fmean
from typing import Final, NamedTuple

from agent.bsm.align import DYNAMICS_NS, forward, value_at
from agent.bsm.crosscheck import CHECKS, SOUND, WINDOW, Pair
from agent.bsm.state import VehicleState
from agent.clock import MS, SECOND
from agent.events import SignalDoubted

# Our choices.
EVERY: Final = 10
BEHIND_NS: Final = 100 * MS
STEP_NS: Final = 100 * MS
MEANT: Final = 11  # samples, of one second
DRIVE_ENDS_NS: Final = 300 * SECOND
ROLLING_MPS: Final = 3.0  # below it a car may be reversing without saying so

# A car turns its wheels by wheelbase * yaw rate / speed * (1 + (speed / characteristic speed)^2),
# the linear single-track model with the understeer of ordinary cars. From a Smart to a van, the
# steering wheel's share of it is 28 to 66 m, and the characteristic speed 18 to 30 m/s; so the
# size is known within a factor of three.
WHEELBASE_TIMES_RATIO_M: Final = 43.0
CHARACTERISTIC_MPS: Final = 24.0


class _Sample(NamedTuple):
    """speed: negative while the car reverses"""

    speed: float
    along: float | None
    aside: float | None
    yaw: float | None
    wheel: float | None


class Truth:
    """Look at the state every 100 ms; a finding comes once a drive, which ends with a pause.

    doubted: names that contradict the others, until they agree with them again
    """

    def __init__(self) -> None:
        self.doubted: frozenset[str] = frozenset()
        self._begin()
        self._last_ns = 0
        self._epoch_ns: int | None = None

    def _begin(self) -> None:
        self._pairs: dict[str, deque[Pair]] = {name: deque(maxlen=WINDOW) for name in CHECKS}
        self._told: set[str] = set()
        self._sound: set[str] = set()
        self._count = 0
        self._forget()

    def _forget(self) -> None:
        self._second: deque[_Sample] = deque(maxlen=MEANT)
        self._courses: deque[tuple[int, float]] = deque(maxlen=MEANT)

    def look(self, state: VehicleState, due_ns: int) -> list[SignalDoubted]:
        """What this tick brought to light."""
        step_ns = due_ns - self._last_ns
        if not 0 <= step_ns < DRIVE_ENDS_NS:
            self._begin()
        elif not step_ns < 2 * STEP_NS:
            self._forget()
        self._last_ns = due_ns
        self._sample(state, due_ns - BEHIND_NS)
        self._fix(state, due_ns - BEHIND_NS)
        self._count += 1
        return self._judge() if self._count % EVERY == 0 else []

    def _sample(self, state: VehicleState, t_ns: int) -> None:
        speed = _speed(state, t_ns)
        if speed is None or abs(speed) < ROLLING_MPS:
            self._forget()
            return
        self._second.append(
            _Sample(
                speed,
                _told(state, "acceleration.longitudinal", t_ns),
                _told(state, "acceleration.lateral", t_ns),
                _told(state, "yaw.rate", t_ns),
                _told(state, "steering.angle", t_ns),
            )
        )
        if len(self._second) == MEANT:
            self._compare(list(self._second))

    def _compare(self, second: list[_Sample]) -> None:
        along = _mean(sample.along for sample in second)
        aside = _mean(sample.aside for sample in second)
        turning = _mean(None if s.yaw is None else s.speed * s.yaw for s in second)
        if along is not None:
            gained = second[-1].speed - second[0].speed
            self._pairs["acceleration.longitudinal"].append((along, gained))
        if aside is not None and turning is not None:
            self._pairs["acceleration.lateral"].append((aside, turning))
        wheel = _mean(sample.wheel for sample in second)
        needed = _mean(None if s.yaw is None else _steering(s.speed, s.yaw) for s in second)
        if wheel is not None and needed is not None:
            self._pairs["steering.angle"].append((wheel, needed))

    def _fix(self, state: VehicleState, t_ns: int) -> None:
        """Hold speed and yaw rate against a fix that is new."""
        fix, epoch_ns = state.position, state.epoch_ns
        if fix is None or epoch_ns is None or epoch_ns == self._epoch_ns:
            return
        self._epoch_ns = epoch_ns
        speed, true = _speed(state, t_ns), fix.speed_mps
        if speed is not None and true is not None and max(abs(speed), true) >= ROLLING_MPS:
            self._pairs["speed.vehicle"].append((speed, true * forward(state, t_ns)))
        if fix.heading_deg is not None and self._second:
            self._course(epoch_ns, fix.heading_deg)

    def _course(self, epoch_ns: int, heading_deg: float) -> None:
        self._courses.append((epoch_ns, heading_deg))
        yaw = _mean(sample.yaw for sample in self._second)
        before_ns, before_deg = self._courses[0]
        passed_s = (epoch_ns - before_ns) / SECOND
        if yaw is not None and len(self._second) == MEANT and 0.9 <= passed_s <= 1.1:  # noqa: PLR2004 - about the same second
            turned = math.remainder(before_deg - heading_deg, 360.0)
            self._pairs["yaw.rate"].append((yaw, math.radians(turned) / passed_s))

    def _judge(self) -> list[SignalDoubted]:
        found = []
        for name, check in CHECKS.items():
            doubt = check.judge(list(self._pairs[name]))
            if doubt is SOUND:
                self._sound.add(name)
            if doubt is SOUND or not self.doubted.isdisjoint(check.leans_on):
                self.doubted -= {name}
            elif doubt is not None and all(map(self._stands, check.leans_on)):
                self.doubted |= {name}
                if name not in self._told:
                    self._told.add(name)
                    found.append(SignalDoubted(name, *doubt))
        return found

    def _stands(self, reference: str) -> bool:
        """Whether others may be held against it."""
        return reference in self._sound or not self._pairs[reference]


def _speed(state: VehicleState, t_ns: int) -> float | None:
    """What the car says, negative while it reverses."""
    speed = _told(state, "speed.vehicle", t_ns)
    return speed if speed is None or speed < 0 else math.copysign(speed, forward(state, t_ns))


def _told(state: VehicleState, name: str, t_ns: int) -> float | None:
    """What the car says, believed or not."""
    return value_at(state.told(name, t_ns)[1], t_ns, DYNAMICS_NS)


def _steering(speed_mps: float, yaw_radps: float) -> float:
    """Of the steering wheel, in rad; speed_mps: not 0, negative in reverse"""
    understeer = 1 + (speed_mps / CHARACTERISTIC_MPS) ** 2
    return WHEELBASE_TIMES_RATIO_M * yaw_radps / speed_mps * understeer


def _mean(values: Iterable[float | None]) -> float | None:
    """None where one is missing."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    return fmean(numbers) if len(numbers) == len(known) else None

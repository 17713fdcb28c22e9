"""Cross-checks of what the car says against what else it says, while it drives.

A signal with the wrong sign or unit looks healthy by itself. Here each is held against others
that cannot all be wrong the same way:

    acceleration.longitudinal   the change of the speed
    acceleration.lateral        speed times yaw rate
    yaw.rate                    the change of the GNSS course
    speed.vehicle               the GNSS speed

Both sides are means over a second, so that filters and delays do not matter. A verdict needs a
window in which something happened: a car that goes straight on proves nothing.
"""

import math
from collections import deque
from collections.abc import Iterable
from typing import Final, NamedTuple

from agent.bsm.align import DYNAMICS_NS, dynamics, forward, value_at
from agent.bsm.state import VehicleState
from agent.clock import MS, SECOND
from agent.events import SignalDoubted

# Our choices. The window is long enough to hold a start or a turn, and short enough that a
# slope of the road, which an accelerometer feels, stays the same in it.
WINDOW: Final = 150
ENOUGH: Final = 50
EVERY: Final = 10
BEHIND_NS: Final = 100 * MS
STEP_NS: Final = 100 * MS
MEANT: Final = 11  # samples, of one second
DRIVE_ENDS_NS: Final = 300 * SECOND
ROLLING_MPS: Final = 3.0  # below it a car may be reversing without saying so
OPPOSITE: Final = -0.7
ALIKE: Final = 0.9
HALF: Final = 0.5
STRAY: Final = 0.2  # of a speed; a speedometer is allowed to be wrong by a tenth

Pair = tuple[float, float]


class Doubt(NamedTuple):
    """reason, and the pair of values that shows it best: what was stated, what was expected"""

    reason: str
    stated: float
    expected: float


class _Sample(NamedTuple):
    """speed: negative while the car reverses"""

    speed: float
    along: float | None
    aside: float | None
    yaw: float | None


class Truth:
    """Look at the state every 100 ms; a finding comes once a drive, which ends with a pause."""

    def __init__(self) -> None:
        self._begin()
        self._last_ns = 0

    def _begin(self) -> None:
        self._pairs: dict[str, deque[Pair]] = {name: deque(maxlen=WINDOW) for name in _CHECKS}
        self._told: set[str] = set()
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
        self._fix(state)
        self._count += 1
        return self._judge() if self._count % EVERY == 0 else []

    def _sample(self, state: VehicleState, t_ns: int) -> None:
        speed = value_at(state.track("speed.vehicle", t_ns)[1], t_ns, DYNAMICS_NS)
        if speed is None or abs(speed) < ROLLING_MPS:
            self._forget()
            return
        self._second.append(
            _Sample(
                math.copysign(speed, forward(state, t_ns)) if speed > 0 else speed,
                dynamics(state, "acceleration.longitudinal", t_ns),
                dynamics(state, "acceleration.lateral", t_ns),
                dynamics(state, "yaw.rate", t_ns),
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

    def _fix(self, state: VehicleState) -> None:
        """Hold speed and yaw rate against a fix that is new."""
        fix, epoch_ns = state.position, state.epoch_ns
        if fix is None or epoch_ns is None or not self._second:
            return
        if self._courses and self._courses[-1][0] == epoch_ns:
            return
        speed = self._second[-1].speed
        if fix.speed_mps is not None:
            self._pairs["speed.vehicle"].append((abs(speed), fix.speed_mps))
        if fix.heading_deg is None:
            return
        self._courses.append((epoch_ns, fix.heading_deg))
        yaw = _mean(sample.yaw for sample in self._second)
        before_ns, before_deg = self._courses[0]
        passed_s = (epoch_ns - before_ns) / SECOND
        if yaw is not None and len(self._second) == MEANT and 0.9 <= passed_s <= 1.1:  # noqa: PLR2004 - about the same second
            turned = math.remainder(before_deg - fix.heading_deg, 360.0)
            self._pairs["yaw.rate"].append((yaw, math.radians(turned) / passed_s))

    def _judge(self) -> list[SignalDoubted]:
        found = []
        for name, check in _CHECKS.items():
            doubt = None if name in self._told else check.doubt(self._pairs[name])
            if doubt is not None:
                self._told.add(name)
                found.append(SignalDoubted(name, doubt.reason, doubt.stated, doubt.expected))
        return found


class Opposed(NamedTuple):
    """A signal that should rise and fall with its reference, offset or not.

    against: the reference, for people; moved: standard deviation of it that makes a window count
    """

    against: str
    moved: float

    def doubt(self, pairs: Iterable[Pair]) -> Doubt | None:
        window = list(pairs)
        if len(window) < ENOUGH:
            return None
        stated, expected = ([pair[side] for pair in window] for side in (0, 1))
        a, b = (sum(values) / len(window) for values in (stated, expected))
        spread_a = math.sqrt(sum((x - a) ** 2 for x in stated) / len(window))
        spread_b = math.sqrt(sum((y - b) ** 2 for y in expected) / len(window))
        if spread_b < self.moved or spread_a == 0:
            return None
        shared = sum((x - a) * (y - b) for x, y in window) / len(window)
        likeness = shared / spread_a / spread_b
        clearest = max(window, key=lambda pair: abs(pair[1] - b))
        if likeness < OPPOSITE:
            return Doubt(f"its sign is against {self.against}", *clearest)
        if likeness > ALIKE and not HALF < spread_a / spread_b < 1 / HALF:
            return Doubt(f"its size is not that of {self.against}", *clearest)
        return None


class Equal(NamedTuple):
    """A signal that should be its reference. fast: mean of the reference that makes it count"""

    against: str
    fast: float

    def doubt(self, pairs: Iterable[Pair]) -> Doubt | None:
        window = list(pairs)
        if len(window) < ENOUGH:
            return None
        stated, expected = (sum(pair[side] for pair in window) / len(window) for side in (0, 1))
        if max(stated, expected) < self.fast or abs(stated - expected) <= STRAY * expected:
            return None
        return Doubt(f"its size is not that of {self.against}", stated, expected)


_CHECKS: Final[dict[str, Opposed | Equal]] = {
    "acceleration.longitudinal": Opposed("the change of the speed", 0.4),  # m/s2
    "acceleration.lateral": Opposed("speed times yaw rate", 0.4),  # m/s2
    "yaw.rate": Opposed("the change of the GNSS course", 0.04),  # rad/s
    "speed.vehicle": Equal("the GNSS speed", 5.0),  # m/s
}


def _mean(values: Iterable[float | None]) -> float | None:
    """None where one is missing."""
    known = list(values)
    numbers = [value for value in known if value is not None]
    return sum(numbers) / len(numbers) if len(numbers) == len(known) else None

"""What a signal of the car is held against, and when a window of both is enough to doubt it."""

import math
from statistics import fmean
from typing import Final, NamedTuple

# Our choices. The window is long enough to hold a start or a turn, and short enough that a
# slope of the road, which an accelerometer feels, stays the same in it.
WINDOW: Final = 150
ENOUGH: Final = 50
OPPOSITE: Final = -0.7
ALIKE: Final = 0.9
STILL: Final = 1e-9  # of a mean that is the same all the time, but for rounding
STRAY: Final = 0.2  # of a speed; a speedometer is allowed to be wrong by a tenth

Pair = tuple[float, float]


class Doubt(NamedTuple):
    """reason, and the pair of values that shows it best: what was stated, what was expected"""

    reason: str
    stated: float
    expected: float


SOUND: Final = Doubt("", 0.0, 0.0)
"""Of a signal that was held against its reference, and agrees."""


class Opposed(NamedTuple):
    """A signal that should rise and fall with its reference, offset or not.

    against: the reference, for people; moved: standard deviation of it that makes a window count
    leans_on: other signals that the reference is made of
    factor: by which the size may differ, either way
    """

    against: str
    moved: float
    leans_on: tuple[str, ...] = ()
    factor: float = 2.0

    def judge(self, window: list[Pair]) -> Doubt | None:
        """None for a window that proves nothing."""
        stated, expected = ([pair[side] for pair in window] for side in (0, 1))
        if len(window) < ENOUGH or spread(expected) < self.moved:
            return None
        middle = fmean(expected)
        clearest = max(window, key=lambda pair: abs(pair[1] - middle))
        if spread(stated) <= STILL:
            return Doubt(f"it stands still, unlike {self.against}", *clearest)
        likeness = together(stated, expected) / spread(stated) / spread(expected)
        if likeness < OPPOSITE:
            return Doubt(f"its sign is against {self.against}", *clearest)
        if likeness <= ALIKE:
            return None
        fits = 1 / self.factor < spread(stated) / spread(expected) < self.factor
        return SOUND if fits else Doubt(f"its size is not that of {self.against}", *clearest)


class Equal(NamedTuple):
    """A signal that should be its reference.

    fast: mean of the reference that makes it count; moved: as in Opposed
    """

    against: str
    fast: float
    moved: float
    leans_on: tuple[str, ...] = ()

    def judge(self, window: list[Pair]) -> Doubt | None:
        """None for a window that proves nothing."""
        if len(window) < ENOUGH:
            return None
        stated, expected = ([pair[side] for pair in window] for side in (0, 1))
        a, b = fmean(stated), fmean(expected)
        if spread(stated) <= STILL and spread(expected) >= self.moved:
            clearest = max(window, key=lambda pair: abs(pair[1] - pair[0]))
            return Doubt(f"it stands still, unlike {self.against}", *clearest)
        if max(abs(a), abs(b)) < self.fast:
            return None
        if a * b < 0:
            return Doubt(f"its sign is against {self.against}", a, b)
        if abs(a - b) <= STRAY * abs(b):
            return SOUND
        return Doubt(f"its size is not that of {self.against}", a, b)


CHECKS: Final[dict[str, Opposed | Equal]] = {
    "speed.vehicle": Equal("gear and GNSS speed", 5.0, 1.0),  # m/s
    "yaw.rate": Opposed("the change of the GNSS course", 0.04),  # rad/s
    "acceleration.longitudinal": Opposed(  # m/s2
        "the change of the speed", 0.4, ("speed.vehicle",)
    ),
    "acceleration.lateral": Opposed(  # m/s2
        "speed times yaw rate", 0.2, ("speed.vehicle", "yaw.rate")
    ),
    "steering.angle": Opposed(  # rad
        "what its speed and yaw rate need", 0.1, ("speed.vehicle", "yaw.rate"), 3.0
    ),
}
"""References before what leans on them."""


# statistics has both, exact in fractions; 2 ms a window are too many in the loop of the messages
def together(one: list[float], other: list[float]) -> float:
    """Covariance."""
    a, b = fmean(one), fmean(other)
    return sum((x - a) * (y - b) for x, y in zip(one, other, strict=True)) / len(one)


def spread(values: list[float]) -> float:
    """Standard deviation."""
    return math.sqrt(together(values, values))

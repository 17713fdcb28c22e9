"""The circle the car is about to follow, out of its speed and yaw rate.

The method of SAE J2945/1:2020, appendix A.6: the curvature is low-passed, a car that hardly
moves or hardly turns goes straight on, and confidence falls with how fast the yaw rate changes.
The filter is a discrete low-pass of second order whose first two samples pass as they are; its
period is in seconds here as its cutoffs are in hertz.
"""

import math
from typing import Final

from agent.bsm.message import PathPrediction
from agent.clock import SECOND

PERIOD_S: Final = 0.1
CURVATURE_HZ: Final = 0.33
YAW_CHANGE_HZ: Final = 1.0
DAMPING: Final = 1.0
SLOW_MPS: Final = 1.0
STRAIGHT_M: Final = 2500.0
PAUSE_NS: Final = SECOND  # our choice: after a longer one the filters begin anew

STRAIGHT: Final = PathPrediction(None, 1.0)
NOT_KNOWN: Final = PathPrediction(None, 0.0)
"""Without yaw rate or speed. There is no code for it; straight ahead with no confidence is sent."""

# yaw acceleration below deg/s2: per cent at zero, and what each deg/s2 takes off
_CONFIDENCE: Final = ((2.5, 100.0, 20.0), (5.0, 60.0, 4.0), (25.0, 50.0, 2.0))


class LowPass:
    """Second order: y + (2z/w) y' + (1/w2) y'' = u, by backward differences."""

    def __init__(self, cutoff_hz: float) -> None:
        step = 2 * math.pi * cutoff_hz * PERIOD_S
        self._first = 2 + 2 * step * DAMPING
        self._gain = step * step
        self._sum = 1 + 2 * step * DAMPING + step * step
        self._past: tuple[float, ...] = ()

    def take(self, value: float) -> float:
        """The filtered value after one more sample, PERIOD_S after the last."""
        if len(self._past) < 2:  # noqa: PLR2004 - the order of the filter
            out = value
        else:
            before, last = self._past
            out = (-before + self._first * last + self._gain * value) / self._sum
        self._past = (*self._past[-1:], out)
        return out


class Prediction:
    """Feed it every 100 ms."""

    def __init__(self) -> None:
        self._t_ns: int | None = None
        self._begin()

    def _begin(self) -> None:
        self._yaw_radps: float | None = None
        self._curvature = LowPass(CURVATURE_HZ)
        self._yaw_change = LowPass(YAW_CHANGE_HZ)

    def take(self, t_ns: int, speed_mps: float | None, yaw_radps: float | None) -> PathPrediction:
        """The prediction at `t_ns`.

        speed_mps: negative while the car reverses; yaw_radps: left positive
        """
        if self._t_ns is None or not 0 < t_ns - self._t_ns <= PAUSE_NS:
            self._begin()
        self._t_ns = t_ns
        if speed_mps is None or yaw_radps is None:
            self._yaw_radps = None
            return NOT_KNOWN
        last = yaw_radps if self._yaw_radps is None else self._yaw_radps
        self._yaw_radps = yaw_radps
        change = self._yaw_change.take(math.degrees(yaw_radps - last) / PERIOD_S)
        if abs(speed_mps) < SLOW_MPS:
            self._curvature = LowPass(CURVATURE_HZ)
            return STRAIGHT
        curvature = self._curvature.take(yaw_radps / speed_mps)
        if abs(curvature) * STRAIGHT_M < 1:
            return STRAIGHT
        return PathPrediction(1 / curvature, confidence(change))


def confidence(yaw_change_dps2: float) -> float:
    """Share, for a filtered yaw acceleration in deg/s2."""
    size = abs(yaw_change_dps2)
    for limit, start, slope in _CONFIDENCE:
        if size < limit:
            return (start - slope * size) / 100
    return 0.0

"""A quantity that changes now and then, smoothly: its value, its rate and its integral over time.

Each change follows one period of a raised cosine, so all three have closed forms and agree exactly.
"""

import math
from bisect import bisect_right

_TURN = 2.0 * math.pi


class Ramps:
    """Zero until the first change; constant between changes.

    changes: (start s, duration s, change), in order, none reaching into the next.
    """

    def __init__(self, changes: tuple[tuple[float, float, float], ...]) -> None:
        self._starts = [-math.inf]
        self._legs = [(0.0, 1.0, 0.0, 0.0, 0.0)]  # start, duration, change, value and integral then
        value = total = end = 0.0
        for start, duration, change in changes:
            total += value * (start - end)
            self._starts.append(start)
            self._legs.append((start, duration, change, value, total))
            total += duration * (value + change / 2.0)
            value += change
            end = start + duration

    def value(self, t_s: float) -> float:
        start, duration, change, value, _ = self._leg(t_s)
        share = min(1.0, (t_s - start) / duration)
        return value + change * (share - math.sin(_TURN * share) / _TURN)

    def rate(self, t_s: float) -> float:
        """Change of the value per second."""
        start, duration, change, _, _ = self._leg(t_s)
        share = min(1.0, (t_s - start) / duration)
        return change / duration * (1.0 - math.cos(_TURN * share))

    def integral(self, t_s: float) -> float:
        """Of the value, from 0 to t_s."""
        start, duration, change, value, total = self._leg(t_s)
        share = min(1.0, (t_s - start) / duration)
        risen = share * share / 2.0 + (math.cos(_TURN * share) - 1.0) / _TURN**2
        after = max(0.0, t_s - start - duration)
        return total + duration * (value * share + change * risen) + (value + change) * after

    def _leg(self, t_s: float) -> tuple[float, float, float, float, float]:
        return self._legs[bisect_right(self._starts, t_s) - 1]

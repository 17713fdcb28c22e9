"""Where the car came from, in as few points as its last 200 metres need.

The concise representation of SAE J2945/1 units: of the places the car passes every 100 ms, one
is kept when the straight line from the last kept one would otherwise miss a place in between by
over a metre, or be longer than 210 m. At most 15 are told, and none beyond the one that
completes 200 m.

No place in between has to be stored. A line from the last kept place misses none by over a
metre as long as its bearing lies in a window that every new place narrows, so memory is 15
points and a step costs the same on every road.

The path goes on over a change of the temporary id, as in the public implementation of J2945/1:
a receiver needs it most when it hears a car for the first time. Who wants no link between two
ids makes a new PathHistory at the change.
"""

import math
from collections import deque
from typing import Final

import msgspec

from agent.bsm.geodesy import metres_a_degree, wrapped
from agent.bsm.message import PathPoint
from agent.clock import MS, SECOND

CHORD_M: Final = 210.0  # SAE J2945/1, vMaxChordLength
ERROR_M: Final = 1.0  # vPathPerpendicularDist
LENGTH_M: Final = 200.0  # vMinPHistDistance
POINTS: Final = 15  # vMaxPHistPoints
SAMPLES: Final = 3  # before these there is no path to tell

# Our choices: between two places a car did not drive faster than this, or the receiver jumped.
FASTEST_MPS: Final = 100.0
SLACK_M: Final = 25.0


class Here(msgspec.Struct, frozen=True, gc=False):
    """A place of the car's centre, and when it was there. t_ns: of any one clock"""

    t_ns: int
    latitude_deg: float
    longitude_deg: float
    elevation_m: float | None = None

    def __repr__(self) -> str:
        return f"Here(t_ns={self.t_ns})"


class PathHistory:
    """samples: places taken since the path began"""

    def __init__(self) -> None:
        self.samples = 0
        self._kept: deque[tuple[Here, float]] = deque(maxlen=POINTS)
        """Newest first; each with its distance in m to the next older one."""
        self._previous: Here | None = None
        self._scale = (1.0, 1.0)
        self._reach_m = 0.0
        self._axis = 0.0
        self._window: tuple[float, float] | None = None

    def add(self, here: Here, *, moving: bool = True) -> None:
        """Take the place of this 100 ms. What a standing car's receiver wanders is no path."""
        previous = self._previous
        if previous is None or _jumped(previous, here):
            self._begin(here)
        elif moving:
            self._step(previous, here)
        self.samples += 1

    def points(self, here: Here) -> tuple[PathPoint, ...]:
        """The path as seen from `here`, newest point first; empty until there are 3 samples."""
        if self.samples < SAMPLES:
            return ()
        told = []
        far_m = _distance_m(here, self._kept[0][0], self._scale)
        for place, older_m in self._kept:
            told.append(_point(here, place))
            if far_m >= LENGTH_M:
                break
            far_m += older_m
        return tuple(told)

    def _begin(self, here: Here) -> None:
        self._kept.clear()
        self._kept.append((here, 0.0))
        self.samples = 0
        self._start(here)
        self._previous = here

    def _step(self, previous: Here, here: Here) -> None:
        if not self._follows(here):
            start = self._kept[0][0]
            if previous is not start:
                self._kept.appendleft((previous, _distance_m(previous, start, self._scale)))
            self._start(previous)
            self._follows(here)
        self._previous = here

    def _start(self, start: Here) -> None:
        """Lines begin here from now on."""
        self._scale = metres_a_degree(start.latitude_deg)
        self._reach_m, self._window = 0.0, None

    def _follows(self, here: Here) -> bool:
        """Whether one line from the last kept place to here does for all since; narrows the window.

        A place within a metre of the start says nothing about the bearing. A car that comes back
        by over a metre has turned round, and where it did must be kept.
        """
        north, east = _metres(self._kept[0][0], here, self._scale)
        reach_m = math.hypot(north, east)
        if reach_m > CHORD_M or reach_m < self._reach_m - ERROR_M:
            return False
        if reach_m > ERROR_M and not self._narrows(math.atan2(east, north), reach_m):
            return False
        self._reach_m = max(self._reach_m, reach_m)
        return True

    def _narrows(self, bearing: float, reach_m: float) -> bool:
        half = math.asin(ERROR_M / reach_m)
        if self._window is None:
            self._axis, self._window = bearing, (-half, half)
            return True
        low, high = self._window
        turn = math.remainder(bearing - self._axis, math.tau)
        if not low <= turn <= high:
            return False
        self._window = max(low, turn - half), min(high, turn + half)
        return True


def _metres(start: Here, here: Here, scale: tuple[float, float]) -> tuple[float, float]:
    """North and east of the start, in a plane through it."""
    north = (here.latitude_deg - start.latitude_deg) * scale[0]
    return north, wrapped(here.longitude_deg - start.longitude_deg) * scale[1]


def _distance_m(one: Here, other: Here, scale: tuple[float, float]) -> float:
    return math.hypot(*_metres(one, other, scale))


def _jumped(previous: Here, here: Here) -> bool:
    passed_s = (here.t_ns - previous.t_ns) / SECOND
    if passed_s <= 0:
        return True
    way_m = _distance_m(previous, here, metres_a_degree(here.latitude_deg))
    return way_m > FASTEST_MPS * passed_s + SLACK_M


def _point(here: Here, place: Here) -> PathPoint:
    known = here.elevation_m is not None and place.elevation_m is not None
    return PathPoint(
        here.latitude_deg - place.latitude_deg,
        wrapped(here.longitude_deg - place.longitude_deg),
        (here.elevation_m or 0.0) - (place.elevation_m or 0.0) if known else None,
        (here.t_ns - place.t_ns) // MS,
    )

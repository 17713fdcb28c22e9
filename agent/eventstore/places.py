"""Where sealed events happened, while the owner's key is unlocked: an index in memory alone.

The read model knows of a sealed event what the log has in clear. This one is handed what opens
events, keeps kind, time and place of those it is given, and no more, and is gone when closed:
nothing of it is written to any file.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from math import ceil, floor
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

from agent.clock import SECOND
from agent.errors import MalformedInputError, SealError, UsageError
from agent.eventstore.log import Recorded
from agent.privacy import Level, sealed

MOST: Final = 1_000_000
"""Places in one index, some 130 MB."""

Open = Callable[[Level, str, bytes], bytes]
"""(level, kind, sealed payload) -> payload in clear. Raises SealError."""
Locate = Callable[[bytes], tuple[float, float] | None]
"""Payload in clear -> latitude and longitude in degrees, None where it has none.

Raises MalformedInputError."""

_TREE: Final = """CREATE VIRTUAL TABLE place USING rtree_i32(seq, south, north, west, east,
    since, until, +kind TEXT, +t_ns INTEGER, +latitude_deg REAL, +longitude_deg REAL)"""
"""Degrees in steps of 1e-7, as J2735 has them; seconds from 2020, in reach of 68 years."""
_INSERT: Final = "INSERT INTO place VALUES (?1, ?2, ?2, ?3, ?3, ?4, ?4, ?5, ?6, ?7, ?8)"
_SELECT: Final = """SELECT seq, kind, t_ns, latitude_deg, longitude_deg FROM place
    WHERE north >= ? AND south <= ? AND east >= ? AND west <= ? AND until >= ? AND since <= ?
    AND latitude_deg BETWEEN ? AND ? AND longitude_deg BETWEEN ? AND ? AND t_ns BETWEEN ? AND ?"""
_STEPS: Final = 10_000_000
_EPOCH_NS: Final = 1_577_836_800 * SECOND
_I32: Final = 2**31 - 1
_I64: Final = 2**63 - 1


class Box(NamedTuple):
    """Degrees, WGS-84; west is above east where it lies across the 180th meridian."""

    south_deg: float
    west_deg: float
    north_deg: float
    east_deg: float

    def holds(self, latitude_deg: float, longitude_deg: float) -> bool:
        south, west, north, east = self
        return south <= latitude_deg <= north and west <= longitude_deg <= east


EVERYWHERE: Final = Box(-90.0, -180.0, 90.0, 180.0)


class Place(NamedTuple):
    """One event's. t_ns: when it was recorded."""

    seq: int
    kind: str
    t_ns: int
    latitude_deg: float
    longitude_deg: float

    def __repr__(self) -> str:
        """Without the position, which no log line may carry."""
        return f"Place({self.seq}, {self.kind!r})"


class Places:
    """
    placed:   events in the index
    shut:     events that did not open: their key was destroyed, or is another
    unplaced: events that told no position, or could not be understood
    """

    def __init__(self, open_sealed: Open, locate: Mapping[str, Locate]) -> None:
        """locate: kind -> how its payload tells where it was; other kinds are passed over"""
        self.placed = self.shut = self.unplaced = 0
        self._open = open_sealed
        self._locate = locate
        self._connection = sqlite3.connect(":memory:", isolation_level=None)
        self._connection.execute("PRAGMA temp_store = MEMORY")  # nor in a file while it sorts
        self._connection.execute(_TREE)

    def add(self, events: Iterable[Recorded]) -> None:
        """Opens those whose kind is known and keeps where they were.

        Raises UsageError when there are more than MOST; what was added before stays.
        """
        for recorded in events:
            locate = self._locate.get(recorded.kind)
            if locate is not None and sealed(recorded.level):
                self._add(recorded, locate)

    def within(
        self, box: Box = EVERYWHERE, since_ns: int = -_I64 - 1, until_ns: int = _I64
    ) -> list[Place]:
        """Those in a box and a range of time, edges belonging to both, in order of the log."""
        found = [row for half in _halves(box) for row in self._within(half, since_ns, until_ns)]
        return sorted(map(Place._make, found))

    def close(self) -> None:
        """The key is locked: nothing is known any more."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _add(self, recorded: Recorded, locate: Locate) -> None:
        try:
            found = locate(self._open(recorded.level, recorded.kind, recorded.payload))
        except SealError:
            self.shut += 1
            return
        except MalformedInputError:
            found = None
        if found is None or not EVERYWHERE.holds(*found):
            self.unplaced += 1
            return
        if self.placed == MOST:
            raise UsageError(f"more than {MOST} places; ask for a shorter time")
        self._insert(recorded, *found)
        self.placed += 1

    def _insert(self, recorded: Recorded, latitude_deg: float, longitude_deg: float) -> None:
        steps = round(latitude_deg * _STEPS), round(longitude_deg * _STEPS)
        row = (recorded.seq, *steps, _second(recorded.t_ns), recorded.kind, recorded.t_ns)
        self._connection.execute(_INSERT, (*row, latitude_deg, longitude_deg))

    def _within(self, box: Box, since_ns: int, until_ns: int) -> list[tuple[Any, ...]]:
        south, west, north, east = box
        coarse = (
            floor(south * _STEPS),
            ceil(north * _STEPS),
            floor(west * _STEPS),
            ceil(east * _STEPS),
            _second(since_ns),
            _second(until_ns),
        )
        exact = (south, north, west, east, since_ns, until_ns)
        return self._connection.execute(_SELECT, coarse + exact).fetchall()


def _halves(box: Box) -> list[Box]:
    if box.west_deg <= box.east_deg:
        return [box]
    return [box._replace(east_deg=180.0), box._replace(west_deg=-180.0)]


def _second(t_ns: int) -> int:
    return max(-_I32, min(_I32, (t_ns - _EPOCH_NS) // SECOND))

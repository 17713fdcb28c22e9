"""Where the car is, and how well that is known."""

from collections.abc import AsyncIterator
from typing import Protocol

import msgspec


class PositionFix(msgspec.Struct, frozen=True, kw_only=True):
    """One GNSS fix. None means that the receiver did not say.

    t_ns:            UTC nanoseconds of the GNSS epoch (not of its arrival)
    arrived_ns:      UTC nanoseconds at reception
    latitude_deg:    WGS-84, north positive, -90..90
    longitude_deg:   WGS-84, east positive, -180..180
    elevation_m:     above the WGS-84 ellipsoid, not above sea level
    speed_mps:       over ground
    heading_deg:     direction of motion, clockwise from true north, 0..360
    semi_major_m, semi_minor_m, orientation_deg:
                     one-sigma error ellipse, orientation clockwise from true north
    """

    t_ns: int
    arrived_ns: int
    latitude_deg: float
    longitude_deg: float
    elevation_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    orientation_deg: float | None = None


class PositionSource(Protocol):
    """Yields fixes in the order they were taken. Raises SourceLostError.

    broken: lines that could not be understood so far
    """

    @property
    def broken(self) -> int: ...

    def fixes(self) -> AsyncIterator[PositionFix]: ...

"""Circles on the map that a rule speaks of, and whether the car kept to them."""

import math
from collections.abc import Iterable
from enum import Enum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

EARTH_M: Final = 6_371_008.8
"""Mean radius of the WGS-84 ellipsoid (Moritz, Geodetic Reference System 1980). On a sphere of
this size no way is out by more than 0.6 %."""


class Fit(Enum):
    """How much of a parcel is within a limit; unknown where that cannot be told any more."""

    ALL = "all"
    SOME = "some"
    NONE = "none"
    UNKNOWN = "unknown"


class Area(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A circle (WGS-84 degrees), and whether the limit is to be inside or outside of it.

    It may be somebody's home, so it has no text form.
    """

    lat: Annotated[float, Meta(ge=-90, le=90)]
    lon: Annotated[float, Meta(ge=-180, le=180)]
    radius_m: Annotated[float, Meta(ge=1, le=20_100_000)]
    inside: bool

    def __repr__(self) -> str:
        return "Area()"


def fit_of(area: Area, positions: Iterable[tuple[float, float]]) -> Fit:
    """positions: latitude and longitude, degrees. Without any it is unknown where the car was."""
    seen = fitting = 0
    for latitude_deg, longitude_deg in positions:
        if not (math.isfinite(latitude_deg) and math.isfinite(longitude_deg)):
            return Fit.UNKNOWN
        way_m = distance_m((area.lat, area.lon), (latitude_deg, longitude_deg))
        seen += 1
        fitting += (way_m <= area.radius_m) == area.inside
    if not seen:
        return Fit.UNKNOWN
    return {0: Fit.NONE, seen: Fit.ALL}.get(fitting, Fit.SOME)


def distance_m(here: tuple[float, float], there: tuple[float, float]) -> float:
    """Along the great circle between two places in degrees, by the haversine formula."""
    (north, east), (other_north, other_east) = (map(math.radians, p) for p in (here, there))
    across = math.sin((other_north - north) / 2) ** 2
    along = math.sin((other_east - east) / 2) ** 2
    chord = across + math.cos(north) * math.cos(other_north) * along
    return 2 * EARTH_M * math.asin(math.sqrt(min(1.0, chord)))

"""Short ways on the WGS-84 ellipsoid: good to a centimetre over the hundred metres meant here."""

import math
from typing import Final

EQUATOR_M: Final = 6378137.0  # semi-major axis: NIMA TR8350.2, table 3.1
ECCENTRICITY2: Final = 6.69437999014e-3  # first eccentricity squared: NIMA TR8350.2, table 3.3


def moved(
    latitude_deg: float, longitude_deg: float, distance_m: float, bearing_deg: float
) -> tuple[float, float]:
    """Latitude and longitude after a straight way of `distance_m`."""
    north, east = metres_a_degree(latitude_deg)
    bearing = math.radians(bearing_deg)
    latitude = latitude_deg + distance_m * math.cos(bearing) / north
    longitude = longitude_deg + distance_m * math.sin(bearing) / east
    return max(-90.0, min(90.0, latitude)), wrapped(longitude)


def distance_m(latitude_deg: float, longitude_deg: float, other: tuple[float, float]) -> float:
    """Between two places, in a plane through the first; the far ones come out as far."""
    north, east = metres_a_degree(latitude_deg)
    return math.hypot((other[0] - latitude_deg) * north, wrapped(other[1] - longitude_deg) * east)


def metres_a_degree(latitude_deg: float) -> tuple[float, float]:
    """Northward by the meridian's radius, eastward by the parallel's; never zero."""
    sine = math.sin(math.radians(latitude_deg))
    cosine = max(1e-6, math.cos(math.radians(latitude_deg)))
    normal = EQUATOR_M / math.sqrt(1 - ECCENTRICITY2 * sine * sine)
    meridian = normal * (1 - ECCENTRICITY2) / (1 - ECCENTRICITY2 * sine * sine)
    return math.radians(meridian), math.radians(normal * cosine)


def wrapped(degrees: float) -> float:
    """To -180 (excluded) .. 180."""
    return 180.0 - (180.0 - degrees) % 360.0

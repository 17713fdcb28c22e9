"""SI on our side, J2735 integers on the air; the crossing is here and nowhere else.

None, NaN and infinity become the code for "unavailable". A value beyond the scale is clamped
where the standard says "or more", and is unavailable where it does not: a wrong figure on the
air is worse than none. Signs change here too: ISO 8855 has left and up positive, SAE J2735
right and down.

Sources: SAE J2735:2016, the data element in each comment; rounding is to the nearest code.
"""

import math
from typing import Final

STANDARD_GRAVITY: Final = 9.80665  # m/s2: ISO 80000-3

FAR: Final = 1e12  # beyond every scale, and still a whole number as a float

SEC_MARK_UNAVAILABLE: Final = 65535  # DE_DSecond
SEC_MARK_LAST: Final = 60999  # DE_DSecond: the end of a leap second
LATITUDE_UNAVAILABLE: Final = 900000001  # DE_Latitude
HALF_TURN: Final = 1800000000  # DE_Longitude: 180 degrees
LONGITUDE_UNAVAILABLE: Final = 1800000001  # DE_Longitude
ELEVATION_UNAVAILABLE: Final = -4096  # DE_Elevation
SEMI_AXIS_UNAVAILABLE: Final = 255  # DE_SemiMajorAxisAccuracy, DE_SemiMinorAxisAccuracy
ORIENTATION_UNAVAILABLE: Final = 65535  # DE_SemiMajorAxisOrientation
SPEED_UNAVAILABLE: Final = 8191  # DE_Speed
HEADING_UNAVAILABLE: Final = 28800  # DE_Heading
ANGLE_UNAVAILABLE: Final = 127  # DE_SteeringWheelAngle
ACCELERATION_UNAVAILABLE: Final = 2001  # DE_Acceleration
VERTICAL_UNAVAILABLE: Final = -127  # DE_VerticalAcceleration
SIZE_UNAVAILABLE: Final = 0  # DE_VehicleWidth, DE_VehicleLength


def steps(value: float | None, step: float) -> int | None:
    """The nearest whole number of steps, up to FAR; None for what is not a number."""
    if value is None:
        return None
    code = value / step
    if -FAR < code < FAR:
        return round(code)
    return round(math.copysign(FAR, code)) if math.isfinite(value) else None


def inside(code: int | None, low: int, high: int, unavailable: int) -> int:
    return unavailable if code is None or not low <= code <= high else code


def clamped(code: int | None, low: int, high: int, unavailable: int) -> int:
    if code is None:
        return unavailable
    return code if low <= code <= high else low if code < low else high


def sec_mark_to_j2735(ms: int | None) -> int:
    """DE_DSecond: milliseconds of the UTC minute; 61000 to 65534 are reserved."""
    return inside(ms, 0, SEC_MARK_LAST, SEC_MARK_UNAVAILABLE)


def sec_mark_from_j2735(code: int) -> int | None:
    return code if code <= SEC_MARK_LAST else None


def latitude_to_j2735(deg: float | None) -> int:
    """DE_Latitude: 1e-7 degree, north positive."""
    return inside(steps(deg, 1e-7), -900000000, 900000000, LATITUDE_UNAVAILABLE)


def latitude_from_j2735(code: int) -> float | None:
    return None if code == LATITUDE_UNAVAILABLE else code / 1e7


def longitude_to_j2735(deg: float | None) -> int:
    """DE_Longitude: 1e-7 degree, east positive; -180 has no code and is sent as 180."""
    code = steps(deg, 1e-7)
    code = HALF_TURN if code == -HALF_TURN else code
    return inside(code, 1 - HALF_TURN, HALF_TURN, LONGITUDE_UNAVAILABLE)


def longitude_from_j2735(code: int) -> float | None:
    return None if code == LONGITUDE_UNAVAILABLE else code / 1e7


def elevation_to_j2735(m: float | None) -> int:
    """DE_Elevation: 0.1 m above the ellipsoid; -409.5 or less, 6143.9 or more."""
    return clamped(steps(m, 0.1), -4095, 61439, ELEVATION_UNAVAILABLE)


def elevation_from_j2735(code: int) -> float | None:
    return None if code == ELEVATION_UNAVAILABLE else code / 10


def semi_axis_to_j2735(m: float | None) -> int:
    """DE_SemiMajorAxisAccuracy: 0.05 m, one standard deviation; 254 is 12.70 m or more."""
    code = steps(m, 0.05)
    if code is None or code < 0:
        return SEMI_AXIS_UNAVAILABLE
    return min(254, code)


def semi_axis_from_j2735(code: int) -> float | None:
    return None if code == SEMI_AXIS_UNAVAILABLE else code / 20


def orientation_to_j2735(deg: float | None) -> int:
    """DE_SemiMajorAxisOrientation: 360/65535 degree from true north; 65534 is the last."""
    if deg is None or not math.isfinite(deg):
        return ORIENTATION_UNAVAILABLE
    return min(65534, round(deg % 360.0 * 65535 / 360))


def orientation_from_j2735(code: int) -> float | None:
    return None if code == ORIENTATION_UNAVAILABLE else code * 360 / 65535


def speed_to_j2735(mps: float | None) -> int:
    """DE_Speed: 0.02 m/s, a magnitude; 8190 is 163.8 m/s."""
    code = steps(mps, 0.02)
    return inside(code if mps is None or mps >= 0 else None, 0, 8190, SPEED_UNAVAILABLE)


def speed_from_j2735(code: int) -> float | None:
    return None if code == SPEED_UNAVAILABLE else code / 50


def heading_to_j2735(deg: float | None) -> int:
    """DE_Heading: 0.0125 degree clockwise from true north; 28799 is the last."""
    if deg is None or not math.isfinite(deg):
        return HEADING_UNAVAILABLE
    return round(deg % 360.0 / 0.0125) % 28800


def heading_from_j2735(code: int) -> float | None:
    return None if code == HEADING_UNAVAILABLE else code / 80


def steering_to_j2735(rad: float | None) -> int:
    """DE_SteeringWheelAngle: 1.5 degree, right positive; 126 is 189 degrees or more."""
    code = steps(rad, -math.radians(1.5))
    return clamped(code, -126, 126, ANGLE_UNAVAILABLE)


def steering_from_j2735(code: int) -> float | None:
    return None if code == ANGLE_UNAVAILABLE else -math.radians(code * 1.5)


def longitudinal_to_j2735(mps2: float | None) -> int:
    """DE_Acceleration: 0.01 m/s2, forward positive; 2000 is 20 m/s2 or more."""
    return clamped(steps(mps2, 0.01), -2000, 2000, ACCELERATION_UNAVAILABLE)


def longitudinal_from_j2735(code: int) -> float | None:
    return None if code == ACCELERATION_UNAVAILABLE else code / 100


def lateral_to_j2735(mps2: float | None) -> int:
    """DE_Acceleration: 0.01 m/s2, right positive; 2000 is 20 m/s2 or more."""
    return clamped(steps(mps2, -0.01), -2000, 2000, ACCELERATION_UNAVAILABLE)


def lateral_from_j2735(code: int) -> float | None:
    return None if code == ACCELERATION_UNAVAILABLE else -code / 100


def vertical_to_j2735(mps2: float | None) -> int:
    """DE_VerticalAcceleration: 0.02 g, down positive; 127 is 2.54 g or more, -126 -2.52 or less."""
    return clamped(steps(mps2, -0.02 * STANDARD_GRAVITY), -126, 127, VERTICAL_UNAVAILABLE)


def vertical_from_j2735(code: int) -> float | None:
    return None if code == VERTICAL_UNAVAILABLE else -code * 0.02 * STANDARD_GRAVITY


def yaw_rate_to_j2735(radps: float | None) -> int:
    """DE_YawRate: 0.01 degree/s, right positive; there is no "unavailable", units send 0."""
    return clamped(steps(radps, -math.radians(0.01)), -32767, 32767, 0)


def yaw_rate_from_j2735(code: int) -> float:
    return -math.radians(code / 100)


def width_to_j2735(m: float | None) -> int:
    """DE_VehicleWidth: 1 cm."""
    return inside(steps(m, 0.01), 1, 1023, SIZE_UNAVAILABLE)


def length_to_j2735(m: float | None) -> int:
    """DE_VehicleLength: 1 cm."""
    return inside(steps(m, 0.01), 1, 4095, SIZE_UNAVAILABLE)


def size_from_j2735(code: int) -> float | None:
    return None if code == SIZE_UNAVAILABLE else code / 100

"""SI and J2735 integers of Part II; the rules are those of units.py.

Sources: SAE J2735:2016, the data element in each comment; rounding is to the nearest code but
for times, which are rounded down.
"""

import math
from typing import Final

from agent.bsm.units import clamped, inside, steps

OFFSET_UNAVAILABLE: Final = -131072  # DE_OffsetLL-B18
RISE_UNAVAILABLE: Final = -2048  # DE_VertOffset-B12
AGE_UNAVAILABLE: Final = 65535  # DE_TimeOffset
STRAIGHT: Final = 32767  # DE_RadiusOfCurvature
AIR_TEMPERATURE_UNAVAILABLE: Final = 191  # DE_AmbientAirTemperature
AIR_PRESSURE_UNAVAILABLE: Final = 0  # DE_AmbientAirPressure
HEIGHT_UNAVAILABLE: Final = 0  # DE_VehicleHeight
MASS_UNAVAILABLE: Final = 255  # DE_VehicleMass

FREEZING_K: Final = 273.15
_MASSES: Final = (
    (4250.0, 0, 0.0, 50.0, 80),
    (65_000.0, 81, 4500.0, 500.0, 200),
    (math.inf, 201, 66_000.0, 2000.0, 254),
)
"""Below so many kg: the first code, kg there, kg a step, the last code."""


def offset_to_j2735(deg: float | None) -> int:
    """DE_OffsetLL-B18: 1e-7 degree; 131071 is that or more."""
    return clamped(steps(deg, 1e-7), -131071, 131071, OFFSET_UNAVAILABLE)


def offset_from_j2735(code: int) -> float | None:
    return None if code == OFFSET_UNAVAILABLE else code / 1e7


def rise_to_j2735(m: float | None) -> int:
    """DE_VertOffset-B12: 0.1 m; 2047 is that or more."""
    return clamped(steps(m, 0.1), -2047, 2047, RISE_UNAVAILABLE)


def rise_from_j2735(code: int) -> float | None:
    return None if code == RISE_UNAVAILABLE else code / 10


def age_to_j2735(ms: int | None) -> int:
    """DE_TimeOffset: 10 ms, at least 1; 65534 is 655.34 s or more."""
    return AGE_UNAVAILABLE if ms is None else min(65534, max(1, ms // 10))


def age_from_j2735(code: int) -> int | None:
    return None if code == AGE_UNAVAILABLE else 10 * code


def radius_to_j2735(m: float | None) -> int:
    """DE_RadiusOfCurvature: 0.1 m, right positive; 32767 is straight ahead."""
    return clamped(steps(m, -0.1), -32766, 32766, STRAIGHT)


def radius_from_j2735(code: int) -> float | None:
    return None if code == STRAIGHT else -code / 10


def confidence_to_j2735(share: float) -> int:
    """DE_Confidence: 0.5 %."""
    return clamped(steps(share, 0.005), 0, 200, 0)


def confidence_from_j2735(code: int) -> float:
    return code / 200


def air_temperature_to_j2735(k: float | None) -> int:
    """DE_AmbientAirTemperature: 1 K from -40 degrees Celsius; 190 is 150 degrees or more."""
    celsius = None if k is None else k - FREEZING_K + 40
    return clamped(steps(celsius, 1.0), 0, 190, AIR_TEMPERATURE_UNAVAILABLE)


def air_temperature_from_j2735(code: int) -> float | None:
    return None if code == AIR_TEMPERATURE_UNAVAILABLE else code - 40 + FREEZING_K


def air_pressure_to_j2735(pa: float | None) -> int:
    """DE_AmbientAirPressure: 2 hPa, 1 is 580 hPa; below that and over 1088 hPa is no weather."""
    code = steps(None if pa is None else pa - 57_800, 200.0)
    return inside(code, 1, 255, AIR_PRESSURE_UNAVAILABLE)


def air_pressure_from_j2735(code: int) -> float | None:
    return None if code == AIR_PRESSURE_UNAVAILABLE else 57_800.0 + 200 * code


def height_to_j2735(m: float | None) -> int:
    """DE_VehicleHeight: 5 cm."""
    return inside(steps(m, 0.05), 1, 127, HEIGHT_UNAVAILABLE)


def height_from_j2735(code: int) -> float | None:
    return None if code == HEIGHT_UNAVAILABLE else code / 20


def mass_to_j2735(kg: float | None) -> int:
    """DE_VehicleMass: steps of 50 kg up to 4 t, 500 kg up to 64 t, 2 t up to 170 t; 254 is more."""
    if kg is None or not 0 < kg < math.inf:
        return MASS_UNAVAILABLE
    _, first, base, step, last = next(row for row in _MASSES if kg < row[0])
    return min(last, first + round(max(0.0, kg - base) / step))


def mass_from_j2735(code: int) -> float | None:
    if code == MASS_UNAVAILABLE:
        return None
    _, first, base, step, _ = next(row for row in _MASSES if code <= row[-1])
    return base + (code - first) * step

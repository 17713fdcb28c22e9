"""Signals and fixes of a short drive, for the tests of this room."""

from agent.bsm.identity import Identity
from agent.bsm.message import VehicleSize
from agent.clock import MS, SECOND
from agent.position import PositionFix
from agent.signals import Signal

NOON = 1_760_011_200 * SECOND  # a full UTC minute
SIZE = VehicleSize(1.82, 4.51)
LATITUDE, LONGITUDE = 52.5163, 13.3777


def signal(name: str, value: float, ms: int, origin: str = "can0") -> Signal:
    """ms: after noon"""
    return Signal(name, value, NOON + ms * MS, origin)


def fix(
    ms: int,
    *,
    speed: float | None = 20.0,
    course: float | None = 90.0,
    late_ns: int = 80 * MS,
) -> PositionFix:
    return PositionFix(
        t_ns=NOON + ms * MS,
        arrived_ns=NOON + ms * MS + late_ns,
        latitude_deg=LATITUDE,
        longitude_deg=LONGITUDE,
        elevation_m=74.5,
        speed_mps=speed,
        heading_deg=course,
        semi_major_m=1.5,
        semi_minor_m=1.0,
        orientation_deg=45.0,
    )


def identity() -> Identity:
    """Octets that count up, so that every change shows."""
    given = iter(range(1, 255))
    return Identity(lambda count: bytes(next(given) for _ in range(count)))

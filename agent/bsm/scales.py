"""What the integers of a message stand for: unit, step and "unavailable", by their ASN.1 names.

For people and files that want J2735's own quantities: its signs (right and down positive), its
zero points, decimal figures. A car's values in ISO 8855 go through units.py instead.

Sources: SAE J2735:2016, data elements of the types named.
"""

from typing import Any, Final

import msgspec

from agent.bsm.partunits import MASS_UNAVAILABLE, mass_from_j2735, mass_to_j2735
from agent.bsm.units import SEC_MARK_LAST


class Scale(msgspec.Struct, frozen=True):
    """A quantity is (code * num + add) / den.

    key:  what it is called in SI output; {} is the name of the component
    none: the code for "unavailable"; last: codes above it are reserved and say nothing
    """

    key: str
    num: int = 1
    den: int = 1
    none: int | None = None
    add: int = 0
    last: int | None = None

    def quantity(self, code: int) -> float | None:
        if code == self.none or (self.last is not None and code > self.last):
            return None
        steps = code * self.num + self.add
        return steps if self.den == 1 else steps / self.den

    def code(self, quantity: float) -> int:
        """The nearest; it may be beyond the range. Raises OverflowError and ValueError."""
        return round((quantity * self.den - self.add) / self.num)


class MassScale(Scale, frozen=True):
    """DE_VehicleMass, whose steps grow with the mass."""

    def quantity(self, code: int) -> float | None:
        return mass_from_j2735(code)

    def code(self, quantity: float) -> int:
        return mass_to_j2735(quantity) if quantity else 0


SCALES: Final[dict[str, Scale]] = {
    "DSecond": Scale("{}_ms", none=65535, last=SEC_MARK_LAST),
    "Latitude": Scale("lat_deg", 1, 10_000_000, 900000001),
    "Longitude": Scale("lon_deg", 1, 10_000_000, 1800000001),
    "Elevation": Scale("elev_m", 1, 10, -4096),
    "SemiAxisAccuracy": Scale("{}_m", 1, 20, 255),
    "orientation": Scale("{}_deg", 360, 65535, 65535),
    "Speed": Scale("speed_mps", 1, 50, 8191),
    "Heading": Scale("heading_deg", 1, 80, 28800),
    "SteeringWheelAngle": Scale("angle_deg", 3, 2, 127),
    "Acceleration": Scale("accel_{}_mps2", 1, 100, 2001),
    "VerticalAcceleration": Scale("accel_{}_mps2", 196133, 1_000_000, -127),
    "YawRate": Scale("yaw_rate_degps", 1, 100),
    "VehicleWidth": Scale("width_m", 1, 100, 0),
    "VehicleLength": Scale("length_m", 1, 100, 0),
    "OffsetLL-B18": Scale("{}_deg", 1, 10_000_000, -131072),
    "VertOffset-B12": Scale("elev_offset_m", 1, 10, -2048),
    "VertOffset-B07": Scale("elev_offset_m", 1, 10, -64),
    "TimeOffset": Scale("{}_s", 1, 100, 65535),
    "CoarseHeading": Scale("heading_deg", 3, 2, 240),
    "radiusOfCurve": Scale("radius_m", 1, 10, 32767),
    "confidence": Scale("{}_percent", 1, 2),
    "pivotOffset": Scale("{}_m", 1, 100, -1024),
    "pivotAngle": Scale("{}_deg", 1, 80, 28800),
    "rearWheelOffset": Scale("{}_m", 1, 100, -2048),
    "x": Scale("{}_m", 1, 100),
    "y": Scale("{}_m", 1, 100),
    "VehicleHeight": Scale("{}_m", 1, 20, 0),
    "front": Scale("{}_m", 1, 100),
    "rear": Scale("{}_m", 1, 100),
    "mass": Scale("{}_kg", 500, 1, 0),  # of a trailer
    "VehicleMass": MassScale("{}_kg", none=MASS_UNAVAILABLE),
    "trailerWeight": Scale("{}_kg", 2),
    "leanAngle": Scale("{}_deg"),
    "rainRate": Scale("{}_gpspm2", 1, 10, 65535),
    "solarRadiation": Scale("{}_jpm2", none=65535),
    "friction": Scale("{}_percent", none=101),
    "roadFriction": Scale("{}", 1, 50),
    "airTemp": Scale("{}_degc", none=191, add=-40),
    "airPressure": Scale("{}_hpa", 2, 1, 0, 578),
    "WiperRate": Scale("{}_per_min"),
    "obDist": Scale("{}_m"),
    "obDirect": Scale("{}_deg", 1, 80, 28800),
    "speedReports": Scale("{}_mps", none=31),
    "antOffsetX": Scale("{}_m", 1, 100, -2048),
    "antOffsetY": Scale("{}_m", 1, 100, -256),
    "antOffsetZ": Scale("{}_m", 1, 100, -512),
    "year": Scale("{}", none=0),
    "month": Scale("{}", none=0),
    "day": Scale("{}", none=0),
    "hour": Scale("{}", none=31),
    "minute": Scale("{}", none=60),
    "offset": Scale("{}_min"),
}
"""By the name of the type, or of the component where the module gives its range in place."""

PLAIN: Final = Scale("{}")


def scale_of(kind: Any) -> Scale:
    """kind: the compiled INTEGER; numbers without a unit come out as they are"""
    return SCALES.get(kind.type_name) or SCALES.get(kind.name) or PLAIN

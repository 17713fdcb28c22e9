"""Spellings and units of the Operational Data Environment where they are not those of J2735."""

import math
from typing import Any, Final

from agent.bsm.scales import Scale
from agent.errors import MalformedInputError

OWN: Final[dict[str, Scale]] = {
    "VerticalAcceleration": Scale("", 1, 50, -127),  # in g
    "VehicleWidth": Scale("", none=0),  # cm
    "VehicleLength": Scale("", none=0),  # cm
}
"""Where its unit is not the one of agent/bsm/scales.py."""

SPELLED: Final[dict[str, dict[str, str]]] = {
    "AccelerationSet4Way": {
        "accelLong": "long",
        "accelLat": "lat",
        "accelVert": "vert",
        "accelYaw": "yaw",
    },
    "EmergencyDetails": {"doNotUse": "sspRights"},
    "PrivilegedEvents": {"doNotUse": "sspRights"},
    "TrailerData": {"doNotUse": "sspRights"},
    "VehicleData": {"doNotUse": "trailerWeight"},
    "SpecialVehicleExtensions": {"doNotUse": "trailers"},
    "SupplementalVehicleExtensions": {
        "doNotUse1": "weatherReport",
        "doNotUse2": "weatherProbe",
        "doNotUse3": "obstacle",
        "doNotUse4": "speedProfile",
        "doNotUse5": "theRTCM",
    },
}
"""Type -> its spelling -> ours. The second group is that of edition 2024."""
POSITION: Final = {"latitude": "lat", "longitude": "long", "elevation": "elev"}
PRIVATE: Final = frozenset({"Latitude", "Longitude"})
"""Types whose value no error tells."""
FUELS: Final = (
    "unknownFuel",
    "gasoline",
    "ethanol",
    "diesel",
    "electric",
    "hybrid",
    "hydrogen",
    "natGasLiquid",
    "natGasComp",
    "propane",
)
"""SAE J2735, DE_FuelType."""
ALWAYS: Final = frozenset({"accuracy", "accelSet", "brakes", "size"})
"""Of Part I, and always there on the wire: what is missing is unavailable throughout."""
ZERO: Final = frozenset({"MsgCount", "YawRate"})
"""Types without a code for "unavailable" whose value is sent as 0 where it is not known."""
UNAVAILABLE: Final = "unavailable"
FAR: Final = 1e12  # beyond every scale, and still a whole number as a float


def number(value: Any, path: str) -> float:
    """A number, or the text of one; raises MalformedInputError."""
    if value is None:
        raise MalformedInputError(f"{path} is missing")
    try:
        quantity = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        quantity = math.nan
    if not abs(quantity) <= FAR:
        raise MalformedInputError(f"{path} is not a number")
    return quantity


def is_true(value: Any, path: str) -> bool:
    """A truth value, or the text of one in any case; raises MalformedInputError."""
    text = str(value).casefold()
    if text not in {"true", "false", "1", "0"}:
        raise MalformedInputError(f"{path} is {value!r:.40}, not true or false")
    return text in {"true", "1"}

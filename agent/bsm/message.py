"""A basic safety message as a car means it: SI, and None for what is not known.

Axes and signs are those of ISO 8855 (x forward, y left, z up), as everywhere inside. The
integers of SAE J2735 and their "unavailable" codes live in units.py.
"""

from enum import Enum

import msgspec


class Transmission(Enum):
    """SAE J2735, DE_TransmissionState; the value is its name on the wire."""

    NEUTRAL = "neutral"
    PARK = "park"
    FORWARD = "forwardGears"
    REVERSE = "reverseGears"


class Control(Enum):
    """State of traction control, ABS or stability control: SAE J2735, DE_AntiLockBrakeStatus."""

    OFF = "off"
    ON = "on"  # ready, not intervening
    ENGAGED = "engaged"


class Applied(Enum):
    """State of brake assist and auxiliary brakes: SAE J2735, DE_BrakeBoostApplied."""

    OFF = "off"
    ON = "on"


class Wheel(Enum):
    """SAE J2735, DE_BrakeAppliedStatus."""

    FRONT_LEFT = "leftFront"
    REAR_LEFT = "leftRear"
    FRONT_RIGHT = "rightFront"
    REAR_RIGHT = "rightRear"


ALL_WHEELS = frozenset(Wheel)


class Brakes(msgspec.Struct, frozen=True, kw_only=True):
    """wheels: those whose brake is applied; empty when none is, None when that is not known."""

    wheels: frozenset[Wheel] | None = None
    traction: Control | None = None
    abs: Control | None = None
    stability: Control | None = None
    boost: Applied | None = None
    auxiliary: Applied | None = None


class Wiper(Enum):
    """SAE J2735, DE_WiperStatus."""

    OFF = "off"
    INTERMITTENT = "intermittent"
    LOW = "low"
    HIGH = "high"
    WASHER = "washerInUse"
    AUTOMATIC = "automaticPresent"


class PathPoint(msgspec.Struct, frozen=True, gc=False):
    """A place the car came through, by how far it is from there: the present minus the past.

    age_ms: since it was there. SAE J2735, DF_PathHistoryPoint.
    """

    north_deg: float | None
    east_deg: float | None
    up_m: float | None
    age_ms: int | None

    def __repr__(self) -> str:
        """Without the way, which no log line may carry."""
        return f"PathPoint(age_ms={self.age_ms})"


class PathPrediction(msgspec.Struct, frozen=True):
    """The circle the car is about to follow: SAE J2735, DF_PathPrediction.

    radius_m:   left positive, as ISO 8855 has it; None is straight ahead
    confidence: share
    """

    radius_m: float | None
    confidence: float


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """The weather as the car notices it: SAE J2735, DF_WeatherProbe."""

    air_temperature_k: float | None = None
    air_pressure_pa: float | None = None
    wiper_front: Wiper | None = None
    wiper_rear: Wiper | None = None


class VehicleDetails(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change about a car, but for its outline.

    antenna_forward_m, antenna_left_m: of the GNSS antenna, from the centre of the outline
    basic_class: SAE J2735, DE_BasicVehicleClass, 0..255
    """

    antenna_forward_m: float = 0.0
    antenna_left_m: float = 0.0
    basic_class: int | None = None
    height_m: float | None = None
    mass_kg: float | None = None


class BasicSafetyMessage(msgspec.Struct, frozen=True, kw_only=True):
    """SAE J2735, BasicSafetyMessage: Part I, and of Part II what a car tells about itself.

    msg_count:        0..127
    temporary_id:     4 octets
    sec_mark_ms:      of the UTC minute, 0..59999, up to 60999 in a leap second
    latitude_deg, longitude_deg: WGS-84, centre of the vehicle's outline
    elevation_m:      above the ellipsoid
    semi_major_m, semi_minor_m, orientation_deg: one-sigma error ellipse, from true north
    speed_mps:        magnitude; the direction comes from the transmission
    heading_deg:      of the vehicle's front, clockwise from true north
    steering_angle_rad: at the steering wheel
    yaw_rate_radps:   the wire has no code for "unavailable": None is sent as 0
    width_m, length_m: of the vehicle's outline
    events:           names of DE_VehicleEventFlags that are set ("eventHardBraking")
    lights:           names of DE_ExteriorLights that are on; None when that is not known
    path:             where the car came from, newest first, at most 23 points
    basic_class, height_m, mass_kg: as VehicleDetails has them, where this message tells them
    """

    msg_count: int
    temporary_id: bytes
    sec_mark_ms: int | None = None
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    elevation_m: float | None = None
    semi_major_m: float | None = None
    semi_minor_m: float | None = None
    orientation_deg: float | None = None
    transmission: Transmission | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    steering_angle_rad: float | None = None
    acceleration_longitudinal_mps2: float | None = None
    acceleration_lateral_mps2: float | None = None
    acceleration_vertical_mps2: float | None = None
    yaw_rate_radps: float | None = None
    brakes: Brakes = Brakes()
    width_m: float | None = None
    length_m: float | None = None
    events: frozenset[str] = frozenset()
    lights: frozenset[str] | None = None
    path: tuple[PathPoint, ...] = ()
    prediction: PathPrediction | None = None
    surroundings: Surroundings | None = None
    basic_class: int | None = None
    height_m: float | None = None
    mass_kg: float | None = None

    def __repr__(self) -> str:
        """Without the position and the identity, which no log line may carry."""
        return f"BasicSafetyMessage(msg_count={self.msg_count}, sec_mark_ms={self.sec_mark_ms})"


class VehicleSize(msgspec.Struct, frozen=True):
    """Outline of the vehicle without mirrors: SAE J2735, DF_VehicleSize."""

    width_m: float
    length_m: float

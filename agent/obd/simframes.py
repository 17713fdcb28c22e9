"""What each message of dbc/simcar.dbc says about a state of the car, in the units of that file."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import cantools
from cantools.database.can import Database, Message

from agent.obd import drivetrain
from agent.obd.route import STEERING_RATIO, CarState

Values = dict[str, float]

KMH: Final = 3.6
RPM: Final = 60.0
BAR: Final = 1e-5
HPA: Final = 1e-2
PERCENT: Final = 100.0
CELSIUS: Final = -273.15
REAR_BRAKES: Final = 0.6
"""Pressure at the rear wheels over that at the front."""
DISPLAYED: Final = 1.03
"""What the instrument shows over the true speed; it never shows less (UN R39, 5.4)."""
GEAR_LEVER: Final = {1: 0, 3: 1, 0: 2, 2: 3}
"""Our gear to the car's own P, R, N, D."""
MODULES: Final = 8
SAFE: Final = frozenset({"COUNTER", "CHECKSUM"})


def _wheel_speeds(s: CarState) -> Values:
    fl, fr, rl, rr = (KMH * speed for speed in s.wheel_speeds_mps)
    return {
        "WHEEL_SPEED_FL": fl,
        "WHEEL_SPEED_FR": fr,
        "WHEEL_SPEED_RL": rl,
        "WHEEL_SPEED_RR": rr,
    }


def _speed(s: CarState) -> Values:
    speed = KMH * s.speed_mps
    return {"SPEED": speed, "SPEED_DISPLAYED": DISPLAYED * speed}


def _motion(s: CarState) -> Values:
    return {
        "LONGITUDINAL_ACCELERATION": s.acceleration_mps2,
        "LATERAL_ACCELERATION": s.lateral_mps2,
        "YAW_RATE": math.degrees(s.yaw_rps),
    }


def _steering(s: CarState) -> Values:
    return {
        "STEERING_ANGLE": math.degrees(s.steering_rad),
        "STEERING_RATE": math.degrees(s.steering_rate_rps),
    }


def _brake(s: CarState) -> Values:
    return {
        "BRAKE_PEDAL": s.brake_pedal,
        "PARKING_BRAKE": s.parking_brake,
        "ABS_ACTIVE": s.abs_active,
        "TRACTION_ACTIVE": 0,
        "STABILITY_ACTIVE": 0,
        "BRAKE_PRESSURE": BAR * s.brake_pa,
    }


def _wheel_brakes(s: CarState) -> Values:
    front, rear = BAR * s.brake_pa, BAR * s.brake_pa * REAR_BRAKES
    return {
        "BRAKE_PRESSURE_FL": front,
        "BRAKE_PRESSURE_FR": front,
        "BRAKE_PRESSURE_RL": rear,
        "BRAKE_PRESSURE_RR": rear,
    }


def _axles(s: CarState) -> Values:
    fl, fr, rl, rr = s.wheel_speeds_mps
    return {"FRONT_AXLE_SPEED": KMH * (fl + fr) / 2.0, "REAR_AXLE_SPEED": KMH * (rl + rr) / 2.0}


def _drive_power(s: CarState) -> Values:
    force = s.torque_nm * drivetrain.REDUCTION / drivetrain.WHEEL_RADIUS_M
    return {"DRIVE_FORCE": force, "BATTERY_POWER": s.power_w}


def _battery_modules(s: CarState) -> Values:
    """One module after another; the warmer ones lie in the middle."""
    module = int(s.t_s * 10.0) % MODULES
    warmer = 0.5 * min(module, MODULES - 1 - module)
    return {
        "MODULE": module,
        f"MODULE_{module}_VOLTAGE": s.voltage_v / MODULES,
        f"MODULE_{module}_TEMPERATURE": s.battery_k + CELSIUS + warmer,
    }


def _lights(s: CarState) -> Values:
    return {
        "LOW_BEAM": 1,
        "HIGH_BEAM": 0,
        "LEFT_TURN": s.left_signal,
        "RIGHT_TURN": s.right_signal,
        "HAZARD": 0,
        "FOG": 0,
    }


def _gnss_motion(s: CarState) -> Values:
    return {
        "GNSS_ELEVATION": s.elevation_m,
        "GNSS_SPEED": s.speed_mps,
        "GNSS_COURSE": s.heading_deg,
    }


CONTENT: Final[Mapping[str, Callable[[CarState], Values]]] = {
    "WHEEL_SPEEDS": _wheel_speeds,
    "VEHICLE_SPEED": _speed,
    "ESC_MOTION": _motion,
    "STEERING": _steering,
    "BRAKE": _brake,
    "WHEEL_BRAKES": _wheel_brakes,
    "ACCELERATOR": lambda s: {"ACCELERATOR_POSITION": PERCENT * s.accelerator},
    "MOTOR": lambda s: {"MOTOR_SPEED": RPM * s.motor_rps, "MOTOR_TORQUE": s.torque_nm},
    "DRIVE_POWER": _drive_power,
    "GEAR": lambda s: {"GEAR_LEVER": GEAR_LEVER[s.gear]},
    "BATTERY_POWER": lambda s: {"BATTERY_VOLTAGE": s.voltage_v, "BATTERY_CURRENT": s.current_a},
    "INVERTER": lambda s: {"INVERTER_VOLTAGE": s.voltage_v, "INVERTER_CURRENT": s.current_a},
    "AXLES": _axles,
    "ROAD_WHEELS": lambda s: {"ROAD_WHEEL_ANGLE": math.degrees(s.steering_rad / STEERING_RATIO)},
    "BATTERY_STATE": lambda s: {
        "BATTERY_CHARGE": PERCENT * s.charge,
        "BATTERY_TEMPERATURE": s.battery_k + CELSIUS,
    },
    "SUPPLY": lambda s: {"SUPPLY_VOLTAGE": s.supply_v},
    "COURSE": lambda s: {"COMPASS": s.heading_deg},
    "TRIP": lambda s: {"TRIP_DISTANCE": s.distance_m, "RUN_TIME": s.t_s},
    "COOLING": lambda s: {"COOLANT_TEMPERATURE": s.coolant_k + CELSIUS},
    "LIGHTS": _lights,
    "ODOMETER": lambda s: {"ODOMETER": s.odometer_m},
    "CLIMATE": lambda s: {
        "AMBIENT_TEMPERATURE": s.ambient_k + CELSIUS,
        "AIR_PRESSURE": HPA * s.air_pa,
    },
    "GNSS_POSITION": lambda s: {
        "GNSS_LATITUDE": s.latitude_deg,
        "GNSS_LONGITUDE": s.longitude_deg,
    },
    "GNSS_MOTION": _gnss_motion,
    "BATTERY_MODULES": _battery_modules,
    "WIPERS": lambda _: {"WIPER_FRONT": 0, "WIPER_REAR": 0},
}


def vin_values(vin: str) -> dict[str, Values]:
    """The three messages that carry the VIN, one character a byte."""
    codes = {f"VIN_{place:02d}": float(ord(c)) for place, c in enumerate(vin, start=1)}
    names = sorted(codes)
    return {
        f"VIN_{part}": {name: codes[name] for name in names[8 * part - 8 : 8 * part]}
        for part in (1, 2, 3)
    }


def load_messages() -> list[Message]:
    """The messages of dbc/simcar.dbc, in order of identifier."""
    installed = Path(__file__).parents[1] / "dbc" / "simcar.dbc"
    path = installed if installed.exists() else Path(__file__).parents[2] / "dbc" / "simcar.dbc"
    database = cantools.database.load_file(path)
    assert isinstance(database, Database)
    return sorted(database.messages, key=lambda message: message.frame_id)


def checksum(can_id: int, data: bytes) -> int:
    """Of all bytes but the last one, where it stands."""
    return 0xFF - (sum(data[:-1]) + (can_id >> 8) + (can_id & 0xFF)) % 256

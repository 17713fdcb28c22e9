"""Which level a field has. It is asked once, when the value is collected.

Levels as in Table 2 of the AMO white paper. A name nobody classified is Lv1: a line
forgotten here seals too much, never too little. A field moves down a level only with a
decision record and a test.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final


class Level(IntEnum):
    """The lower, the more personal. Lv1 and Lv2 are sealed before they are appended."""

    LV1 = 1  # singles out one car or person: VIN, name, contact, V2X messages
    LV2 = 2  # singles out a small group: position, model, model year, age, sex
    LV3 = 3  # the car's own state: speed, engine, faults, battery
    LV4 = 4  # bulk: raw frames, bursts of sensor data


LEVELS: Final[Mapping[str, Level]] = {
    "speed.vehicle": Level.LV3,
    "speed.displayed": Level.LV3,
    "speed.wheel.front_left": Level.LV3,
    "speed.wheel.front_right": Level.LV3,
    "speed.wheel.rear_left": Level.LV3,
    "speed.wheel.rear_right": Level.LV3,
    "steering.angle": Level.LV3,
    "steering.rate": Level.LV3,
    "acceleration.longitudinal": Level.LV3,
    "acceleration.lateral": Level.LV3,
    "acceleration.vertical": Level.LV3,
    "yaw.rate": Level.LV3,
    "gear": Level.LV3,
    "brake.pedal": Level.LV3,
    "brake.pressure": Level.LV3,
    "brake.parking": Level.LV3,
    "brake.assist": Level.LV3,
    "abs.active": Level.LV3,
    "traction.active": Level.LV3,
    "traction.off": Level.LV3,
    "stability.active": Level.LV3,
    "stability.off": Level.LV3,
    "throttle.position": Level.LV3,
    "clutch.pedal": Level.LV3,
    "engine.speed": Level.LV3,
    "engine.load": Level.LV3,
    "engine.coolant.temperature": Level.LV3,
    "engine.intake.temperature": Level.LV3,
    "engine.oil.temperature": Level.LV3,
    "engine.run_time": Level.LV3,
    "engine.fuel_rate": Level.LV3,
    "fuel.level": Level.LV3,
    "air.temperature": Level.LV3,
    "air.pressure": Level.LV3,
    "odometer": Level.LV3,
    "battery.charge": Level.LV3,
    "battery.voltage": Level.LV3,
    "battery.current": Level.LV3,
    "battery.power": Level.LV3,
    "battery.temperature": Level.LV3,
    "battery.health": Level.LV3,
    "battery.plug": Level.LV3,
    "battery.energy.charged": Level.LV3,
    "battery.energy.discharged": Level.LV3,
    "supply.voltage": Level.LV3,
    "lights.low_beam": Level.LV3,
    "lights.high_beam": Level.LV3,
    "lights.left_turn": Level.LV3,
    "lights.right_turn": Level.LV3,
    "lights.hazard": Level.LV3,
    "lights.fog": Level.LV3,
    "lights.automatic": Level.LV3,
    "lights.daytime": Level.LV3,
    "lights.parking": Level.LV3,
    "wiper.front": Level.LV3,
    "wiper.rear": Level.LV3,
    "airbag.deployed": Level.LV3,
    "tyre.flat": Level.LV3,
    "position.latitude": Level.LV2,
    "position.longitude": Level.LV2,
    "position.elevation": Level.LV2,
    "vehicle.vin": Level.LV1,
}
"""Signal and field names of docs/signals.md, each with its level."""


def level_of(name: str) -> Level:
    return LEVELS.get(name, Level.LV1)


def sealed(level: Level) -> bool:
    """Whether values of this level are encrypted before they are appended."""
    return level <= Level.LV2

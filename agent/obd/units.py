"""Units of DBC files turned into those of docs/signals.md."""

from collections.abc import Mapping
from math import pi
from typing import Final

from agent.errors import ConfigError

SHARE = "share"
STATE = "state"

SIGNAL_UNITS: Final[Mapping[str, str]] = {
    "speed.vehicle": "m/s",
    "speed.displayed": "m/s",
    "speed.wheel.front_left": "m/s",
    "speed.wheel.front_right": "m/s",
    "speed.wheel.rear_left": "m/s",
    "speed.wheel.rear_right": "m/s",
    "steering.angle": "rad",
    "steering.rate": "rad/s",
    "acceleration.longitudinal": "m/s2",
    "acceleration.lateral": "m/s2",
    "acceleration.vertical": "m/s2",
    "yaw.rate": "rad/s",
    "gear": STATE,
    "brake.pedal": SHARE,
    "brake.pressure": "Pa",
    "brake.parking": STATE,
    "brake.assist": STATE,
    "abs.active": STATE,
    "traction.active": STATE,
    "traction.off": STATE,
    "stability.active": STATE,
    "stability.off": STATE,
    "throttle.position": SHARE,
    "clutch.pedal": SHARE,
    "engine.speed": "1/s",
    "engine.load": SHARE,
    "engine.coolant.temperature": "K",
    "engine.intake.temperature": "K",
    "engine.oil.temperature": "K",
    "engine.run_time": "s",
    "engine.fuel_rate": "m3/s",
    "fuel.level": SHARE,
    "air.temperature": "K",
    "air.pressure": "Pa",
    "odometer": "m",
    "battery.charge": SHARE,
    "battery.voltage": "V",
    "battery.current": "A",
    "battery.power": "W",
    "battery.temperature": "K",
    "battery.health": SHARE,
    "battery.plug": STATE,
    "battery.energy.charged": "J",
    "battery.energy.discharged": "J",
    "supply.voltage": "V",
    "lights.low_beam": STATE,
    "lights.high_beam": STATE,
    "lights.left_turn": STATE,
    "lights.right_turn": STATE,
    "lights.hazard": STATE,
    "lights.fog": STATE,
    "lights.automatic": STATE,
    "lights.daytime": STATE,
    "lights.parking": STATE,
    "wiper.front": STATE,
    "wiper.rear": STATE,
    "airbag.deployed": STATE,
    "tyre.flat": STATE,
    "position.latitude": "deg",
    "position.longitude": "deg",
    "position.elevation": "m",
}
"""The unit of every name of agent.privacy that is a number; docs/signals.md says the same."""

_DEG: Final = pi / 180
_G: Final = 9.80665  # standard gravity, ISO 80000-3
_MILE_M: Final = 1609.344
_GALLON_M3: Final = 0.003785411784  # US liquid gallon
_ZERO_CELSIUS_K: Final = 273.15

_TO_SI: Final[Mapping[str, Mapping[str, tuple[float, float]]]] = {
    "m/s": {
        "m/s": (1, 0),
        "km/h": (1 / 3.6, 0),
        "kph": (1 / 3.6, 0),
        "kmh": (1 / 3.6, 0),
        "mph": (_MILE_M / 3600, 0),
        "kn": (1852 / 3600, 0),
    },
    "rad": {"rad": (1, 0), "deg": (_DEG, 0), "degree": (_DEG, 0), "degrees": (_DEG, 0)},
    "deg": {"deg": (1, 0), "degree": (1, 0), "degrees": (1, 0), "rad": (1 / _DEG, 0)},
    "rad/s": {"rad/s": (1, 0), "deg/s": (_DEG, 0), "degree/s": (_DEG, 0)},
    "m/s2": {"m/s2": (1, 0), "m/s^2": (1, 0), "m/s/s": (1, 0), "m/s**2": (1, 0), "g": (_G, 0)},
    "1/s": {"1/s": (1, 0), "rpm": (1 / 60, 0), "1/min": (1 / 60, 0), "hz": (1, 0)},
    "K": {
        "k": (1, 0),
        "c": (1, _ZERO_CELSIUS_K),
        "degc": (1, _ZERO_CELSIUS_K),
        "celsius": (1, _ZERO_CELSIUS_K),
        "f": (5 / 9, _ZERO_CELSIUS_K - 32 * 5 / 9),
        "degf": (5 / 9, _ZERO_CELSIUS_K - 32 * 5 / 9),
    },
    "Pa": {
        "pa": (1, 0),
        "hpa": (100, 0),
        "kpa": (1000, 0),
        "mbar": (100, 0),
        "bar": (100_000, 0),
        "mpa": (1_000_000, 0),
        "psi": (6894.757293168, 0),
    },
    "m": {
        "m": (1, 0),
        "km": (1000, 0),
        "mi": (_MILE_M, 0),
        "mile": (_MILE_M, 0),
        "miles": (_MILE_M, 0),
        "ft": (0.3048, 0),
    },
    "s": {
        "s": (1, 0),
        "sec": (1, 0),
        "ms": (0.001, 0),
        "min": (60, 0),
        "h": (3600, 0),
    },
    "m3/s": {
        "m3/s": (1, 0),
        "l/h": (0.001 / 3600, 0),
        "l/s": (0.001, 0),
        "gal/h": (_GALLON_M3 / 3600, 0),
    },
    "V": {"v": (1, 0), "mv": (0.001, 0), "kv": (1000, 0)},
    "A": {"a": (1, 0), "ma": (0.001, 0)},
    "W": {"w": (1, 0), "kw": (1000, 0)},
    "J": {"j": (1, 0), "wh": (3600, 0), "kwh": (3_600_000, 0)},
    SHARE: {"%": (0.01, 0), "": (1, 0), "share": (1, 0)},
    STATE: {"": (1, 0), "state": (1, 0)},
}


def conversion(unit: str, signal: str) -> tuple[float, float]:
    """Factor and offset from a DBC's unit to that of one of our signals.

    Case does not count: files are careless about it, and within one quantity nothing collides.
    Raises ConfigError for a unit that is not known or measures something else.
    """
    target = SIGNAL_UNITS[signal]
    plain = unit.strip().replace("°", "deg").replace("²", "2").lower()
    known = _TO_SI[target]
    if plain not in known:
        options = ", ".join(name or '""' for name in known)
        raise ConfigError(f"{signal}: unit {unit!r} is none of {options}")
    return known[plain]

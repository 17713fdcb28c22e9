"""Part II of a message: in SI on our side, trees of wire integers on the other.

The two extensions that a car fills by itself: VehicleSafetyExtensions (event flags, path
history, path prediction, lights) and SupplementalVehicleExtensions (class, height, mass, and
the weather it notices). A message has one only where it has something to say in it.
"""

from collections.abc import Mapping
from typing import Any, Final

from agent.bsm import partunits as units
from agent.bsm.message import (
    BasicSafetyMessage,
    PathPoint,
    PathPrediction,
    Surroundings,
    Wiper,
)
from agent.bsm.namedbits import EVENTS, LIGHTS
from agent.bsm.uper import Tree

VEHICLE_SAFETY: Final = 0  # SAE J2735, PartII-Id
SUPPLEMENTAL: Final = 2

SWEEPS_NOT_TOLD: Final = 0
"""DE_WiperRate has no code for "unavailable", and no car says how often its wipers sweep."""

_WIPERS: Final = {wiper.value: wiper for wiper in Wiper}


def write_parts(message: BasicSafetyMessage) -> list[Tree]:
    """The partII of a message; empty where it would have nothing in it."""
    both = ((VEHICLE_SAFETY, _safety(message)), (SUPPLEMENTAL, _supplemental(message)))
    return [{"partII-Id": number, "partII-Value": value} for number, value in both if value]


def read_parts(tree: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a BasicSafetyMessage that its Part II has."""
    fields: dict[str, Any] = {}
    for part in tree.get("partII", ()):
        if part["partII-Id"] == VEHICLE_SAFETY:
            fields |= _read_safety(part["partII-Value"])
        elif part["partII-Id"] == SUPPLEMENTAL:
            fields |= _read_supplemental(part["partII-Value"])
    return fields


def _safety(message: BasicSafetyMessage) -> Tree:
    value: Tree = {}
    if message.events:
        value["events"] = EVENTS.encode(message.events)
    if message.path:
        value["pathHistory"] = {"crumbData": [_point(point) for point in message.path]}
    if message.prediction is not None:
        value["pathPrediction"] = {
            "radiusOfCurve": units.radius_to_j2735(message.prediction.radius_m),
            "confidence": units.confidence_to_j2735(message.prediction.confidence),
        }
    if message.lights:
        value["lights"] = LIGHTS.encode(message.lights)
    return value


def _point(point: PathPoint) -> Tree:
    return {
        "latOffset": units.offset_to_j2735(point.north_deg),
        "lonOffset": units.offset_to_j2735(point.east_deg),
        "elevationOffset": units.rise_to_j2735(point.up_m),
        "timeOffset": units.age_to_j2735(point.age_ms),
    }


def _supplemental(message: BasicSafetyMessage) -> Tree:
    value: Tree = {}
    if message.basic_class is not None:
        value["classification"] = message.basic_class
    data: Tree = {}
    if message.height_m is not None:
        data["height"] = units.height_to_j2735(message.height_m)
    if message.mass_kg is not None:
        data["mass"] = units.mass_to_j2735(message.mass_kg)
    if data:
        value["vehicleData"] = data
    if message.surroundings is not None:
        value["weatherProbe"] = _weather(message.surroundings)
    return value


def _weather(around: Surroundings) -> Tree:
    probe: Tree = {}
    if around.air_temperature_k is not None:
        probe["airTemp"] = units.air_temperature_to_j2735(around.air_temperature_k)
    if around.air_pressure_pa is not None:
        probe["airPressure"] = units.air_pressure_to_j2735(around.air_pressure_pa)
    if around.wiper_front is not None or around.wiper_rear is not None:
        probe["rainRates"] = _wipers(around)
    return probe


def _wipers(around: Surroundings) -> Tree:
    front, rear = around.wiper_front, around.wiper_rear
    rates: Tree = {
        "statusFront": "unavailable" if front is None else front.value,
        "rateFront": SWEEPS_NOT_TOLD,
    }
    if rear is not None:
        rates["statusRear"] = rear.value
    return rates


def _read_safety(value: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if "events" in value:
        fields["events"] = EVENTS.decode(value["events"])
    if "pathHistory" in value:
        fields["path"] = tuple(_read_point(crumb) for crumb in value["pathHistory"]["crumbData"])
    if "pathPrediction" in value:
        ahead = value["pathPrediction"]
        radius = units.radius_from_j2735(ahead["radiusOfCurve"])
        confidence = units.confidence_from_j2735(ahead["confidence"])
        fields["prediction"] = PathPrediction(radius, confidence)
    if "lights" in value:
        fields["lights"] = LIGHTS.decode(value["lights"])
    return fields


def _read_point(crumb: Mapping[str, int]) -> PathPoint:
    return PathPoint(
        units.offset_from_j2735(crumb["latOffset"]),
        units.offset_from_j2735(crumb["lonOffset"]),
        units.rise_from_j2735(crumb["elevationOffset"]),
        units.age_from_j2735(crumb["timeOffset"]),
    )


def _read_supplemental(value: Mapping[str, Any]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    data, probe = value.get("vehicleData", {}), value.get("weatherProbe")
    if "classification" in value:
        fields["basic_class"] = value["classification"]
    if "height" in data:
        fields["height_m"] = units.height_from_j2735(data["height"])
    if "mass" in data:
        fields["mass_kg"] = units.mass_from_j2735(data["mass"])
    if probe is not None:
        fields["surroundings"] = _read_weather(probe)
    return fields


def _read_weather(probe: Mapping[str, Any]) -> Surroundings:
    """A wiper state that nobody knows is left out."""
    rates = probe.get("rainRates", {})
    temperature, pressure = probe.get("airTemp"), probe.get("airPressure")
    return Surroundings(
        air_temperature_k=None
        if temperature is None
        else units.air_temperature_from_j2735(temperature),
        air_pressure_pa=None if pressure is None else units.air_pressure_from_j2735(pressure),
        wiper_front=_WIPERS.get(rates.get("statusFront", "")),
        wiper_rear=_WIPERS.get(rates.get("statusRear", "")),
    )

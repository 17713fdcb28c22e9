"""A message in SI <-> the tree of wire integers that the codec reads and writes."""

from collections.abc import Iterable
from enum import Enum
from typing import Any, Final, TypeVar

from agent.bsm import units
from agent.bsm.message import Applied, BasicSafetyMessage, Brakes, Control, Transmission, Wheel
from agent.bsm.uper import Tree
from agent.errors import MalformedInputError

EVENTS: Final = (
    "eventHazardLights",
    "eventStopLineViolation",
    "eventABSactivated",
    "eventTractionControlLoss",
    "eventStabilityControlactivated",
    "eventHazardousMaterials",
    "eventReserved1",
    "eventHardBraking",
    "eventLightsChanged",
    "eventWipersChanged",
    "eventFlatTire",
    "eventDisabledVehicle",
    "eventAirBagDeployment",
    "eventJackKnife",
)
"""SAE J2735, DE_VehicleEventFlags, from bit 0; the last one came in 2024."""
EVENT_BITS: Final = 13  # without the extension of the size

LIGHTS: Final = (
    "lowBeamHeadlightsOn",
    "highBeamHeadlightsOn",
    "leftTurnSignalOn",
    "rightTurnSignalOn",
    "hazardSignalOn",
    "automaticLightControlOn",
    "daytimeRunningLightsOn",
    "fogLightOn",
    "parkingLightsOn",
)
"""SAE J2735, DE_ExteriorLights, from bit 0."""

WHEELS: Final = ("unavailable", "leftFront", "leftRear", "rightFront", "rightRear")
"""SAE J2735, DE_BrakeAppliedStatus, from bit 0."""

UNAVAILABLE: Final = "unavailable"
VEHICLE_SAFETY: Final = 0  # SAE J2735, PartII-Id

_State = TypeVar("_State", bound=Enum)


def to_tree(message: BasicSafetyMessage) -> Tree:
    """Part II is there only when an event flag or a light is set, as field units send it."""
    tree: Tree = {"coreData": _core(message)}
    extension: Tree = {}
    if message.events:
        extension["events"] = _to_bits(message.events, EVENTS, EVENT_BITS)
    if message.lights:
        extension["lights"] = _to_bits(message.lights, LIGHTS, len(LIGHTS))
    if extension:
        tree["partII"] = [{"partII-Id": VEHICLE_SAFETY, "partII-Value": extension}]
    return tree


def from_tree(tree: Tree) -> BasicSafetyMessage:
    """Bits that have no name, and reserved states, are left out: a receiver cannot read them."""
    core = tree["coreData"]
    safety = _vehicle_safety(tree)
    accuracy, accel = core["accuracy"], core["accelSet"]
    lights = safety.get("lights")
    return BasicSafetyMessage(
        msg_count=core["msgCnt"],
        temporary_id=core["id"],
        sec_mark_ms=units.sec_mark_from_j2735(core["secMark"]),
        latitude_deg=units.latitude_from_j2735(core["lat"]),
        longitude_deg=units.longitude_from_j2735(core["long"]),
        elevation_m=units.elevation_from_j2735(core["elev"]),
        semi_major_m=units.semi_axis_from_j2735(accuracy["semiMajor"]),
        semi_minor_m=units.semi_axis_from_j2735(accuracy["semiMinor"]),
        orientation_deg=units.orientation_from_j2735(accuracy["orientation"]),
        transmission=_state(Transmission, core["transmission"]),
        speed_mps=units.speed_from_j2735(core["speed"]),
        heading_deg=units.heading_from_j2735(core["heading"]),
        steering_angle_rad=units.steering_from_j2735(core["angle"]),
        acceleration_longitudinal_mps2=units.longitudinal_from_j2735(accel["long"]),
        acceleration_lateral_mps2=units.lateral_from_j2735(accel["lat"]),
        acceleration_vertical_mps2=units.vertical_from_j2735(accel["vert"]),
        yaw_rate_radps=units.yaw_rate_from_j2735(accel["yaw"]),
        brakes=_brakes(core["brakes"]),
        width_m=units.size_from_j2735(core["size"]["width"]),
        length_m=units.size_from_j2735(core["size"]["length"]),
        events=_from_bits(safety["events"], EVENTS) if "events" in safety else frozenset(),
        lights=None if lights is None else _from_bits(lights, LIGHTS),
    )


def _core(message: BasicSafetyMessage) -> Tree:
    return {
        "msgCnt": message.msg_count,
        "id": message.temporary_id,
        "secMark": units.sec_mark_to_j2735(message.sec_mark_ms),
        "lat": units.latitude_to_j2735(message.latitude_deg),
        "long": units.longitude_to_j2735(message.longitude_deg),
        "elev": units.elevation_to_j2735(message.elevation_m),
        "accuracy": {
            "semiMajor": units.semi_axis_to_j2735(message.semi_major_m),
            "semiMinor": units.semi_axis_to_j2735(message.semi_minor_m),
            "orientation": units.orientation_to_j2735(message.orientation_deg),
        },
        "transmission": _name(message.transmission),
        "speed": units.speed_to_j2735(message.speed_mps),
        "heading": units.heading_to_j2735(message.heading_deg),
        "angle": units.steering_to_j2735(message.steering_angle_rad),
        "accelSet": {
            "long": units.longitudinal_to_j2735(message.acceleration_longitudinal_mps2),
            "lat": units.lateral_to_j2735(message.acceleration_lateral_mps2),
            "vert": units.vertical_to_j2735(message.acceleration_vertical_mps2),
            "yaw": units.yaw_rate_to_j2735(message.yaw_rate_radps),
        },
        "brakes": {
            "wheelBrakes": _wheels(message.brakes.wheels),
            "traction": _name(message.brakes.traction),
            "abs": _name(message.brakes.abs),
            "scs": _name(message.brakes.stability),
            "brakeBoost": _name(message.brakes.boost),
            "auxBrakes": _name(message.brakes.auxiliary),
        },
        "size": {
            "width": units.width_to_j2735(message.width_m),
            "length": units.length_to_j2735(message.length_m),
        },
    }


def _brakes(core: Tree) -> Brakes:
    names = _from_bits(core["wheelBrakes"], WHEELS)
    return Brakes(
        wheels=None if UNAVAILABLE in names else frozenset(Wheel(name) for name in names),
        traction=_state(Control, core["traction"]),
        abs=_state(Control, core["abs"]),
        stability=_state(Control, core["scs"]),
        boost=_state(Applied, core["brakeBoost"]),
        auxiliary=_state(Applied, core["auxBrakes"]),
    )


def _wheels(wheels: frozenset[Wheel] | None) -> tuple[bytes, int]:
    names = [UNAVAILABLE] if wheels is None else [wheel.value for wheel in wheels]
    return _to_bits(names, WHEELS, len(WHEELS))


def _name(state: Enum | None) -> str:
    return UNAVAILABLE if state is None else str(state.value)


def _state(kind: type[_State], name: str) -> _State | None:
    """The member of that name; None for "unavailable" and the reserved ones."""
    return next((state for state in kind if state.value == name), None)


def _vehicle_safety(tree: Tree) -> dict[str, Any]:
    for part in tree.get("partII", ()):
        if part["partII-Id"] == VEHICLE_SAFETY:
            return dict(part["partII-Value"])
    return {}


def _to_bits(names: Iterable[str], order: tuple[str, ...], at_least: int) -> tuple[bytes, int]:
    """Named bits as (octets, count): as many as the size, more only when a later one is set."""
    try:
        places = [order.index(name) for name in names]
    except ValueError:
        unknown = sorted(set(names) - set(order))
        raise MalformedInputError(f"no bit is called {unknown[0]!r}") from None
    count = max(at_least, *(place + 1 for place in places)) if places else at_least
    octets = (count + 7) // 8
    value = sum(1 << (8 * octets - 1 - place) for place in places)
    return value.to_bytes(octets), count


def _from_bits(value: tuple[bytes, int], order: tuple[str, ...]) -> frozenset[str]:
    octets, count = value
    bits = int.from_bytes(octets) >> (8 * len(octets) - count)
    return frozenset(
        name for place, name in enumerate(order[:count]) if bits >> (count - 1 - place) & 1
    )

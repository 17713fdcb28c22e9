"""A message in SI <-> the tree of wire integers that the codec reads and writes."""

from enum import Enum
from typing import Final

from agent.bsm import units
from agent.bsm.extensions import read_parts, write_parts
from agent.bsm.message import Applied, BasicSafetyMessage, Brakes, Control, Transmission, Wheel
from agent.bsm.namedbits import WHEELS, Bits
from agent.bsm.uper import Tree

UNAVAILABLE: Final = "unavailable"

# Names that are not here are "unavailable" and the reserved ones.
_TRANSMISSIONS: Final = {state.value: state for state in Transmission}
_CONTROLS: Final = {state.value: state for state in Control}
_WHEELS: Final = {wheel.value: wheel for wheel in Wheel}
_APPLIED: Final = {state.value: state for state in Applied}


def to_tree(message: BasicSafetyMessage) -> Tree:
    """Part II is there where the message has something for it."""
    tree: Tree = {"coreData": _core(message)}
    parts = write_parts(message)
    if parts:
        tree["partII"] = parts
    return tree


def from_tree(tree: Tree) -> BasicSafetyMessage:
    """Bits that have no name, and reserved states, are left out: a receiver cannot read them."""
    core = tree["coreData"]
    accuracy, accel = core["accuracy"], core["accelSet"]
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
        transmission=_TRANSMISSIONS.get(core["transmission"]),
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
        **read_parts(tree),
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
    names = WHEELS.decode(core["wheelBrakes"])
    return Brakes(
        wheels=None if UNAVAILABLE in names else frozenset(_WHEELS[name] for name in names),
        traction=_CONTROLS.get(core["traction"]),
        abs=_CONTROLS.get(core["abs"]),
        stability=_CONTROLS.get(core["scs"]),
        boost=_APPLIED.get(core["brakeBoost"]),
        auxiliary=_APPLIED.get(core["auxBrakes"]),
    )


def _wheels(wheels: frozenset[Wheel] | None) -> Bits:
    if wheels is None:
        return WHEELS.encode((UNAVAILABLE,))
    return WHEELS.encode(wheel.value for wheel in wheels)


def _name(state: Enum | None) -> str:
    return UNAVAILABLE if state is None else str(state.value)

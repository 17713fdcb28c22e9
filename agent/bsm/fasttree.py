"""Part I and VehicleSafetyExtensions: the flat values of core.py and partii.py <-> trees.

A tree that is not exactly a message of that shape is answered with None: a member too many, a
list that is a tuple, a True for a 1. The reference path then finds out what it thinks of it.
"""

from operator import itemgetter
from typing import Any, Final

from agent.bsm.core import Core
from agent.bsm.partii import A_POINT, EVENT_BITS, LIGHT_BITS, Safety, decode_safety, encode_safety
from agent.bsm.uper import Tree
from agent.errors import MalformedInputError

_TRANSMISSION: Final = (
    "neutral",
    "park",
    "forwardGears",
    "reverseGears",
    "reserved1",
    "reserved2",
    "reserved3",
    "unavailable",
)
_CONTROL: Final = ("unavailable", "off", "on", "engaged")
_APPLIED: Final = ("unavailable", "off", "on", "reserved")
_WHEEL_BITS: Final = 5
_WHEELS: Final = tuple((bytes([bits << 3]), _WHEEL_BITS) for bits in range(32))
_MEMBERS: Final = 14  # of BSMcoreData

_TRANSMISSIONS: Final = {name: number for number, name in enumerate(_TRANSMISSION)}
_CONTROLS: Final = {name: number for number, name in enumerate(_CONTROL)}
_SAFETY: Final = {"events", "pathHistory", "pathPrediction", "lights"}
_FLAGS: Final = 2  # octets of the events and of the lights
_PREDICTION: Final = {"radiusOfCurve", "confidence"}
_A_POINT: Final = itemgetter("latOffset", "lonOffset", "elevationOffset", "timeOffset")
_APPLIEDS: Final = {name: number for number, name in enumerate(_APPLIED)}


def tree_of(core: Core) -> Tree:
    """Members in the order of the module."""
    return {
        "msgCnt": core.msg_count,
        "id": core.temporary_id,
        "secMark": core.sec_mark,
        "lat": core.latitude,
        "long": core.longitude,
        "elev": core.elevation,
        "accuracy": {
            "semiMajor": core.semi_major,
            "semiMinor": core.semi_minor,
            "orientation": core.orientation,
        },
        "transmission": _TRANSMISSION[core.transmission],
        "speed": core.speed,
        "heading": core.heading,
        "angle": core.steering_angle,
        "accelSet": {
            "long": core.acceleration_long,
            "lat": core.acceleration_lat,
            "vert": core.acceleration_vert,
            "yaw": core.yaw_rate,
        },
        "brakes": {
            "wheelBrakes": _WHEELS[core.wheel_brakes],
            "traction": _CONTROL[core.traction],
            "abs": _CONTROL[core.abs],
            "scs": _CONTROL[core.stability],
            "brakeBoost": _APPLIED[core.brake_boost],
            "auxBrakes": _APPLIED[core.aux_brakes],
        },
        "size": {"width": core.width, "length": core.length},
    }


def core_of(data: Any) -> Core | None:
    """None where a member is missing, too many or of another type; ranges are not looked at."""
    if type(data) is not dict or len(data) != _MEMBERS:
        return None
    try:
        accuracy, accel, brakes = data["accuracy"], data["accelSet"], data["brakes"]
        size = data["size"]
        if not type(accuracy) is type(accel) is type(brakes) is type(size) is dict:
            return None
        if (len(accuracy), len(accel), len(brakes), len(size)) != (3, 4, 6, 2):
            return None
        wheels, bits = brakes["wheelBrakes"]
        core = Core(
            data["msgCnt"],
            data["id"],
            data["secMark"],
            data["lat"],
            data["long"],
            data["elev"],
            accuracy["semiMajor"],
            accuracy["semiMinor"],
            accuracy["orientation"],
            _TRANSMISSIONS[data["transmission"]],
            data["speed"],
            data["heading"],
            data["angle"],
            accel["long"],
            accel["lat"],
            accel["vert"],
            accel["yaw"],
            wheels[0] >> 3,
            _CONTROLS[brakes["traction"]],
            _CONTROLS[brakes["abs"]],
            _CONTROLS[brakes["scs"]],
            _APPLIEDS[brakes["brakeBoost"]],
            _APPLIEDS[brakes["auxBrakes"]],
            size["width"],
            size["length"],
        )
    except (LookupError, TypeError, ValueError):
        return None
    fits = type(wheels) is bytes and len(wheels) == 1 and type(bits) is int and bits == _WHEEL_BITS
    return core if fits and _whole(core) else None


def _whole(core: Core) -> bool:
    """Whether the members that are no names are plain int: True is not 1 in a tree."""
    return (
        type(core.msg_count)
        is type(core.sec_mark)
        is type(core.latitude)
        is type(core.longitude)
        is type(core.elevation)
        is type(core.semi_major)
        is type(core.semi_minor)
        is type(core.orientation)
        is type(core.speed)
        is type(core.heading)
        is type(core.steering_angle)
        is type(core.acceleration_long)
        is type(core.acceleration_lat)
        is type(core.acceleration_vert)
        is type(core.yaw_rate)
        is type(core.width)
        is type(core.length)
        is int
    )


def safety_opened(octets: bytes) -> Tree | None:
    """The tree of an encoded VehicleSafetyExtensions."""
    safety = decode_safety(octets)
    return None if safety is None else _safety_tree(safety)


def safety_octets(tree: Any) -> bytes | None:
    """The encoded value of a tree."""
    safety = _safety_of(tree)
    try:
        return None if safety is None else encode_safety(safety)
    except MalformedInputError:
        return None


def _safety_tree(safety: Safety) -> Tree:
    """Members in the order of the module."""
    tree: Tree = {}
    if safety.events is not None:
        tree["events"] = ((safety.events << 8 * _FLAGS - EVENT_BITS).to_bytes(_FLAGS), EVENT_BITS)
    if safety.path:
        each = iter(safety.path)
        tree["pathHistory"] = {
            "crumbData": [
                {"latOffset": lat, "lonOffset": lon, "elevationOffset": up, "timeOffset": back}
                for lat, lon, up, back in zip(each, each, each, each, strict=True)
            ]
        }
    if safety.radius is not None:
        tree["pathPrediction"] = {
            "radiusOfCurve": safety.radius,
            "confidence": safety.confidence,
        }
    if safety.lights is not None:
        tree["lights"] = ((safety.lights << 8 * _FLAGS - LIGHT_BITS).to_bytes(_FLAGS), LIGHT_BITS)
    return tree


def _safety_of(tree: Any) -> Safety | None:
    """None where a member is another, too many or of another type; ranges are not looked at."""
    if type(tree) is not dict or not tree.keys() <= _SAFETY:
        return None
    try:
        radius, confidence = _prediction(tree)
        return Safety(
            events=_flags(tree["events"], EVENT_BITS) if "events" in tree else None,
            path=_path(tree["pathHistory"]) if "pathHistory" in tree else (),
            radius=radius,
            confidence=confidence,
            lights=_flags(tree["lights"], LIGHT_BITS) if "lights" in tree else None,
        )
    except (LookupError, TypeError, ValueError):
        return None


def _flags(value: Any, bits: int) -> int:
    octets, count = value
    if type(octets) is bytes and len(octets) == _FLAGS and type(count) is int and count == bits:
        return int.from_bytes(octets) >> 8 * _FLAGS - bits
    raise ValueError


def _path(value: Any) -> tuple[int, ...]:
    crumbs = value["crumbData"]
    if not crumbs or len(value) != 1 or type(value) is not dict or type(crumbs) is not list:
        raise ValueError
    path: list[int] = []
    for crumb in crumbs:
        lat, lon, up, back = _A_POINT(crumb)
        if not type(lat) is type(lon) is type(up) is type(back) is int:
            raise ValueError
        if type(crumb) is not dict or len(crumb) != A_POINT:
            raise ValueError
        path += (lat, lon, up, back)
    return tuple(path)


def _prediction(tree: Tree) -> tuple[int | None, int | None]:
    if "pathPrediction" not in tree:
        return None, None
    value = tree["pathPrediction"]
    if type(value) is not dict or value.keys() != _PREDICTION:
        raise ValueError
    radius, confidence = value["radiusOfCurve"], value["confidence"]
    if not type(radius) is type(confidence) is int:
        raise ValueError
    return radius, confidence

"""Messages as the Operational Data Environment wrote them up to schema 8: engineering units.

    {"coreData": {"msgCnt": 38, "id": "5B820000", "position": {"latitude": 41.0997729, ...
     "partII": [{"id": "VehicleSafetyExtensions", "value": {"pathHistory": {...

What is unavailable is left out there; newer exports write the bare code of the wire instead, and
both are understood. Two quirks are kept as they are: the radius of a straight path is 0.0, and
old exports wrote an unavailable transmission as NEUTRAL.

Facts: jpo-ode, schemas 3 to 8 and the classes that fill them.
"""

from collections.abc import Mapping
from typing import Any

from agent.bsm.codec import PART_II, Codec
from agent.bsm.odeform import (
    ALWAYS,
    FUELS,
    OWN,
    POSITION,
    PRIVATE,
    SPELLED,
    UNAVAILABLE,
    ZERO,
    is_true,
    number,
)
from agent.bsm.scales import scale_of
from agent.bsm.si import STRAIGHT
from agent.bsm.uper import BitString, Boolean, Enumerated, Integer, Sequence, SequenceOf, Tree
from agent.errors import MalformedInputError


def from_ode(codec: Codec, data: Any) -> Tree:
    """data: what `payload.data` holds. Raises MalformedInputError that names the component.

    What Part I lacks is unavailable on the wire, msgCnt and yaw, which have no such code, 0;
    without an id there is no message.
    """
    if not isinstance(data, Mapping) or not isinstance(data.get("coreData"), Mapping):
        raise MalformedInputError("payload.data has no coreData")
    parts = data.get("partII") or []
    if not isinstance(parts, list):
        raise MalformedInputError("partII is not a list")
    core = {**data["coreData"]}
    position = core.pop("position", None) or {}
    if not isinstance(position, Mapping):
        raise MalformedInputError("position is not an object")
    core.update({ours: position.get(theirs) for theirs, ours in POSITION.items()})
    tree: Tree = {"coreData": _taken(_core(codec), core, "coreData")}
    if parts:
        tree["partII"] = [_part_from(codec, part) for part in parts]
    return tree


def to_ode(codec: Codec, tree: Tree) -> dict[str, Any]:
    """What `payload.data` holds. Unknown Part II entries and regional extensions are left out."""
    core = _shown(_core(codec), tree["coreData"])
    position = {theirs: core.pop(ours) for theirs, ours in POSITION.items() if ours in core}
    core |= {"position": position, "transmission": core["transmission"].upper()}
    parts = [
        {"id": PART_II[part["partII-Id"]], "value": _shown(kind, part["partII-Value"])}
        for part in tree.get("partII", ())
        if (kind := codec.types.get(PART_II.get(part["partII-Id"], ""))) is not None
    ]
    return {"coreData": core, "partII": parts}


def _core(codec: Codec) -> Any:
    return next(m for m in codec.types["BasicSafetyMessage"].root_members if m.name == "coreData")


def _part_from(codec: Codec, part: Any) -> Tree:
    match part:
        case {"id": str(name), "value": dict(value)} if name in PART_II.values():
            number = next(number for number, known in PART_II.items() if known == name)
            return {"partII-Id": number, "partII-Value": _taken(codec.types[name], value, name)}
    raise MalformedInputError("partII has an entry without the id and the value of an extension")


def _taken(kind: Any, value: Any, path: str) -> Any:
    """The wire's form of one component; None becomes unavailable, where it can."""
    if isinstance(kind, Sequence):
        return _sequence(kind, value, path)
    if isinstance(kind, SequenceOf):
        if not isinstance(value, list):
            raise MalformedInputError(f"{path} is not a list")
        return [_taken(kind.element_type, v, f"{path}[{i}]") for i, v in enumerate(value)]
    if isinstance(kind, Integer):
        return _code(kind, value, path)
    return _leaf(kind, value, path)


def _leaf(kind: Any, value: Any, path: str) -> Any:
    if isinstance(kind, Enumerated):
        wanted = UNAVAILABLE if value is None else str(value).casefold().replace("_", "-")
        names = (name for name in kind.root_data_to_index if name.casefold() == wanted)
        return next(names, value)  # the codec refuses what is no name
    if isinstance(kind, BitString):
        return _bits(kind, value, path)
    if isinstance(kind, Boolean):
        return is_true(value, path)
    if value is None:
        raise MalformedInputError(f"{path} is missing")
    return _octets(value, path)


def _sequence(kind: Any, value: Any, path: str) -> Tree:
    if value is None and kind.name in ALWAYS:
        value = {}
    if not isinstance(value, Mapping):
        raise MalformedInputError(f"{path} is not an object")
    ours = SPELLED.get(kind.type_name) or SPELLED.get(kind.name) or {}
    given = {ours.get(name, name): v for name, v in value.items() if v is not None}
    given.pop("regional", None)  # its form here names no region
    members = {member.name: member for member in (*kind.root_members, *(kind.additions or ()))}
    for name in given:
        if name not in members:
            raise MalformedInputError(f"{path} has no member {name!r:.40}")
    return {
        name: _taken(member, given.get(name), f"{path}.{name}")
        for name, member in members.items()
        if name in given or not member.optional
    }


def _code(kind: Any, value: Any, path: str) -> int:
    scale = OWN.get(kind.type_name) or scale_of(kind)
    nothing = 0 if kind.type_name in ZERO else scale.none
    if value is None and nothing is not None and kind.name != "radiusOfCurve":
        return nothing
    if kind.type_name == "FuelType" and value in FUELS:
        return FUELS.index(value)
    quantity = number(value, path)
    if kind.name == "radiusOfCurve" and quantity == 0:
        return STRAIGHT
    code = scale.code(quantity)
    if kind.type_name == "Heading" and code == scale.none and quantity != code:
        return 0  # 360 degrees
    if kind.minimum <= code <= kind.maximum and code != scale.none:
        return code
    if quantity != scale.none:
        low, high = (scale.quantity(code) for code in _ends(kind, scale.none))
        shown = "" if kind.type_name in PRIVATE else f" {quantity:g},"
        raise MalformedInputError(f"{path} is{shown} beyond {low} .. {high}")
    return scale.none


def _ends(kind: Any, none: int | None) -> tuple[int, int]:
    """The range of the codes that say something."""
    return kind.minimum + (kind.minimum == none), kind.maximum - (kind.maximum == none)


def _bits(kind: Any, value: Any, path: str) -> tuple[bytes, int]:
    """Of {name: whether it is set}, or of the names that are; None is unavailable."""
    if value is None:
        value = [UNAVAILABLE]
    if isinstance(value, Mapping):
        value = [name for name, is_set in value.items() if is_true(is_set, f"{path}.{name}")]
    places = {name.casefold(): place for name, place in kind.named_bits or ()}
    if not isinstance(value, list) or not all(str(name).casefold() in places for name in value):
        raise MalformedInputError(f"{path} does not name its bits")
    wanted = [places[str(name).casefold()] for name in value]
    count = max([kind.minimum, *(place + 1 for place in wanted)])
    bits = sum({1 << (count - 1 - place) for place in wanted}) << -count % 8
    return bits.to_bytes((count + 7) // 8), count


def _octets(value: Any, path: str) -> bytes:
    try:
        return bytes.fromhex(value.removeprefix("0x"))
    except (AttributeError, ValueError) as error:
        raise MalformedInputError(f"{path} is not hexadecimal digits") from error


def _shown(kind: Any, value: Any) -> Any:
    if isinstance(kind, Sequence):
        members = {member.name: member for member in (*kind.root_members, *(kind.additions or ()))}
        theirs = {v: k for k, v in SPELLED.get(kind.type_name, {}).items() if "doNot" not in k}
        shown = {
            theirs.get(name, name): _shown(members[name], part)
            for name, part in value.items()
            if name in members and name != "regional"
        }
        return {name: part for name, part in shown.items() if part is not None}
    if isinstance(kind, SequenceOf):
        return [_shown(kind.element_type, entry) for entry in value]
    if isinstance(kind, Integer):
        return _quantity(kind, value)
    if isinstance(kind, BitString):
        bits = f"{int.from_bytes(value[0]):0{8 * len(value[0])}b}"[: value[1]]
        named = [(name, place) for name, place in kind.named_bits or () if place < value[1]]
        return {name: bits[place] == "1" for name, place in named}
    return value.hex().upper() if isinstance(value, bytes) else value


def _quantity(kind: Any, code: int) -> Any:
    if kind.type_name == "FuelType":
        return FUELS[code] if code < len(FUELS) else code
    if kind.name == "radiusOfCurve" and code == STRAIGHT:
        return 0.0
    quantity = (OWN.get(kind.type_name) or scale_of(kind)).quantity(code)
    return quantity if quantity is None or isinstance(quantity, int) else round(quantity, 9)

"""A message tree as JSON in the form of the ODE's schema 9, and back.

JER (ITU-T X.697) as asn1c writes it: whole numbers, names of enumerations, octet strings as
upper-case hexadecimal digits, a BIT STRING of one size as the digits of its octets and an
extensible one as {"value": digits, "length": bits}; an open type is {type name: value}.

    {"messageId": 20, "value": {"BasicSafetyMessage": {"coreData": {"msgCnt": 25, ...
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

from agent.bsm.codec import BSM_ID, PART_II, Codec
from agent.bsm.odejson import from_ode
from agent.bsm.uper import ADDITIONS, BitString, OctetString, Sequence, SequenceOf, Tree
from agent.errors import MalformedInputError

MESSAGE = "BasicSafetyMessage"
PARTS = "partII"


def to_jer(codec: Codec, tree: Tree) -> dict[str, Any]:
    """The message frame of a tree as `Codec.decode_tree` gives it."""
    body: dict[str, Any] = _walk(codec.types[MESSAGE], {**tree, PARTS: []}, _shown)
    parts = [_part_to_jer(codec, part) for part in tree.get(PARTS, ())]
    body = {name: parts if name == PARTS else body[name] for name in tree}
    return {"messageId": BSM_ID, "value": {MESSAGE: body}}


def from_jer(codec: Codec, frame: Any) -> Tree:
    """The tree for `Codec.encode_tree`. Raises MalformedInputError."""
    match frame:
        case {"messageId": int(number), "value": {"BasicSafetyMessage": dict(body)}}:
            parts = body.get(PARTS)
        case _:
            raise MalformedInputError(f"not an object with messageId and value.{MESSAGE}")
    if number != BSM_ID:
        raise MalformedInputError(f"message {number}; a basic safety message is {BSM_ID}")
    tree: Tree = _walk(codec.types[MESSAGE], {**body, PARTS: []}, _taken)
    del tree[PARTS]
    if parts is not None:
        if not isinstance(parts, list):
            raise MalformedInputError("partII is not a list")
        tree[PARTS] = [_part_from_jer(codec, part) for part in parts]
    return tree


def document(text: str) -> dict[str, Any]:
    """The JSON object on a line. Raises MalformedInputError."""
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise MalformedInputError("JSON nested too deeply") from error
    except ValueError as error:
        raise MalformedInputError(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedInputError("not a JSON object")
    return value


def from_document(codec: Codec, value: Mapping[str, Any]) -> Tree:
    """The tree in a line of `bsm decode`, in a bare message frame, or in a record of the ODE.

    Raises MalformedInputError.
    """
    match value:
        case {"ok": False}:
            raise MalformedInputError("this line says that it was not decoded")
        case {"messageFrame": frame}:
            return from_jer(codec, frame)
        case {"payload": {"data": {"coreData": _} as data}}:
            return from_ode(codec, data)
        case {"payload": {"data": frame}}:
            return from_jer(codec, frame)
    return from_jer(codec, value)


def _part_to_jer(codec: Codec, part: Tree) -> dict[str, Any]:
    number, value = part["partII-Id"], part["partII-Value"]
    if isinstance(value, bytes):
        return {"partII-Id": number, "partII-Value": _digits(value)}
    name = PART_II[number]
    return {"partII-Id": number, "partII-Value": {name: _walk(codec.types[name], value, _shown)}}


def _part_from_jer(codec: Codec, part: Any) -> Tree:
    match part:
        case {"partII-Id": int(number), "partII-Value": str(digits)}:
            return {"partII-Id": number, "partII-Value": _octets(digits)}
        case {"partII-Id": int(number), "partII-Value": dict(opened)} if number in PART_II:
            name = PART_II[number]
            if set(opened) == {name}:
                value = _walk(codec.types[name], opened[name], _taken)
                return {"partII-Id": number, "partII-Value": value}
    raise MalformedInputError("partII has an entry without a number and a value of its type")


def _walk(kind: Any, value: Any, leaf: Callable[[Any, Any], Any]) -> Any:
    """The value with `leaf` applied wherever JSON and the tree differ."""
    if isinstance(kind, Sequence) and isinstance(value, Mapping):
        members = {member.name: member for member in (*kind.root_members, *(kind.additions or ()))}
        return {name: _walk(members.get(name, name), value[name], leaf) for name in value}
    if isinstance(kind, SequenceOf) and isinstance(value, list):
        return [_walk(kind.element_type, entry, leaf) for entry in value]
    if kind == ADDITIONS and isinstance(value, list):
        return [None if entry is None else leaf(kind, entry) for entry in value]
    if isinstance(kind, BitString | OctetString) or kind == ADDITIONS:
        return leaf(kind, value)
    return value


def _shown(kind: Any, value: Any) -> Any:
    if not isinstance(kind, BitString):
        return _digits(value)
    octets, count = value
    digits = _digits(octets)
    return {"value": digits, "length": count} if kind.has_extension_marker else digits


def _taken(kind: Any, value: Any) -> Any:
    if not isinstance(kind, BitString):
        return _octets(value)
    match value:
        case str(digits):
            return _octets(digits), kind.minimum
        case {"value": str(digits), "length": int(count)}:
            return _octets(digits), count
    raise MalformedInputError(f"{kind.name}: neither digits nor a value and a length")


def _digits(octets: bytes) -> str:
    return octets.hex().upper()


def _octets(digits: Any) -> bytes:
    try:
        return bytes.fromhex(digits)
    except (TypeError, ValueError) as error:
        raise MalformedInputError("octets that are not hexadecimal digits") from error

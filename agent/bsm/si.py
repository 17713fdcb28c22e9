"""A message as physical quantities for people: one flat object, the unit in each name.

None is what the message calls unavailable. Signs and zero points are J2735's own: steering,
lateral acceleration and yaw to the right, vertical acceleration down. docs/formats/bsm-json.md
lists the names.

    physical(codec, tree)      # {"msg_count": 25, "lat_deg": 40.5671913, "speed_mps": None, ...
"""

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from agent.bsm.codec import PART_II, Codec
from agent.bsm.scales import SCALES, scale_of
from agent.bsm.uper import ADDITIONS, BitString, Enumerated, Integer, Sequence, SequenceOf, Tree

UNAVAILABLE: Final = frozenset({"unavailable", "peUnavailable", "notEquipped"})
"""Names, of a state or of a bit, that say that nothing is known."""
STRAIGHT: Final = 32767  # DE_RadiusOfCurvature
PLACES: Final = 9  # decimals: the finest step is 1e-7

PREFIXES: Final = {
    "accuracy": "",
    "accelSet": "",
    "brakes": "",
    "size": "",
    "posAccuracy": "",
    "pathHistory": "path_",
    "pathPrediction": "path_",
    "initialPosition": "start_",
    "speed": "",
}
"""Component -> what its members' names begin with; for all others it is their own name."""
NAMES: Final = {"msgCnt": "msg_count", "transmisson": "transmission", "currGNSSstatus": "gnss"}
LISTS: Final = {("path_", "crumbData"): "path_points"}

_HUMP: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|-")


def physical(codec: Codec, tree: Tree) -> dict[str, Any]:
    """The quantities of a tree as `Codec.decode_tree` gives it.

    Part II entries that nobody knows, regional extensions and additions of later editions have
    none and are left out.
    """
    core = next(m for m in codec.types["BasicSafetyMessage"].root_members if m.name == "coreData")
    result = _flat(core, tree["coreData"], "")
    for part in tree.get("partII", ()):
        name = PART_II.get(part["partII-Id"])
        if name is not None and isinstance(part["partII-Value"], Mapping):
            result.update(_flat(codec.types[name], part["partII-Value"], ""))
    _place(result)
    return result


def _flat(kind: Any, tree: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    members = {member.name: member for member in (*kind.root_members, *(kind.additions or ()))}
    result: dict[str, Any] = {}
    for name, value in tree.items():
        member = members.get(name)
        if name in {"regional", ADDITIONS} or member is None:
            continue
        if isinstance(member, Sequence):
            result.update(_flat(member, value, prefix + PREFIXES.get(name, _snake(name) + "_")))
            continue
        if name == "radiusOfCurve":
            result[prefix + "straight"] = value == STRAIGHT
        key, shown = _shown(member, value)
        result[LISTS.get((prefix, name), prefix + key)] = shown
    return result


def _shown(kind: Any, value: Any) -> tuple[str, Any]:
    """Name and value of one component."""
    name = NAMES.get(kind.name) or _snake(kind.name)
    if isinstance(kind, Integer):
        scale = scale_of(kind)
        quantity = scale.quantity(value)
        return scale.key.format(name), None if quantity is None else round(quantity, PLACES)
    if isinstance(kind, SequenceOf):
        return _list(kind, name, value)
    if isinstance(kind, BitString):
        return name, _bits(kind, value)
    if isinstance(kind, Enumerated):
        return name, None if value in UNAVAILABLE else value
    return name, value.hex().upper() if isinstance(value, bytes) else value


def _list(kind: Any, name: str, entries: list[Any]) -> tuple[str, list[Any]]:
    scale = SCALES.get(kind.name)
    if scale is not None:
        return scale.key.format(name), [scale.quantity(entry) for entry in entries]
    entry = kind.element_type
    if isinstance(entry, Sequence):
        return name, [_flat(entry, value, "") for value in entries]
    return name, [_shown(entry, value)[1] for value in entries]


def _bits(kind: Any, value: tuple[bytes, int]) -> list[str] | None:
    """Names of the bits that are set; None where one of them says that nothing is known."""
    octets, count = value
    names = {place: name for name, place in kind.named_bits or ()}
    bits = int.from_bytes(octets) >> (8 * len(octets) - count)
    places = [place for place in range(count) if bits >> (count - 1 - place) & 1]
    found = [names.get(place, f"bit{place}") for place in places]
    return None if UNAVAILABLE.intersection(found) else found


def _place(result: dict[str, Any]) -> None:
    """Give each point of the path its place: here, or where the path begins, minus its offset."""
    start = "path_start_" if "path_start_lat_deg" in result else ""
    for point in result.get("path_points", ()):
        for name in ("lat_deg", "lon_deg", "elev_m"):
            here = result.get(start + name)
            quantity, unit = name.split("_")
            offset = point[f"{quantity}_offset_{unit}"]
            known = here is not None and offset is not None
            point[name] = _wrapped(round(here - offset, PLACES)) if known else None


def _wrapped(value: float) -> float:
    """Across the antimeridian; no latitude and no elevation of a car is beyond it."""
    return round(value - math.copysign(360, value), PLACES) if 180 < abs(value) <= 181 else value  # noqa: PLR2004


def _snake(name: str) -> str:
    return _HUMP.sub("_", name).lower()

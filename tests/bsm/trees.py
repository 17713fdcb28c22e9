"""Any message that the module allows, as a hypothesis strategy made from the compiled types."""

import os
from collections.abc import Callable, Mapping
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from agent.bsm.codec import PART_II, Codec
from agent.bsm.uper import (
    ADDITIONS,
    BitString,
    Boolean,
    Enumerated,
    Integer,
    OctetString,
    Sequence,
    SequenceOf,
    Tree,
)
from tests.bsm.layout import packed

EXAMPLES = int(os.environ.get("AMO_EXAMPLES", "200"))
"""Messages to try; ten times as many strings of octets."""

SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)

POINT = {"latOffset": -131072, "lonOffset": 131071, "elevationOffset": -2048, "timeOffset": 1}


def messages(types: Mapping[str, Any]) -> st.SearchStrategy[Tree]:
    """Trees for `encode_tree`, every optional on and off, every bound."""
    known = [
        st.fixed_dictionaries({"partII-Id": st.just(number), "partII-Value": _any(types[name])})
        for number, name in PART_II.items()
    ]
    unknown = st.fixed_dictionaries(
        {"partII-Id": st.integers(3, 63), "partII-Value": st.binary(max_size=140)}
    )
    parts = st.lists(st.one_of(known[0], *known, unknown), min_size=1, max_size=3)
    crowd = st.lists(unknown, min_size=8, max_size=8)
    bsm = types["BasicSafetyMessage"]
    core, _, regional = (_any(member) for member in bsm.root_members)
    alone = {"coreData": core}
    followed = {"coreData": core, "partII": st.one_of(parts, parts, parts, crowd)}
    rest = {"regional": regional, **_later(bsm)}
    return st.one_of(
        st.fixed_dictionaries(followed),
        st.fixed_dictionaries(followed),
        st.fixed_dictionaries(followed, optional=rest),
        st.fixed_dictionaries(alone, optional=rest),
    )


def usual(types: Mapping[str, Any]) -> st.SearchStrategy[Tree]:
    """Trees of the shapes that have a compiled format, up to the longest."""
    core = _any(types["BasicSafetyMessage"].root_members[0])
    events, history, prediction, lights = types["VehicleSafetyExtensions"].root_members
    point = _any(history.root_members[-1].element_type).map(_without_options)
    path = st.lists(point, min_size=1, max_size=23).map(lambda points: {"crumbData": points})
    safety = st.fixed_dictionaries(
        {},
        optional={
            "events": _bits(events.minimum),
            "pathHistory": path,
            "pathPrediction": _any(prediction).map(_without_options),
            "lights": _bits(lights.minimum),
        },
    )
    part = st.fixed_dictionaries({"partII-Id": st.just(0), "partII-Value": safety})
    return st.fixed_dictionaries({"coreData": core}, optional={"partII": st.tuples(part).map(list)})


def _without_options(tree: Tree) -> Tree:
    return {name: tree[name] for name in tree if name in _BARE}


_BARE = frozenset(
    {
        "latOffset",
        "lonOffset",
        "elevationOffset",
        "timeOffset",
        "radiusOfCurve",
        "confidence",
    }
)


def _any(kind: Any) -> st.SearchStrategy[Any]:
    return _BY_CLASS[type(kind)](kind)


def _integer(kind: Any) -> st.SearchStrategy[int]:
    bounds = st.sampled_from([kind.minimum, kind.maximum])
    return st.one_of(bounds, st.integers(kind.minimum, kind.maximum))


def _name(kind: Any) -> st.SearchStrategy[str]:
    later = [] if kind.additions_index_to_data is None else ["extension-0", "extension-63"]
    return st.sampled_from([*kind.root_data_to_index, *later])


def _flags(kind: Any) -> st.SearchStrategy[tuple[bytes, int]]:
    if not kind.has_extension_marker:
        return _bits(kind.minimum)
    later = st.sampled_from([0, 1, kind.minimum + 1, 130]).flatmap(_bits)
    return st.one_of(_bits(kind.minimum), _bits(kind.minimum), later)


def _octets(kind: Any) -> st.SearchStrategy[bytes]:
    if kind.number_of_bits is None:
        return st.one_of(st.binary(max_size=8), st.just(b"\x5a" * 128))
    most = st.just(b"\xa5" * kind.maximum)
    few = st.binary(min_size=kind.minimum, max_size=min(kind.maximum, kind.minimum + 6))
    return st.one_of(few, few, few, most)


def _bits(count: int) -> st.SearchStrategy[tuple[bytes, int]]:
    size = (count + 7) // 8
    whole = st.integers(0, (1 << count) - 1).map(lambda bits: bits << -count % 8)
    return whole.map(lambda bits: (bits.to_bytes(size), count))


def _list(kind: Any) -> st.SearchStrategy[list[Any]]:
    """Short, or as long as it may be."""
    entry = _any(kind.element_type)
    few = st.lists(entry, min_size=kind.minimum, max_size=min(kind.maximum, kind.minimum + 2))
    full = st.tuples(few, entry).map(lambda both: [*both[0], *[both[1]] * kind.maximum])
    return st.one_of(few, few, full.map(lambda entries: entries[: kind.maximum]))


def _members(kind: Any) -> st.SearchStrategy[Tree]:
    always = {member.name: _any(member) for member in kind.root_members if not member.optional}
    perhaps = {member.name: _any(member) for member in kind.root_members if member.optional}
    for member in kind.additions or ():
        perhaps[member.name] = _any(member)
    return st.fixed_dictionaries(always, optional={**perhaps, **_later(kind)})


def _later(kind: Any) -> dict[str, st.SearchStrategy[Any]]:
    """Additions of editions to come, behind those that the module declares."""
    if kind.additions is None:
        return {}
    unknown = st.lists(st.one_of(st.none(), st.binary(min_size=1, max_size=4)), max_size=2)
    last = st.binary(min_size=1, max_size=130)
    absent: list[bytes | None] = [None] * len(kind.additions)
    entries = st.tuples(unknown, last).map(lambda both: [*absent, *both[0], both[1]])
    return {ADDITIONS: entries}


_BY_CLASS: Mapping[type, Callable[[Any], st.SearchStrategy[Any]]] = {
    Boolean: lambda _: st.booleans(),
    Integer: _integer,
    Enumerated: _name,
    BitString: _flags,
    OctetString: _octets,
    SequenceOf: _list,
    Sequence: _members,
}


def with_safety(codec: Codec, safety: Tree) -> Tree:
    tree = codec.decode_tree(packed())
    return {**tree, "partII": [{"partII-Id": 0, "partII-Value": safety}]}

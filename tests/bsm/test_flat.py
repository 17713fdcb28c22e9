"""Flat values against asn1tools: the usual shapes of a message, whole and damaged."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bsm import fast
from agent.bsm.codec import Codec
from agent.bsm.core import FRAME, decode_core
from agent.bsm.uper import Tree
from agent.errors import MalformedInputError
from tests.bsm.damage import mutated
from tests.bsm.trees import EXAMPLES, POINT, SETTINGS, usual, with_safety


@pytest.fixture(scope="module")
def ordinary(codec: Codec) -> st.SearchStrategy[Tree]:
    return usual(codec.types)


@SETTINGS
@given(data=st.data())
def test_flat_values_have_the_bits_of_asn1tools(
    codec: Codec, ordinary: st.SearchStrategy[Tree], data: st.DataObject
) -> None:
    tree = data.draw(ordinary)
    frame = codec.reference.encode_tree(tree)

    core, safety = codec.decode_flat(frame)

    assert codec.encode_flat(core, safety) == frame
    assert core == decode_core(codec.encode_core(core))
    assert codec.decode_tree(frame) == tree
    assert fast.packed(tree) is not None or safety is not None


def test_any_octets_are_a_flat_message_or_refused(codec: Codec, sources: list[bytes]) -> None:
    rng = random.Random(361)
    count = 0
    for _ in range(10 * EXAMPLES):
        octets = mutated(rng.choice(sources), rng)
        try:
            core, safety = codec.decode_flat(octets)
        except MalformedInputError:
            continue
        count += 1
        assert codec.encode_flat(core, safety) in (octets, FRAME + octets)
        assert codec.reference.decode_tree(octets)
    assert count


@pytest.mark.parametrize("octets", [b"", b"\0", b"\0\x14", b"\0\x14\x80", bytes(41), bytes(43)])
def test_too_little_is_refused(codec: Codec, octets: bytes) -> None:
    with pytest.raises(MalformedInputError, match=f"{len(octets)} octets"):
        codec.decode_flat(octets)


@pytest.mark.parametrize("points", [1, 5, 13, 14, 15, 22, 23])
@pytest.mark.parametrize("others", [{}, {"events": (b"\x01\x00", 13), "lights": (b"\0\x80", 9)}])
def test_a_history_of_any_length_takes_the_fast_path(
    codec: Codec, points: int, others: Tree
) -> None:
    tree = with_safety(codec, {**others, "pathHistory": {"crumbData": [POINT] * points}})

    frame = codec.encode_tree(tree)

    core, safety = codec.decode_flat(frame)
    assert safety is not None
    assert safety.path == (-131072, 131071, -2048, 1) * points
    assert codec.encode_flat(core, safety) == frame == codec.reference.encode_tree(tree)
    assert codec.decode_tree(frame) == tree


@pytest.mark.parametrize("where", [0, 7, 22])
def test_a_raw_time_past_its_range_is_refused_in_any_point(codec: Codec, where: int) -> None:
    tree = with_safety(codec, {"pathHistory": {"crumbData": [POINT] * 23}})
    frame = bytearray(codec.encode_tree(tree))
    bits = int.from_bytes(frame)
    # counted from the end: padding of value and message, then 68 bits a point, time the lowest
    low = next(place for place in range(32) if _grown(codec, bits, place, len(frame)))
    for late in range(16):
        bits |= 1 << low + 68 * (22 - where) + late
    octets = bits.to_bytes(len(frame))

    with pytest.raises(MalformedInputError, match=r"65536 is not in 1\.\.65535"):
        codec.decode_tree(octets)
    with pytest.raises(MalformedInputError):
        codec.decode_flat(octets)


def _grown(codec: Codec, bits: int, place: int, octets: int) -> bool:
    """Whether this bit is the lowest of the last point's time."""
    try:
        tree = codec.decode_tree((bits | 1 << place).to_bytes(octets))
    except MalformedInputError:
        return False
    last: int = tree["partII"][0]["partII-Value"]["pathHistory"]["crumbData"][-1]["timeOffset"]
    return last == 2

"""The fast path against asn1tools.

AMO_EXAMPLES=100000 tries as many messages, and ten times as many strings of octets; with -s the
time of the slowest is shown.
"""

import random
import sys
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.bsm import fast, flat
from agent.bsm.codec import Codec, UndecodableError
from agent.bsm.core import decode_core
from agent.bsm.uper import Tree
from agent.errors import MalformedInputError
from tests.bsm.damage import damaged, mutated
from tests.bsm.layout import packed
from tests.bsm.trees import EXAMPLES, messages, usual

LONGEST_S = 0.010  # of processor time, for one string of octets
SETTINGS = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=False,
    suppress_health_check=list(HealthCheck),
)
POINT = {"latOffset": -131072, "lonOffset": 131071, "elevationOffset": -2048, "timeOffset": 1}


def outcome(codec: Codec, octets: bytes) -> str:
    """What decoding comes to, with the order of members and the place of an error."""
    try:
        return repr(codec.decode_tree(octets))
    except UndecodableError as error:
        return f"{error} at {error.offset}"


def timed(codec: Codec, octets: bytes) -> tuple[str, float]:
    """The outcome, and the processor time it took in seconds."""
    begun = time.thread_time()
    shown = outcome(codec, octets)
    return shown, time.thread_time() - begun


def written(codec: Codec, tree: Any) -> bytes | str:
    try:
        return codec.encode_tree(tree)
    except MalformedInputError as error:
        return f"{type(error).__name__}: {error}"


def with_safety(codec: Codec, safety: Tree) -> Tree:
    tree = codec.decode_tree(packed())
    return {**tree, "partII": [{"partII-Id": 0, "partII-Value": safety}]}


@pytest.fixture(scope="module")
def anything(codec: Codec) -> st.SearchStrategy[Tree]:
    return messages(codec.types)


@pytest.fixture(scope="module")
def ordinary(codec: Codec) -> st.SearchStrategy[Tree]:
    return usual(codec.types)


@pytest.fixture(scope="module")
def sources(codec: Codec, public: dict[str, Any]) -> list[bytes]:
    """Public messages, and one with everything that has a compiled format."""
    whole = {
        "events": (b"\x01\x00", 13),
        "pathHistory": {"crumbData": [POINT] * 5},
        "pathPrediction": {"radiusOfCurve": -32767, "confidence": 200},
        "lights": (b"\x80\x00", 9),
    }
    ours = codec.encode_tree(with_safety(codec, whole))
    return [ours, ours[3:], *(bytes.fromhex(vector["hex"]) for vector in public["vectors"])]


@SETTINGS
@given(data=st.data())
def test_fast_path_and_asn1tools_agree_on_any_message(
    codec: Codec, anything: st.SearchStrategy[Tree], data: st.DataObject
) -> None:
    tree = data.draw(anything)

    frame = codec.encode_tree(tree)

    assert frame == codec.reference.encode_tree(tree)
    assert codec.decode_tree(frame) == tree
    assert outcome(codec, frame) == outcome(codec.reference, frame)


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


@SETTINGS
@given(data=st.data(), seed=st.integers(0, 1 << 32))
def test_a_damaged_tree_is_written_or_refused_as_asn1tools_does(
    codec: Codec, anything: st.SearchStrategy[Tree], data: st.DataObject, seed: int
) -> None:
    tree = damaged(data.draw(anything), random.Random(seed))
    assert written(codec, tree) == written(codec.reference, tree)


def test_any_octets_come_to_what_asn1tools_makes_of_them(
    codec: Codec, sources: list[bytes]
) -> None:
    rng = random.Random(2735)
    longest, read = 0.0, 0
    for number in range(10 * EXAMPLES):
        octets = rng.randbytes(rng.randrange(160))
        if number % 8:
            octets = mutated(rng.choice(sources), rng)
        shown, once_s = timed(codec, octets)
        if once_s > longest:  # again: a collection of garbage is not the work of this input
            longest = max(longest, min(timed(codec, octets)[1] for _ in range(3)))
        assert shown == outcome(codec.reference, octets), octets.hex()
        read += shown.startswith("{")
    line = f"{10 * EXAMPLES} strings, {read} read, the longest took {longest * 1e3:.2f} ms"
    sys.stdout.write(f"{line}\n")
    assert 0 < read < 10 * EXAMPLES
    assert longest < LONGEST_S


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
        assert codec.encode_flat(core, safety)[-36:] == octets[-36:]
        assert codec.reference.decode_tree(octets)
    assert count
    assert not [octets for octets in (b"", b"\0", b"\0\x14", b"\0\x14\x80") if _read(octets)]


def _read(octets: bytes) -> bool:
    try:
        flat.decode_flat(octets)
    except MalformedInputError:
        return False
    return True


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


def test_the_reference_is_asn1tools_alone(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the reference took the fast path")

    for name in ("packed", "unpacked", "framed"):
        monkeypatch.setattr(fast, name, never)
    frame = codec.reference.encode_tree(codec.reference.decode_tree(packed()))
    assert len(frame) == 40
    with pytest.raises(AssertionError):
        codec.decode_tree(packed())

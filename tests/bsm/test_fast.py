"""The fast path against asn1tools.

AMO_EXAMPLES=100000 tries as many messages, and ten times as many strings of octets; with -s the
time of the slowest is shown.
"""

import random
import sys
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bsm import fast
from agent.bsm.codec import Codec, UndecodableError
from agent.bsm.uper import Tree
from agent.errors import MalformedInputError
from tests.bsm.damage import damaged, mutated
from tests.bsm.layout import packed
from tests.bsm.trees import EXAMPLES, SETTINGS, messages

LONGEST_S = 0.010  # of processor time, for one string of octets


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


@pytest.fixture(scope="module")
def anything(codec: Codec) -> st.SearchStrategy[Tree]:
    return messages(codec.types)


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


def test_the_reference_is_asn1tools_alone(codec: Codec, monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: object) -> None:
        raise AssertionError("the reference took the fast path")

    for name in ("packed", "unpacked", "framed"):
        monkeypatch.setattr(fast, name, never)
    frame = codec.reference.encode_tree(codec.reference.decode_tree(packed()))
    assert len(frame) == 40
    with pytest.raises(AssertionError):
        codec.decode_tree(packed())

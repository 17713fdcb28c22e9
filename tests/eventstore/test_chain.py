from hashlib import sha3_512

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import ClockQuality
from agent.errors import MalformedInputError
from agent.eventstore import chain
from agent.eventstore.log import Recorded
from agent.privacy import Level

LOG_ID = bytes(range(32))

recorded_events = st.builds(
    Recorded,
    seq=st.integers(0, 2**64 - 1),
    kind=st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=255),
    level=st.sampled_from(Level),
    t_ns=st.integers(-(2**63), 2**63 - 1),
    mono_ns=st.integers(0, 2**64 - 1),
    boot=st.integers(0, 2**32 - 1),
    clock=st.sampled_from(ClockQuality),
    payload=st.binary(max_size=300),
)


def event(**changes: object) -> Recorded:
    fields = {
        "seq": 7,
        "kind": "dtc-set/1",
        "level": Level.LV3,
        "t_ns": -1,
        "mono_ns": 2,
        "boot": 3,
        "clock": ClockQuality.NTP,
        "payload": b"xy",
    }
    return Recorded(**(fields | changes))  # type: ignore[arg-type]  # wrong ones are the point


@given(recorded_events)
def test_every_event_comes_back_from_its_bytes(recorded: Recorded) -> None:
    assert chain.decode(chain.encode(recorded)) == recorded


@given(recorded_events, recorded_events)
def test_different_events_have_different_bytes(one: Recorded, other: Recorded) -> None:
    assert (one == other) == (chain.encode(one) == chain.encode(other))


@given(st.binary(max_size=400))
def test_any_bytes_are_an_event_or_malformed(raw: bytes) -> None:
    try:
        decoded = chain.decode(raw)
    except MalformedInputError:
        return
    assert chain.encode(decoded) == raw


@given(st.binary(max_size=400))
def test_any_bytes_are_a_body_or_malformed(raw: bytes) -> None:
    try:
        entries = list(chain.unpack(raw))
    except MalformedInputError:
        return
    assert sum(8 + len(event_bytes) for _, event_bytes in entries) == len(raw)


def test_event_bytes_are_laid_out_as_the_format_page_says() -> None:
    assert (
        chain.encode(event())
        == bytes.fromhex(
            "01"  # version
            "0000000000000007"  # seq
            "ffffffffffffffff"  # t_ns
            "0000000000000002"  # mono_ns
            "00000003"  # boot
            "02"  # clock
            "03"  # level
            "09"  # length of kind
        )
        + b"dtc-set/1xy"
    )


def test_first_hash_follows_the_genesis_of_this_log_alone() -> None:
    genesis = sha3_512(b"\x02" + LOG_ID + b"note").digest()
    assert chain.genesis(LOG_ID, b"note") == genesis
    assert chain.link(genesis, b"event") == sha3_512(b"\x00" + genesis + b"event").digest()
    assert chain.genesis(LOG_ID, b"Note") != genesis


def test_body_holds_length_check_and_bytes_of_each_event() -> None:
    start = chain.genesis(LOG_ID, b"")
    first = chain.link(start, b"one")
    second = chain.link(first, b"three")
    body, head = chain.pack([b"one", b"three"], start)
    assert body == b"\0\0\0\x03" + first[:4] + b"one" + b"\0\0\0\x05" + second[:4] + b"three"
    assert head == second
    assert list(chain.unpack(body)) == [(first[:4], b"one"), (second[:4], b"three")]


@pytest.mark.parametrize("cut", range(1, 19))
def test_body_cut_short_is_malformed_after_its_whole_events(cut: int) -> None:
    body, _ = chain.pack([b"0123456789", b"0123456789"], bytes(64))
    entries = chain.unpack(body[:-cut])
    if cut == 18:
        assert len(list(entries)) == 1
        return
    assert next(entries)[1] == b"0123456789"
    with pytest.raises(MalformedInputError, match=r"left|after the last"):
        next(entries)


@pytest.mark.parametrize(
    "changes",
    [
        {"kind": ""},
        {"kind": "x" * 256},
        {"kind": "naïve/1"},
        {"kind": "two\nlines/1"},
        {"level": 0},
        {"level": 5},
        {"clock": 9},
        {"seq": 2**64},
        {"seq": -1},
        {"t_ns": 2**63},
        {"boot": 2**32},
    ],
)
def test_field_without_a_place_in_the_format_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        chain.encode(event(**changes))


def test_log_id_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="31 bytes"):
        chain.genesis(bytes(31), b"")

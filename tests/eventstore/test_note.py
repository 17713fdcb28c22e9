"""A note has one encoding; whatever else arrives is refused before its signature is looked at."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import ClockQuality
from agent.errors import MalformedInputError
from agent.eventstore import note
from agent.eventstore.note import Note
from tests.eventstore.sealing import a_note

notes = st.builds(
    Note,
    log=st.binary(min_size=32, max_size=32),
    no=st.integers(1, 2**63 - 1),
    size=st.integers(1, 2**63 - 1),
    head=st.binary(min_size=64, max_size=64),
    root=st.binary(min_size=64, max_size=64),
    prev=st.binary(min_size=64, max_size=64),
    boot=st.integers(1, 2**32 - 1),
    t=st.integers(-(2**63), 2**63 - 1),
    clock=st.sampled_from(ClockQuality),
    firmware=st.text(st.characters(max_codepoint=127), max_size=100),
    image=st.binary(min_size=32, max_size=32),
    counter=st.none() | st.integers(0, 2**63 - 1),
    custody=st.sampled_from(["file", "pkcs11", "tpm"]),
    device=st.binary(min_size=65, max_size=65),
)


def content(**changes: object) -> dict[str, Any]:
    """A note as the plain map it is on the wire."""
    fields: dict[str, Any] = cbor2.loads(note.encode(a_note()))
    return fields | changes


def wire(fields: object) -> bytes:
    return cbor2.dumps(fields, canonical=True)


@given(notes)
def test_every_note_comes_back_from_its_bytes(one: Note) -> None:
    assert note.decode(note.encode(one)) == one


@given(notes, notes)
def test_rt_33_different_notes_have_different_bytes(one: Note, other: Note) -> None:
    assert (one == other) == (note.encode(one) == note.encode(other))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_note_or_malformed(data: bytes) -> None:
    with pytest.raises(MalformedInputError):  # a note has 400 bytes at least
        note.decode(data)


@given(st.integers(0, 429), st.integers(1, 255))
def test_any_changed_byte_gives_another_note_or_none(at: int, mask: int) -> None:
    data = bytearray(note.encode(a_note()))
    data[at] ^= mask
    try:
        other = note.decode(bytes(data))
    except MalformedInputError:
        return
    assert other != a_note()
    assert note.encode(other) == data


def test_bytes_are_laid_out_as_the_format_page_says() -> None:
    """Keys in the order of RFC 8949, section 4.2.1: the shorter first, then by their bytes."""
    expected = (
        b"\xaf"  # a map of 15
        b"\x61t\x1b" + (1_750_000_000_000_000_000).to_bytes(8, "big") + b"\x61v\x01"
        b"\x62no\x01"
        b"\x63log\x58\x20" + bytes(range(32)) + b"\x64boot\x01"
        b"\x64head\x58\x40" + bytes(64) + b"\x64prev\x58\x40" + bytes(64) + b"\x64root\x58\x40"
        b"" + b"\x11" * 64 + b"\x64size\x05"
        b"\x65clock\x03"
        b"\x65image\x58\x20" + b"\x22" * 32 + b"\x66device\x58\x41" + a_note().device
    )
    expected += b"\x67counter\xf6\x67custody\x64file\x68firmware\x651.2.3"
    assert note.encode(a_note()) == expected


def item(data: bytes, key: bytes, value: bytes) -> bytes:
    """The note with one value, of one byte, in another encoding."""
    at = data.index(key) + len(key)
    return data[:at] + value + data[at + 1 :]


CANON = note.encode(a_note())
NO = b"\x62no"
FIRMWARE = b"\x68firmware\x651.2.3"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\xbf" + CANON[1:] + b"\xff", id="map of no stated length"),
        pytest.param(item(CANON, NO, b"\x18\x01"), id="integer longer by one byte"),
        pytest.param(item(CANON, NO, b"\x1b" + bytes(7) + b"\x01"), id="integer of eight bytes"),
        pytest.param(item(CANON, NO, b"\xc2\x41\x01"), id="big integer"),
        pytest.param(item(CANON, NO, b"\xf9\x3c\x00"), id="1.0"),
        pytest.param(item(CANON, NO, b"\xf5"), id="true"),
        pytest.param(item(CANON, NO, b"\xf9\x7e\x00"), id="not a number"),
        pytest.param(item(CANON, NO, b"\xf9\x7e\x01"), id="not a number with a payload"),
        pytest.param(item(CANON, NO, b"\xd9\xd9\xf7\x01"), id="tagged"),
        pytest.param(item(CANON, NO, b"\x81\x01"), id="array"),
        pytest.param(item(CANON, NO, b"\xf7"), id="undefined"),
        pytest.param(item(CANON, b"\x67counter", b"\xf7"), id="undefined counter"),
        pytest.param(CANON + b"\x00", id="a byte behind"),
        pytest.param(CANON[:-1], id="a byte missing"),
        pytest.param(b"\xd9\xd9\xf7" + CANON, id="self-described"),
        pytest.param(b"\xb0" + CANON[1:] + NO + b"\x01", id="key twice, the same"),
        pytest.param(b"\xb0" + CANON[1:] + NO + b"\x02", id="key twice, another"),
        pytest.param(b"\xb8\x0f" + CANON[1:], id="longer count of keys"),
        pytest.param(
            CANON.replace(FIRMWARE, b"\x68firmware\x7f\x651.2.3\xff"), id="text in pieces"
        ),
        pytest.param(CANON.replace(FIRMWARE, b"\x68firmware\x451.2.3"), id="bytes for text"),
        pytest.param(
            CANON.replace(FIRMWARE, b"\x68firmware\x65\xff\xff\xff\xff\xff"), id="no text"
        ),
        pytest.param(CANON.replace(b"\x63log\x58\x20", b"\x63log\x78\x20"), id="text for bytes"),
        pytest.param(cbor2.dumps(dict(reversed(content().items()))), id="keys in another order"),
        pytest.param(wire(list(content().values())), id="array of values"),
        pytest.param(wire(content() | {1: 1}), id="key that is a number"),
        pytest.param(b"\x81" * 4096, id="deep"),
        pytest.param(b"\xa1" * 4096, id="deep map"),
        pytest.param(b"\xd8\x1c" * 2000, id="shared values"),
        pytest.param(b"\xbb" + b"\xff" * 8, id="map of all memory"),
        pytest.param(b"\x5b" + b"\xff" * 8, id="bytes of all memory"),
        pytest.param(b"", id="nothing"),
    ],
)
def test_rt_30_any_other_encoding_is_refused(data: bytes) -> None:
    with pytest.raises(MalformedInputError) as refused:
        note.decode(data)
    assert "\n" not in str(refused.value)


WRONG: list[dict[str, object]] = [
    {"v": 2},
    {"v": 0},
    {"v": "1"},
    {"log": bytes(31)},
    {"log": "0" * 32},
    {"no": 0},
    {"no": -1},
    {"no": 2**63},
    {"no": "1"},
    {"size": 0},
    {"size": 2**64},
    {"head": bytes(63)},
    {"root": bytes(65)},
    {"root": None},
    {"prev": b""},
    {"boot": 0},
    {"boot": 2**32},
    {"t": 2**63},
    {"t": -(2**63) - 1},
    {"t": 1.5},
    {"clock": 5},
    {"clock": -1},
    {"clock": None},
    {"firmware": None},
    {"firmware": "x" * 4096},
    {"firmware": "1.0é"},
    {"image": bytes(64)},
    {"counter": -1},
    {"counter": 2**64},
    {"counter": False},
    {"custody": "cloud"},
    {"device": bytes(64)},
    {"device": bytes(33)},
]


@pytest.mark.parametrize("change", WRONG, ids=repr)
def test_value_outside_its_type_length_or_range_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(MalformedInputError):
        note.decode(wire(content(**change)))


@pytest.mark.parametrize("change", WRONG, ids=repr)
def test_note_without_a_place_in_the_format_is_not_encoded(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"seal .* is none"):
        note.encode(a_note(**change))


@pytest.mark.parametrize("key", sorted(content()))
def test_note_without_one_of_its_keys_is_refused(key: str) -> None:
    fields = content()
    del fields[key]
    with pytest.raises(MalformedInputError):
        note.decode(wire(fields))


@pytest.mark.parametrize("key", ["alg", "hash", "curve", "x"])
def test_rt_32_nothing_in_a_note_chooses_an_algorithm(key: str) -> None:
    with pytest.raises(MalformedInputError):
        note.decode(wire(content(**{key: "none"})))


def test_rt_34_note_of_4096_bytes_is_read_and_of_one_more_refused() -> None:
    room = note.MAX_BYTES - len(CANON) + 5 - 2  # the length of a longer text takes two bytes more
    longest = wire(content(firmware="x" * room))
    assert len(longest) == note.MAX_BYTES
    assert note.decode(longest).firmware == "x" * room
    with pytest.raises(MalformedInputError, match="4097 bytes, limit 4096"):
        note.decode(wire(content(firmware="x" * (room + 1))))


def test_signature_and_mac_are_kept_apart_by_what_stands_before_them() -> None:
    assert note.to_sign(CANON) == b"amo-agent seal 1" + CANON
    assert note.to_mac(CANON) == b"amo-agent seal mac 1" + CANON

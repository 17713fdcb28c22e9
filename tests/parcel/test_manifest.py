"""Of one content there is one manifest; everything else is refused."""

import hashlib
from typing import Any

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.parcel import manifest, multihash


def good() -> dict[str, Any]:
    chunk = {
        "id": multihash.multihash(b"body"),
        "metric": "gear",
        "origin": "can0",
        "form": "samples",
        "start": 1,
        "end": 2,
        "records": 2,
        "size": 4,
    }
    return {
        "device": b"\x01\x02",
        "level": 3,
        "first_seq": 0,
        "last_seq": 7,
        "previous": None,
        "metadata": {},
        "chunks": [chunk],
    }


def refused(content: object) -> bool:
    try:
        manifest.decode(cbor2.dumps(content, canonical=True))
    except MalformedInputError:
        return True
    return False


def test_a_manifest_comes_back_as_it_was() -> None:
    data = cbor2.dumps(good(), canonical=True)
    assert manifest.encode(manifest.decode(data)) == data


@pytest.mark.parametrize(
    "change",
    [
        {"device": "AQI="},
        {"level": 0},
        {"level": 5},
        {"level": 3.0},
        {"first_seq": 8},
        {"first_seq": -1},
        {"last_seq": 1 << 63},
        {"previous": b"\x16\x20"},
        {"metadata": {"a": 1}},
        {"metadata": {1: "a"}},
        {"chunks": {}},
        {"surprise": 1},
    ],
)
def test_a_field_of_the_wrong_kind_is_refused(change: dict[str, Any]) -> None:
    assert not refused(good())
    assert refused(good() | change)


@pytest.mark.parametrize(
    "change",
    [
        {"id": b"\x16\x20short"},
        {"form": "pictures"},
        {"form": "payloads"},
        {"origin": ""},
        {"start": 3},
        {"records": 0},
        {"size": 0},
        {"size": 1 << 32},
    ],
)
def test_a_chunk_header_that_makes_no_sense_is_refused(change: dict[str, Any]) -> None:
    content = good()
    content["chunks"] = [content["chunks"][0] | change]
    assert refused(content)


def test_a_metric_that_comes_twice_or_out_of_order_is_refused() -> None:
    content = good()
    gear, later = content["chunks"][0], content["chunks"][0] | {"metric": "odometer"}
    assert not refused(content | {"chunks": [gear, later]})
    assert refused(content | {"chunks": [gear, gear]})
    assert refused(content | {"chunks": [later, gear]})


def test_a_missing_field_is_refused() -> None:
    for name in good():
        assert refused({key: value for key, value in good().items() if key != name})


@pytest.mark.parametrize(
    "spelled",
    [
        cbor2.dumps(dict(reversed(good().items()))),  # keys not in order
        cbor2.dumps(good(), canonical=True) + b"\x00",  # something after it
        cbor2.dumps(good(), canonical=True).replace(b"elevel\x03", b"elevel\x18\x03"),  # long form
        b"\xbf" + cbor2.dumps(good(), canonical=True)[1:] + b"\xff",  # indefinite length
        b"\xd9\xd9\xf7" + cbor2.dumps(good(), canonical=True),  # tagged
    ],
)
def test_another_spelling_of_the_same_manifest_is_refused(spelled: bytes) -> None:
    with pytest.raises(MalformedInputError):
        manifest.decode(spelled)


@pytest.mark.parametrize(
    "hostile",
    [
        b"",
        b"\x81" * 100_000,
        b"\x9b" + b"\xff" * 8,
        b"\x5b\x00\x00\x00\xff\xff\xff\xff\xff",
        b"\xd8\x1d\x00",
        b"\xd8\x1c\x81\xd8\x1d\x00",
        b"\xa1\x80\x00",
        b"\xd8\x23\x62((",
        b"\xc1\xfb\x7f\xef\xff\xff\xff\xff\xff\xff",
        b"\xd8\x1e\x82\x01\x00",
        bytes(manifest.MAX_BYTES + 1),
    ],
)
def test_hostile_cbor_is_refused_as_malformed(hostile: bytes) -> None:
    with pytest.raises(MalformedInputError):
        manifest.decode(hostile)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=80))
def test_garbage_is_refused_as_malformed(data: bytes) -> None:
    with pytest.raises(MalformedInputError):
        manifest.decode(data)


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_changed_manifest_is_refused_or_has_other_content(data: st.DataObject) -> None:
    before = cbor2.dumps(good(), canonical=True)
    changed = bytearray(before)
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = manifest.decode(bytes(changed))
    except MalformedInputError:
        return
    assert found != manifest.decode(before)


def test_a_digest_by_either_algorithm_is_accepted() -> None:
    multihash.check(b"\x16\x20" + hashlib.sha3_256(b"body").digest(), b"body")
    multihash.check(b"\x12\x20" + hashlib.sha256(b"body").digest(), b"body")


@pytest.mark.parametrize(
    "name", [b"", b"\x16\x20", b"\x13\x20" + bytes(32), b"\x16\x20" + bytes(32)]
)
def test_an_unknown_or_wrong_digest_is_refused(name: bytes) -> None:
    with pytest.raises(MalformedInputError):
        multihash.check(name, b"body")

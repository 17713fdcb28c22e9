"""Columns come back bit for bit, whatever was in them."""

import struct
from array import array

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.parcel import columns

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
BITS = st.integers(0, (1 << 64) - 1)


def as_float(bits: int) -> float:
    return float(struct.unpack("<d", struct.pack("<Q", bits))[0])


def bits_of(values: "array[float]") -> list[int]:
    return list(array("Q", values.tobytes()))


@settings(max_examples=60, deadline=None)
@given(st.lists(INT64, max_size=50))
def test_integers_come_back_whatever_they_are(values: list[int]) -> None:
    packed = columns.pack_integers(values)
    assert list(columns.unpack_integers(packed, len(values))) == values


@pytest.mark.parametrize(
    "values",
    [
        [],
        [0],
        [-(1 << 63)],
        [(1 << 63) - 1],
        [(1 << 63) - 1, -(1 << 63), (1 << 63) - 1, -(1 << 63)],
        [-(1 << 63), (1 << 63) - 1, 0, -1, 1],
    ],
)
def test_integers_at_the_edges_of_64_bits_come_back(values: list[int]) -> None:
    assert list(columns.unpack_integers(columns.pack_integers(values), len(values))) == values


@settings(max_examples=60, deadline=None)
@given(st.lists(BITS.map(as_float), max_size=50))
def test_values_come_back_bit_for_bit(values: list[float]) -> None:
    packed = columns.pack_floats(values)
    assert bits_of(columns.unpack_floats(packed, len(values))) == bits_of(array("d", values))


def test_nan_payloads_infinities_and_minus_zero_keep_their_bits() -> None:
    patterns = [0x7FF8000000000001, 0xFFF8DEADBEEF0001, 0x7FF0 << 48, 0xFFF0 << 48, 1 << 63, 1]
    values = [as_float(bits) for bits in patterns]
    assert bits_of(columns.unpack_floats(columns.pack_floats(values), 6)) == patterns


@settings(max_examples=60, deadline=None)
@given(st.lists(st.binary(max_size=40), max_size=30))
def test_byte_strings_come_back(values: list[bytes]) -> None:
    assert list(columns.unpack_blobs(columns.pack_blobs(values), len(values))) == values


def test_the_layout_of_integers_is_the_documented_one() -> None:
    raw = zstandard.ZstdDecompressor().decompress(columns.pack_integers([5, 7, 10, 12]))
    # first value 5, first delta 2, then deltas of deltas 1 and -1; zig-zag 10, 4, 2, 1
    assert raw == bytes([10, 4, 2, 1]) + bytes(28)


def test_the_layout_of_values_is_the_documented_one() -> None:
    raw = zstandard.ZstdDecompressor().decompress(columns.pack_floats([1.0, 1.0, -1.0]))
    # 3FF0000000000000, nothing, the sign bit: the two highest planes
    assert raw == bytes(18) + bytes([0xF0, 0, 0]) + bytes([0x3F, 0, 0x80])


def test_steady_times_shrink_to_almost_nothing() -> None:
    times = range(1_700_000_000_000_000_000, 1_700_000_000_000_000_000 + 36_000 * 10**8, 10**8)
    assert len(columns.pack_integers(times)) < 100


def test_an_integer_over_64_bits_is_refused() -> None:
    with pytest.raises(MalformedInputError):
        columns.pack_integers([1 << 63])


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_column_with_another_count_is_refused(count: int) -> None:
    with pytest.raises(MalformedInputError):
        columns.unpack_integers(columns.pack_integers([1, 2, 3]), count)
    with pytest.raises(MalformedInputError):
        columns.unpack_floats(columns.pack_floats([1, 2, 3]), count)
    with pytest.raises(MalformedInputError):
        columns.unpack_blobs(columns.pack_blobs([b"a", b"bb", b"ccc"]), count)


def test_a_small_column_that_would_unpack_to_gigabytes_is_refused_by_its_declared_size() -> None:
    bomb = zstandard.ZstdCompressor().compress(bytes(8 << 20))
    assert len(bomb) < 2000
    with pytest.raises(MalformedInputError):
        columns.unpack_integers(bomb, 10)


@pytest.mark.parametrize("size", [columns.MAX_BYTES + 1, 1 << 60, (1 << 64) - 3])
def test_a_frame_that_declares_more_than_any_column_holds_is_refused_unread(size: int) -> None:
    # RFC 8878: magic number, descriptor (one segment, 8 bytes of content size), one empty block
    frame = b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + b"\x01\x00\x00"
    with pytest.raises(MalformedInputError, match=f"declares {size} bytes, limit {256 << 20}"):
        columns.unpack_blobs(frame, 3)


def test_a_frame_that_hides_its_size_is_refused() -> None:
    hidden = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(80))
    with pytest.raises(MalformedInputError):
        columns.unpack_integers(hidden, 10)


def test_bytes_after_a_column_are_refused() -> None:
    with pytest.raises(MalformedInputError):
        columns.unpack_integers(columns.pack_integers([1, 2]) + b"x", 2)


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 5))
def test_garbage_is_refused_and_nothing_else_is_raised(data: bytes, count: int) -> None:
    for unpack in (columns.unpack_integers, columns.unpack_floats, columns.unpack_blobs):
        with pytest.raises(MalformedInputError):
            unpack(data, count)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_a_flipped_byte_is_refused_or_read_as_other_values_never_a_crash(
    data: st.DataObject,
) -> None:
    packed = bytearray(columns.pack_blobs([b"payload", b"", b"another one"]))
    packed[data.draw(st.integers(0, len(packed) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        found = list(columns.unpack_blobs(bytes(packed), 3))
    except MalformedInputError:
        return
    assert len(found) == 3

"""Lossless packing of one column of records: integers, floating-point values or byte strings.

Integers (times, sequence numbers) become deltas of deltas, zig-zag coded; values are XOR-ed with
the value before. Both leave long runs of zero bytes in the high bytes of 64-bit words, so equal
bytes of all words are laid side by side (byte planes) before zstd. Byte strings are their lengths
and then their contents. The bytes are described in docs/formats/parcel.md.
"""

import sys
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, chain
from operator import sub, xor
from typing import Final

import zstandard

from agent.errors import MalformedInputError

ZSTD_LEVEL: Final = 3
WORD: Final = 8
"""Bytes of an integer or a value before compression."""
LENGTH: Final = 4
"""Bytes of a length in front of the byte strings."""
MAX_BYTES: Final = 256 << 20
"""Most that one column may hold when unpacked."""


def pack_integers(values: Iterable[int]) -> bytes:
    """Signed 64-bit integers -> column. Raises MalformedInputError for a wider one."""
    words = _signed(values)
    deltas = list(map(sub, words[1:], words))
    seconds = _wrapped([*words[:1], *deltas[:1], *map(sub, deltas[1:], deltas)])
    return _compress(_planes(array("Q", [d << 1 if d >= 0 else ~(d << 1) for d in seconds])))


def unpack_integers(column: bytes, count: int) -> "array[int]":
    """The inverse of pack_integers; `count` integers or MalformedInputError."""
    words = _words(_decompress(column, WORD * count), "Q")
    try:
        return array("q", _summed(words))
    except OverflowError:
        return array("q", map(_wrap, _summed(words)))


def pack_floats(values: Iterable[float]) -> bytes:
    """64-bit floating-point values -> column; every bit is kept, those of a NaN too."""
    words = array("Q", array("d", values).tobytes())
    return _compress(_planes(array("Q", map(xor, words, chain((0,), words)))))


def unpack_floats(column: bytes, count: int) -> "array[float]":
    """The inverse of pack_floats; `count` values or MalformedInputError."""
    words = _words(_decompress(column, WORD * count), "Q")
    return array("d", array("Q", accumulate(words, xor)).tobytes())


def pack_blobs(values: Sequence[bytes]) -> bytes:
    """Byte strings, each shorter than 4 GiB -> column."""
    lengths = array("I", map(len, values))
    return _compress(b"".join((_planes(lengths), *values)))


def unpack_blobs(column: bytes, count: int) -> Iterator[bytes]:
    """The inverse of pack_blobs, one by one, so that many short ones need no memory at once.

    Raises MalformedInputError before the first when the lengths do not fit the contents.
    """
    raw = _decompress(column, raw_size(column))
    start = LENGTH * count
    if len(raw) < start:
        raise MalformedInputError(f"{len(raw)} bytes cannot hold {count} lengths")
    lengths = _words(raw[:start], "I")
    if start + sum(lengths) != len(raw):
        raise MalformedInputError(f"lengths sum to {sum(lengths)} bytes, not {len(raw) - start}")
    ends = accumulate(lengths, initial=start)
    return (raw[end - length : end] for length, end in zip(lengths, _skip_first(ends), strict=True))


def raw_size(column: bytes) -> int:
    """How many bytes the column declares to hold, read without unpacking it; up to MAX_BYTES."""
    try:
        size = zstandard.frame_content_size(column)
    except zstandard.ZstdError as error:
        raise MalformedInputError(f"column of {len(column)} bytes is not a zstd frame") from error
    if size < 0:
        raise MalformedInputError("column does not declare its size")
    if size > MAX_BYTES:
        raise MalformedInputError(f"column declares {size} bytes, limit {MAX_BYTES}")
    return size


def _signed(values: Iterable[int]) -> "array[int]":
    try:
        return array("q", values)
    except OverflowError as error:
        raise MalformedInputError("an integer does not fit 64 bits") from error


def _wrap(value: int) -> int:
    """The signed 64-bit integer congruent to value modulo 2**64."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


def _wrapped(values: list[int]) -> "array[int]":
    try:
        return array("q", values)
    except OverflowError:
        return array("q", map(_wrap, values))


def _summed(words: "array[int]") -> Iterator[int]:
    """Zig-zag coded deltas of deltas -> integers, exact, not yet modulo 2**64."""
    seconds = (~(word >> 1) if word & 1 else word >> 1 for word in words)
    return accumulate(chain([next(seconds)], accumulate(seconds)) if words else seconds)


def _skip_first(values: Iterator[int]) -> Iterator[int]:
    next(values)
    return values


def _planes(words: "array[int]") -> bytes:
    """Words -> all lowest bytes, then all second bytes, and so on."""
    if sys.byteorder == "big":
        words.byteswap()
    flat = words.tobytes()
    return b"".join(flat[k :: words.itemsize] for k in range(words.itemsize))


def _words(planes: bytes, typecode: str) -> "array[int]":
    words: array[int] = array(typecode)
    count = len(planes) // words.itemsize
    flat = bytearray(len(planes))
    for k in range(words.itemsize):
        flat[k :: words.itemsize] = planes[k * count : (k + 1) * count]
    words.frombytes(bytes(flat))
    if sys.byteorder == "big":
        words.byteswap()
    return words


def _compress(raw: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(raw)


def _decompress(column: bytes, size: int) -> bytes:
    if raw_size(column) != size:
        raise MalformedInputError(f"column declares {raw_size(column)} bytes, not {size}")
    try:
        raw = zstandard.ZstdDecompressor().decompress(column, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise MalformedInputError(f"column of {len(column)} bytes: broken zstd frame") from error
    if len(raw) != size:
        raise MalformedInputError(f"column holds {len(raw)} bytes, not {size}")
    return raw

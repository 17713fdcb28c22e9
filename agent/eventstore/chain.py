"""The bytes that are hashed, as docs/formats/log.md lays them down. No I/O.

    event  = u8 1 | u64 seq | i64 t_ns | u64 mono_ns | u32 boot | u8 clock | u8 level
             | u8 length of kind | kind | payload                          (big-endian)
    h(0)   = SHA3-512(0x02 | log_id | note)
    h(i)   = SHA3-512(0x00 | h(i-1) | event)
    body   = for each event: u32 length of event | h(i)[:4] | event

A body is stored as one Zstandard frame. 0x01 stands before the inner nodes of the tree whose
leaves the h(i) are (tree.py).
"""

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from hashlib import sha3_512
from typing import Final

import zstandard

from agent.clock import ClockQuality
from agent.errors import MalformedInputError
from agent.eventstore.log import Draft, Recorded
from agent.privacy import Level

VERSION: Final = 1
LOG_ID_BYTES: Final = 32
CHECK_BYTES: Final = 4
MAX_KIND: Final = 255
"""Characters of an event's kind."""
MAX_EVENTS: Final = 65_535
"""Events in one block."""
MAX_BODY: Final = 64 * 1024 * 1024
"""Bytes of one block's body, so that a reader with little memory can take any block."""

LEVEL: Final = 1
"""Of Zstandard: a tenth of the work of hashing, and a body shrinks to less than half."""

_COMPRESSOR: Final = zstandard.ZstdCompressor(level=LEVEL)
_HEADER = struct.Struct(">BQqQIBBB")
_ENTRY = struct.Struct(f">I{CHECK_BYTES}s")
_PACK_HEADER, _PACK_ENTRY = _HEADER.pack, _ENTRY.pack
_UNPACK_HEADER, _UNPACK_ENTRY = _HEADER.unpack_from, _ENTRY.unpack_from
_HEADER_BYTES, _ENTRY_BYTES = _HEADER.size, _ENTRY.size
_CLOCKS: Final = {int(quality): quality for quality in ClockQuality}
_LEVELS: Final = {int(level): level for level in Level}


def genesis(log_id: bytes, note: bytes) -> bytes:
    """h(0): what the first event follows."""
    if len(log_id) != LOG_ID_BYTES:
        raise ValueError(f"log id of {len(log_id)} bytes; it has {LOG_ID_BYTES}")
    return sha3_512(b"\x02" + log_id + note).digest()


def link(prev: bytes, event: bytes) -> bytes:
    """h(i) from h(i-1) and the bytes of event i."""
    return sha3_512(b"\x00" + prev + event).digest()


def encode(recorded: Recorded) -> bytes:
    """The bytes of an event. A field that has no place in the format is a ValueError."""
    return _encode(recorded, recorded.seq, recorded.boot)


def encode_all(drafts: Iterable[Draft], first: int, boot: int) -> list[bytes]:
    """The bytes of each, numbered from `first`. Raises as `encode` does."""
    return [_encode(draft, seq, boot) for seq, draft in enumerate(drafts, first)]


def _encode(draft: Draft | Recorded, seq: int, boot: int) -> bytes:
    kind = _kind_bytes(draft.kind)
    real = isinstance(draft.level, Level) and isinstance(draft.clock, ClockQuality)
    if not real:
        raise ValueError(f"level {draft.level} or clock {draft.clock} does not exist")
    try:
        header = _PACK_HEADER(
            VERSION,
            seq,
            draft.t_ns,
            draft.mono_ns,
            boot,
            draft.clock,
            draft.level,
            len(kind),
        )
    except struct.error as error:
        raise ValueError(f"{draft.kind}: a field is out of its range: {error}") from error
    return header + kind + draft.payload


def decode(event: bytes) -> Recorded:
    """The event of these bytes. Raises MalformedInputError."""
    if len(event) < _HEADER_BYTES:
        raise MalformedInputError(f"event of {len(event)} bytes; its header has {_HEADER_BYTES}")
    version, seq, t_ns, mono_ns, boot, clock, level, length = _UNPACK_HEADER(event)
    if version != VERSION:
        raise MalformedInputError(f"event format {version}; this version reads {VERSION}")
    try:
        privacy, quality = _LEVELS[level], _CLOCKS[clock]
    except KeyError as error:
        raise MalformedInputError(f"level {level}, clock quality {clock}: no such one") from error
    payload_at = _HEADER_BYTES + length
    if payload_at > len(event):
        raise MalformedInputError(f"event of {len(event)} bytes with a kind of {length}")
    kind = _kind(event[_HEADER_BYTES:payload_at])
    return Recorded(seq, kind, privacy, t_ns, mono_ns, boot, quality, event[payload_at:])


def examine(event: bytes) -> tuple[int, int, str]:
    """Sequence number, boot and kind of an event that is well-formed: what a verifier asks of each.

    Raises MalformedInputError as `decode` does.
    """
    if len(event) >= _HEADER_BYTES:
        version, seq, _, _, boot, clock, level, length = _UNPACK_HEADER(event)
        end = _HEADER_BYTES + length
        if version == VERSION and clock in _CLOCKS and level in _LEVELS and end <= len(event):
            return seq, boot, _kind(event[_HEADER_BYTES:end])
    decode(event)
    raise AssertionError("decode takes what examine does not")


@lru_cache(maxsize=256)  # a log has few kinds and many events
def _kind_bytes(kind: str) -> bytes:
    if not (kind.isascii() and kind.isprintable() and 0 < len(kind) <= MAX_KIND):
        raise ValueError(f"event kind {kind!r}; 1 to {MAX_KIND} printable ASCII characters")
    return kind.encode("ascii")


@lru_cache(maxsize=256)
def _kind(raw: bytes) -> str:
    if not raw.isascii() or not (kind := raw.decode("ascii")).isprintable() or not kind:
        raise MalformedInputError("event kind is empty, not ASCII or not printable")
    return kind


def pack(events: Iterable[bytes], head: bytes) -> tuple[bytes, bytes]:
    """The body of a block whose first event follows `head`, and the head after its last."""
    parts: list[bytes] = []
    for event in events:
        head = sha3_512(b"\x00" + head + event).digest()  # as link, once a call less
        parts += (_PACK_ENTRY(len(event), head[:CHECK_BYTES]), event)
    return b"".join(parts), head


def unpack(body: bytes) -> Iterator[tuple[bytes, bytes]]:
    """(check, event bytes) one after the other; the check is the first 4 bytes of h(i).

    Raises MalformedInputError where the body is cut short, after all that stand before it.
    """
    at, size = 0, len(body)
    while at < size:
        start = at + _ENTRY_BYTES
        if start > size:
            raise MalformedInputError(f"{size - at} bytes after the last event of a block")
        length, check = _UNPACK_ENTRY(body, at)
        at = start + length
        if at > size:
            raise MalformedInputError(f"event of {length} bytes; {size - start} are left")
        yield check, body[start:at]


def hashes(body: bytes, head: bytes) -> list[bytes]:
    """h(i) of each event of a body whose first follows `head`. Raises MalformedInputError."""
    found = []
    for _, event in unpack(body):
        head = sha3_512(b"\x00" + head + event).digest()  # as link, once a call less
        found.append(head)
    return found


def compress(body: bytes) -> bytes:
    """The frame that is stored for a body; for one thread at a time."""
    return _COMPRESSOR.compress(body)


def decompress(frame: bytes) -> bytes:
    """The body in a frame of at most MAX_BODY. Raises MalformedInputError."""
    try:
        size = zstandard.frame_content_size(frame)
        if not 0 <= size <= MAX_BODY:
            raise MalformedInputError(f"a body of {size} bytes; at most {MAX_BODY}")
        return zstandard.ZstdDecompressor().decompress(frame, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise MalformedInputError(f"a body of {len(frame)} bytes does not decompress") from error

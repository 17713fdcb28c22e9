"""The manifest of a parcel: the headers of its chunks and the links between them.

Canonical CBOR (RFC 8949 section 4.2.1). A manifest in any other encoding of the same content is
refused, so that a parcel has one name only.
"""

from itertools import pairwise
from typing import Annotated, Final, Literal

import cbor2
import msgspec

from agent.errors import MalformedInputError
from agent.parcel import multihash
from agent.privacy import Level

MAX_BYTES: Final = 16 << 20
"""Largest manifest that is read."""

Form = Literal["samples", "payloads"]
"""What the third column holds: 64-bit floating-point values or event payloads."""

_Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Seq = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Multihash = Annotated[bytes, msgspec.Meta(min_length=multihash.SIZE, max_length=multihash.SIZE)]
_Positive = Annotated[int, msgspec.Meta(ge=1, le=(1 << 32) - 1)]


class ChunkHeader(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One metric over one span of time, the smallest unit that is traded.

    id:         multihash of the chunk's body
    metric:     signal name ("speed.vehicle") or event kind ("braked-hard/1")
    origin:     the source of the samples ("can0"); empty for payloads
    start, end: earliest and latest time of its records, UTC nanoseconds
    records:    how many; size: bytes of the body
    """

    id: _Multihash
    metric: str
    origin: str
    form: Form
    start: _Int64
    end: _Int64
    records: _Positive
    size: _Positive


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    device:     pseudonym of the device, the same for all chunks
    level:      of everything in the parcel
    first_seq, last_seq: the range of the log that was looked through
    previous:   root of the parcel before, None for the first
    metadata:   the owner's own words, for search
    """

    device: bytes
    level: Level
    first_seq: _Seq
    last_seq: _Seq
    previous: _Multihash | None
    metadata: dict[str, str]
    chunks: tuple[ChunkHeader, ...]


def encode(manifest: Manifest) -> bytes:
    return cbor2.dumps(msgspec.to_builtins(manifest, builtin_types=(bytes,)), canonical=True)


def decode(data: bytes) -> Manifest:
    """Raises MalformedInputError for anything that `encode` would not have written."""
    if len(data) > MAX_BYTES:
        raise MalformedInputError(f"manifest of {len(data)} bytes, limit {MAX_BYTES}")
    try:
        content = cbor2.loads(data, max_depth=4, allow_indefinite=False, allow_duplicate_keys=False)
        manifest = msgspec.convert(content, Manifest, builtin_types=(bytes,))
        canonical = encode(manifest) == data
    except (cbor2.CBORError, msgspec.ValidationError, ValueError, OverflowError) as error:
        raise MalformedInputError(f"manifest of {len(data)} bytes cannot be read") from error
    if not canonical:
        raise MalformedInputError(f"manifest of {len(data)} bytes is not canonical CBOR")
    _check(manifest)
    return manifest


def _check(manifest: Manifest) -> None:
    if manifest.first_seq > manifest.last_seq:
        raise MalformedInputError(f"range {manifest.first_seq}..{manifest.last_seq} is empty")
    names = [(header.metric, header.form, header.origin) for header in manifest.chunks]
    if any(later <= earlier for earlier, later in pairwise(names)):
        raise MalformedInputError("chunks are not in rising order of metric, form and origin")
    for header in manifest.chunks:
        if header.start > header.end:
            raise MalformedInputError(f"chunk ends {header.start - header.end} ns before it starts")
        if (header.form == "payloads") != (header.origin == ""):
            raise MalformedInputError(f"chunk of {header.form} has origin {header.origin!r}")

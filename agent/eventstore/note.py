"""The note of a seal, as docs/formats/seal.md lays it down: what is signed, byte for byte. No I/O.

Canonical CBOR (RFC 8949, section 4.2.1). Bytes in any other encoding of the same note are refused,
before anybody looks at their signature.
"""

from typing import Annotated, Final, Literal

import cbor2
import msgspec

from agent.clock import ClockQuality
from agent.errors import MalformedInputError

MAX_BYTES: Final = 4096
FIRST: Final = bytes(64)
"""What the first note has in place of the hash of the note before."""

_SIGNED: Final = b"amo-agent seal 1"
_AUTHENTIC: Final = b"amo-agent seal mac 1"

_Id = Annotated[bytes, msgspec.Meta(min_length=32, max_length=32)]
_Hash = Annotated[bytes, msgspec.Meta(min_length=64, max_length=64)]
_Point = Annotated[bytes, msgspec.Meta(min_length=65, max_length=65)]
_Ascii = Annotated[str, msgspec.Meta(pattern=r"^[\x00-\x7f]*\Z")]
_Int64 = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]
_Counter = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Boot = Annotated[int, msgspec.Meta(ge=1, le=(1 << 32) - 1)]


class Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    log:      log id; no: number of the seal, from 1; size: events covered
    head:     h(size); root: of the tree over them; prev: SHA3-512 of the note before, or FIRST
    boot:     which start of the agent made it
    t:        UTC nanoseconds; clock: how far they may be believed
    firmware: version of the agent; image: SHA3-256 over its files
    counter:  of the hardware, which only rises; None where there is none
    custody:  where the device key lies
    device:   the key's public half, 65 bytes
    """

    v: Literal[1] = 1
    log: _Id
    no: _Number
    size: _Number
    head: _Hash
    root: _Hash
    prev: _Hash
    boot: _Boot
    t: _Int64
    clock: ClockQuality
    firmware: _Ascii
    image: _Id
    counter: _Counter | None
    custody: Literal["file", "pkcs11", "tpm"]
    device: _Point


def encode(note: Note) -> bytes:
    """A note that has no place in the format is a ValueError."""
    data = _canonical(note)
    try:
        decode(data)
    except MalformedInputError as error:
        raise ValueError(f"seal {note.no} is none: {error.__cause__ or error}") from error
    return data


def decode(data: bytes) -> Note:
    """Raises MalformedInputError for anything that `encode` would not have written."""
    if len(data) > MAX_BYTES:
        raise MalformedInputError(f"note of {len(data)} bytes, limit {MAX_BYTES}")
    try:
        content = cbor2.loads(data, max_depth=2, allow_indefinite=False, allow_duplicate_keys=False)
        note = msgspec.convert(content, Note, builtin_types=(bytes,))
        canonical = _canonical(note) == data
    except (cbor2.CBORError, msgspec.ValidationError, ValueError, OverflowError) as error:
        raise MalformedInputError(f"note of {len(data)} bytes cannot be read") from error
    if not canonical:
        raise MalformedInputError(f"note of {len(data)} bytes is not canonical CBOR")
    return note


def to_sign(data: bytes) -> bytes:
    """What the device key signs for these bytes of a note."""
    return _SIGNED + data


def to_mac(data: bytes) -> bytes:
    """What the MAC is computed over for these bytes of a note."""
    return _AUTHENTIC + data


def _canonical(note: Note) -> bytes:
    return cbor2.dumps(msgspec.to_builtins(note, builtin_types=(bytes,)), canonical=True)

"""A parcel encrypted for upload, under a key used once.

STREAM records of 64 KiB (Hoang, Reyhanitabar, Rogaway, Vizár 2015) with ChaCha20-Poly1305, so
that a stream cut short, reordered or extended is refused. The cipher alone would let a second key
open the same bytes to something else; the head commits to the key. Format: docs/formats/custody.md.
"""

import hashlib
import hmac
import secrets
from collections.abc import Iterator
from struct import Struct
from typing import Final, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

from agent.errors import SealError
from agent.privacy import Level, sealed

MAGIC: Final = b"AMOE\x01"
"""Name and version of the format."""
RECORD_BYTES: Final = 64 << 10
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32
MAX_HEADER: Final = 0xFFFF
SMALLEST: Final = 4096
"""Content of Lv1 and Lv2 is padded to no less than this."""

_HEAD: Final = Struct(">5sBH")
_LENGTH: Final = Struct(">Q")
_COMMIT: Final = b"\x06"
_RECORDS: Final = b"\x07"


class Head(NamedTuple):
    """What anybody can read of an envelope. size: bytes of all this, the commitment included."""

    level: Level
    header: bytes
    commitment: bytes
    size: int


def encrypt(plain: bytes, *, level: Level, header: bytes) -> tuple[bytes, bytes]:
    """plain, and a header that stays readable -> (ciphertext, data key of 32 bytes)."""
    data_key = secrets.token_bytes(KEY_BYTES)
    return encrypt_with(data_key, plain, level=level, header=header), data_key


def encrypt_with(data_key: bytes, plain: bytes, *, level: Level, header: bytes) -> bytes:
    """Encryption with the key given; a key encrypts one thing only.

    header: up to 65,535 bytes.
    """
    if len(header) > MAX_HEADER:
        raise SealError(f"header of {len(header)} bytes, limit {MAX_HEADER}")
    head = _HEAD.pack(MAGIC, level, len(header)) + header + commitment(data_key)
    padded = _LENGTH.pack(len(plain)) + plain
    padded += bytes(padded_size(len(padded), level) - len(padded))
    cipher = ChaCha20Poly1305(_records_key(data_key, head))
    starts = range(0, len(padded), RECORD_BYTES)
    nonces = _nonces(len(starts))
    records = (
        cipher.encrypt(nonce, padded[start : start + RECORD_BYTES], None)
        for start, nonce in zip(starts, nonces, strict=True)
    )
    return b"".join((head, *records))


def decrypt(ciphertext: bytes, data_key: bytes) -> bytes:
    """Raises SealError for any other key and for any change of the ciphertext."""
    head = read_head(ciphertext)
    if not hmac.compare_digest(head.commitment, commitment(data_key)):
        raise SealError("data key is not the one this envelope was made with")
    cipher = ChaCha20Poly1305(_records_key(data_key, ciphertext[: head.size]))
    starts = range(head.size, len(ciphertext), RECORD_BYTES + TAG_BYTES)
    try:
        padded = b"".join(
            cipher.decrypt(nonce, ciphertext[start : start + RECORD_BYTES + TAG_BYTES], None)
            for start, nonce in zip(starts, _nonces(len(starts)), strict=True)
        )
    except InvalidTag as error:
        raise SealError(f"envelope of {len(ciphertext)} bytes was changed or cut") from error
    return _without_padding(padded, head.level)


def read_head(ciphertext: bytes) -> Head:
    """Level and header, unproven until `decrypt` returns. Raises SealError."""
    if len(ciphertext) < _HEAD.size:
        raise SealError(f"{len(ciphertext)} bytes are too few for an envelope")
    magic, level, length = _HEAD.unpack_from(ciphertext)
    size = _HEAD.size + length + KEY_BYTES
    if magic != MAGIC or level not in {*Level}:
        raise SealError(f"not an envelope of version 1: begins with {ciphertext[:6].hex()}")
    if len(ciphertext) < size:
        raise SealError(f"envelope of {len(ciphertext)} bytes should have a head of {size}")
    header = ciphertext[_HEAD.size : _HEAD.size + length]
    return Head(Level(level), header, ciphertext[size - KEY_BYTES : size], size)


def padded_size(size: int, level: Level) -> int:
    """Bytes after padding: for Lv1 and Lv2 the next PADMÉ size, 4 KiB at least, else no change.

    PADMÉ (Nikitin and others 2019) keeps as many leading bits of a size as its exponent has; a
    size then tells O(log log size) bits and grows, from 4 KiB on, by a sixteenth at most.
    """
    if not sealed(level):
        return size
    if size <= SMALLEST:
        return SMALLEST
    exponent = size.bit_length() - 1
    mask = (1 << (exponent - exponent.bit_length())) - 1
    return (size + mask) & ~mask


def commitment(data_key: bytes) -> bytes:
    """SHA3-256 of a domain byte and the key; nobody can find a second key with the same."""
    if len(data_key) != KEY_BYTES:
        raise SealError(f"data key has {len(data_key)} bytes, not {KEY_BYTES}")
    return hashlib.sha3_256(_COMMIT + data_key).digest()


def _records_key(data_key: bytes, head: bytes) -> bytes:
    """The head goes into the key, so a changed head opens no record."""
    return hashlib.sha3_256(_RECORDS + data_key + head).digest()


def _nonces(count: int) -> Iterator[bytes]:
    """Record number, and 1 for the last record."""
    for number in range(count):
        yield number.to_bytes(11, "big") + bytes((number == count - 1,))


def _without_padding(padded: bytes, level: Level) -> bytes:
    if len(padded) < _LENGTH.size:
        raise SealError(f"envelope holds {len(padded)} bytes, no length")
    (length,) = _LENGTH.unpack_from(padded)
    end = _LENGTH.size + length
    if padded_size(end, level) != len(padded) or padded.count(0, end) != len(padded) - end:
        raise SealError(f"envelope of {len(padded)} bytes is not padded as Lv{level:d} is")
    return padded[_LENGTH.size : end]

"""Sealing at collection: Lv1 and Lv2 payloads are encrypted before they reach the log.

A payload is sealed under a key of its own, derived from the key of its (segment, level), so that
one event can be disclosed without its neighbours and a destroyed segment key erases them all.
Format: docs/formats/sealed-event.md.
"""

import hashlib
import secrets
from struct import Struct
from typing import Final, NamedTuple, Protocol

from nacl import bindings
from nacl.exceptions import CryptoError

from agent.errors import SealError
from agent.privacy import Level
from agent.wallet.custody import unwrap_segment
from agent.wallet.keys import Opener

FORMAT: Final = 1
NONCE_BYTES: Final = 24
TAG_BYTES: Final = 16
KEY_BYTES: Final = 32

_REMEMBERED: Final = 64
"""Segment keys kept in memory by an Unsealer."""
_HEAD: Final = Struct(">BI")
OVERHEAD: Final = _HEAD.size + NONCE_BYTES + TAG_BYTES
"""Bytes that sealing adds to a payload."""


class CurrentKeys(Protocol):
    """What a Sealer needs: the key to seal with now, its wrapped form already on disk."""

    def current(self, level: Level) -> tuple[int, bytes]:
        """(segment, key). Raises SealError."""


class WrappedKeys(Protocol):
    """What an Unsealer needs: the wrapped key of any segment."""

    def wrapped(self, segment: int, level: Level) -> bytes:
        """Raises SealError when there was none, ErasedError when it was destroyed."""


class Sealed(NamedTuple):
    """A sealed payload, taken apart. head: the bytes before the nonce."""

    head: bytes
    segment: int
    nonce: bytes
    ciphertext: bytes


class Sealer:
    """Seals for one log. Needs no private key."""

    def __init__(self, segments: CurrentKeys, log_id: bytes) -> None:
        self._segments = segments
        self._log_id = log_id
        self._nonce = b""

    def seal(self, level: Level, kind: str, plain: bytes) -> bytes:
        """Payload of an event -> sealed payload, OVERHEAD bytes longer.

        Raises SealError when the key of the segment cannot be kept, and when the randomness of the
        machine stands still; then nothing was sealed.
        """
        segment, key = self._segments.current(level)
        nonce = secrets.token_bytes(NONCE_BYTES)  # waits until the kernel's generator is seeded
        if nonce == self._nonce:
            raise SealError(f"random {NONCE_BYTES} bytes came twice in a row; nothing is sealed")
        self._nonce = nonce
        return seal_with(key, segment, nonce, plain, bound(self._log_id, level, kind))


class Unsealer:
    """Opens what was sealed for one log, with the owner's key."""

    def __init__(self, opener: Opener, segments: WrappedKeys, log_id: bytes) -> None:
        self._opener = opener
        self._segments = segments
        self._log_id = log_id
        self._opened: dict[bytes, bytes] = {}

    def open(self, level: Level, kind: str, sealed: bytes) -> bytes:
        """Sealed payload -> payload.

        Raises SealError when it was sealed as another level or kind or for another log, when it
        was changed; ErasedError when the key of its segment was destroyed.
        """
        key = self.event_key(level, sealed)
        return open_with_event_key(key, level, kind, sealed, log_id=self._log_id)

    def event_key(self, level: Level, sealed: bytes) -> bytes:
        """The key of this one event, 32 bytes, for disclosure. It opens nothing else."""
        parts = split(sealed)
        # asked for every time: a key that was destroyed meanwhile must not be found in memory
        wrapped = self._segments.wrapped(parts.segment, level)
        if wrapped not in self._opened:
            if len(self._opened) == _REMEMBERED:
                self._opened.clear()
            self._opened[wrapped] = unwrap_segment(wrapped, self._opener, parts.segment, level)
        return event_key(self._opened[wrapped], parts.nonce)


def open_with_event_key(
    key: bytes, level: Level, kind: str, sealed: bytes, *, log_id: bytes
) -> bytes:
    """Opens one event with a key that was disclosed. Raises SealError when it does not fit."""
    parts = split(sealed)
    if len(key) != KEY_BYTES:
        raise SealError(f"event key has {len(key)} bytes, not {KEY_BYTES}")
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            parts.ciphertext, parts.head + bound(log_id, level, kind), parts.nonce, key
        )
    except CryptoError as error:
        raise SealError(
            f"{kind}: sealed payload of segment {parts.segment} does not open"
        ) from error


def seal_with(key: bytes, segment: int, nonce: bytes, plain: bytes, to: bytes) -> bytes:
    """Sealing with everything given; `to` is from `bound`. A nonce is used once for a key."""
    head = _HEAD.pack(FORMAT, segment)
    ciphertext = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        plain, head + to, nonce, event_key(key, nonce)
    )
    return head + nonce + ciphertext


def event_key(segment_key: bytes, nonce: bytes) -> bytes:
    """Keyed BLAKE2b-256 of nonce and the word "event"."""
    return hashlib.blake2b(nonce + b"event", key=segment_key, digest_size=KEY_BYTES).digest()


def bound(log_id: bytes, level: Level, kind: str) -> bytes:
    """What a payload is sealed to, besides its own head."""
    return bytes((len(log_id),)) + log_id + bytes((level,)) + kind.encode()


def split(sealed: bytes) -> Sealed:
    """Raises SealError for bytes that are not a sealed payload of format 1."""
    if len(sealed) < OVERHEAD or sealed[0] != FORMAT:
        raise SealError(f"{len(sealed)} bytes are not a sealed payload of format {FORMAT}")
    _, segment = _HEAD.unpack_from(sealed)
    end = _HEAD.size + NONCE_BYTES
    return Sealed(sealed[: _HEAD.size], segment, sealed[_HEAD.size : end], sealed[end:])

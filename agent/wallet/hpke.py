"""One secret for one public key: HPKE base mode, single shot.

RFC 9180 with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305: encapsulated key
(65 bytes), then ciphertext and tag. What the secret is for goes into `info`; the additional
data of the one message stays empty.
"""

import hmac
from collections.abc import Callable
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from agent.errors import SealError
from agent.wallet.curve import load_public

OVERHEAD: Final = 65 + 16
"""Bytes that the encapsulated key and the tag add."""

_POINT: Final = 65
_KEM_ID: Final = b"KEM\x00\x10"
_HPKE_ID: Final = b"HPKE\x00\x10\x00\x01\x00\x03"
_SUITE: Final = Suite(KEM.P256, KDF.HKDF_SHA256, AEAD.CHACHA20_POLY1305)


def seal_to(public: bytes, secret: bytes, info: bytes) -> bytes:
    """Raises SealError for a public key that is not one (see curve.load_public)."""
    return _SUITE.encrypt(secret, load_public(public), info=info)


def open_with(private: ec.EllipticCurvePrivateKey, sealed: bytes, info: bytes) -> bytes:
    """Raises SealError when sealed is not for this key and this info, or was changed."""
    if len(sealed) < OVERHEAD:
        raise SealError(f"{len(sealed)} bytes are too few for a sealed key")
    load_public(sealed[:65])
    try:
        return _SUITE.decrypt(sealed, private, info=info)
    except InvalidTag as error:
        raise SealError(f"sealed key of {len(sealed)} bytes does not open with this key") from error


def open_by(exchange: Callable[[bytes], bytes], public: bytes, sealed: bytes, info: bytes) -> bytes:
    """As open_with, for a private key that is in a token; the library has no door for these.

    exchange: a public key, 65 bytes -> the x coordinate of ECDH with it, 32 bytes
    public: the token's, 65 bytes
    """
    if len(sealed) < OVERHEAD:
        raise SealError(f"{len(sealed)} bytes are too few for a sealed key")
    sender = sealed[:_POINT]
    load_public(sender)
    secret = _extract(_KEM_ID, b"", b"eae_prk", exchange(sender))
    shared = _expand(_KEM_ID, secret, b"shared_secret", sender + public, 32)
    key, nonce = _schedule(shared, info)
    try:
        return ChaCha20Poly1305(key).decrypt(nonce, sealed[_POINT:], b"")
    except InvalidTag as error:
        raise SealError(f"sealed key of {len(sealed)} bytes does not open with this key") from error


def _schedule(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """Key and nonce of the one message. RFC 9180, section 5.1, base mode."""
    context = b"\x00" + _extract(_HPKE_ID, b"", b"psk_id_hash", b"")
    context += _extract(_HPKE_ID, b"", b"info_hash", info)
    secret = _extract(_HPKE_ID, shared, b"secret", b"")
    key = _expand(_HPKE_ID, secret, b"key", context, 32)
    return key, _expand(_HPKE_ID, secret, b"base_nonce", context, 12)


def _extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, "sha256")


def _expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """length: 32 at most, so that one block of HKDF-Expand is enough."""
    labelled = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info
    return hmac.digest(key, labelled + b"\x01", "sha256")[:length]

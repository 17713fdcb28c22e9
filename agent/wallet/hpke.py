"""One secret for one public key: HPKE base mode, single shot.

RFC 9180 with DHKEM(P-256, HKDF-SHA256), HKDF-SHA256 and ChaCha20-Poly1305: encapsulated key
(65 bytes), then ciphertext and tag. What the secret is for goes into `info`; the additional
data of the one message stays empty.
"""

from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

from agent.errors import SealError
from agent.wallet.curve import load_public

OVERHEAD: Final = 65 + 16
"""Bytes that the encapsulated key and the tag add."""

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

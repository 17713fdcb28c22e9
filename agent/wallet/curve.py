"""Keys and signatures on NIST P-256, in the fixed-width forms that leave the agent.

Public keys are 65 bytes, 0x04 and both coordinates (SEC 1 section 2.3.3); private keys are
32-byte scalars; signatures are r and s, 32 bytes each, with s in the lower half of the order.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.errors import SealError

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PUBLIC_BYTES: Final = 65
SCALAR_BYTES: Final = 32
SIGNATURE_BYTES: Final = 64

_UNCOMPRESSED: Final = 0x04


def load_public(public: bytes) -> ec.EllipticCurvePublicKey:
    """Raises SealError unless public is 65 bytes, uncompressed, and a point of the curve.

    The point at infinity has no such form, so it is refused with the rest.
    """
    if len(public) != PUBLIC_BYTES or public[0] != _UNCOMPRESSED:
        raise SealError(f"public key of {len(public)} bytes is not an uncompressed P-256 point")
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    except ValueError as error:
        raise SealError(f"public key {public[:5].hex()}… is not on P-256") from error


def point(digits: str) -> bytes:
    """A public key in hexadecimal digits, compressed or not (SEC 1) -> 65 bytes.

    Raises SealError.
    """
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), bytes.fromhex(digits))
    except ValueError as error:
        raise SealError(f"public key {digits[:10]!r}… is no point of P-256") from error
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def compressed(public: bytes) -> bytes:
    """65 bytes -> 33: the x coordinate and which of the two y."""
    return load_public(public).public_bytes(Encoding.X962, PublicFormat.CompressedPoint)


def load_private(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises SealError unless scalar is 32 bytes and in 1..ORDER-1. Its value is never shown."""
    number = int.from_bytes(scalar, "big")
    if len(scalar) != SCALAR_BYTES or not 0 < number < ORDER:
        raise SealError(f"private key of {len(scalar)} bytes is not a scalar of P-256")
    return ec.derive_private_key(number, ec.SECP256R1())


def new_scalar() -> bytes:
    """A fresh private key from the operating system's random source."""
    number = ec.generate_private_key(ec.SECP256R1()).private_numbers().private_value
    return number.to_bytes(SCALAR_BYTES, "big")


def public_bytes(private: ec.EllipticCurvePrivateKey) -> bytes:
    return private.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def sign(private: ec.EllipticCurvePrivateKey, message: bytes) -> bytes:
    """ECDSA over SHA-256, RFC 6979 nonce: a poor random source at boot cannot leak the key."""
    der = private.sign(message, ec.ECDSA(SHA256(), deterministic_signing=True))
    return fixed_width(*decode_dss_signature(der))


def fixed_width(r: int, s: int) -> bytes:
    """An ECDSA signature in 64 bytes, with the lower of the two s that verify. Raises SealError."""
    if not (0 < r < ORDER and 0 < s < ORDER):
        raise SealError("r and s of a signature are not in 1..ORDER-1")
    s = min(s, ORDER - s)
    return r.to_bytes(SCALAR_BYTES, "big") + s.to_bytes(SCALAR_BYTES, "big")


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether signature is one of `sign`'s over message; a high s is refused."""
    r = int.from_bytes(signature[:SCALAR_BYTES], "big")
    s = int.from_bytes(signature[SCALAR_BYTES:], "big")
    if len(signature) != SIGNATURE_BYTES or s > ORDER // 2:
        return False
    try:
        load_public(public).verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True

"""Accounts of the AMO chain: ECDSA on P-256 over SHA-256, and the addresses made from keys.

A public key is the uncompressed point `04 || X(32) || Y(32)`, a signature is
`r(32) || s(32)`, both big-endian. An address is the first 20 bytes of SHA-256 over the
65 bytes of the public key, written as 40 upper-case hex digits.
"""

import hashlib
import re
from typing import Final, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.errors import MalformedInputError, SealError

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Number of points of P-256 (FIPS 186-5, SP 800-186 section 3.2.1.3)."""
PRIVATE_BYTES: Final = 32
PUBLIC_BYTES: Final = 65
SIGNATURE_BYTES: Final = 64

_UNCOMPRESSED: Final = 0x04
_PUBLIC_HEX: Final = re.compile(r"[0-9A-Fa-f]{130}")


def _scheme() -> ec.ECDSA:
    """Nonces by RFC 6979 where the library can, so that signing needs no random source."""
    try:
        return ec.ECDSA(SHA256(), deterministic_signing=True)
    except UnsupportedAlgorithm:  # OpenSSL before 3.2; any nonce makes a valid signature
        return ec.ECDSA(SHA256())


_SIGN: Final = _scheme()
_VERIFY: Final = ec.ECDSA(SHA256())


def address_of(public: bytes) -> str:
    """The account address of an uncompressed public key: 40 upper-case hex digits."""
    if len(public) != PUBLIC_BYTES:
        raise MalformedInputError(f"public key of {len(public)} bytes; it has {PUBLIC_BYTES}")
    return hashlib.sha256(public).digest()[:20].hex().upper()


def public_from_hex(text: str) -> bytes:
    """65 bytes from exactly 130 hex digits of either case; the curve is left to `verify`.

    Raises MalformedInputError.
    """
    if not _PUBLIC_HEX.fullmatch(text):
        raise MalformedInputError(f"public key is not 130 hex digits but {len(text)} characters")
    return bytes.fromhex(text)


def on_curve(public: bytes) -> bool:
    """Whether these are the 65 bytes of an uncompressed point of P-256."""
    if len(public) != PUBLIC_BYTES or public[0] != _UNCOMPRESSED:
        return False
    try:
        ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
    except ValueError:
        return False
    return True


def verify(public: bytes, message: bytes, signature64: bytes) -> bool:
    """Whether the key signed the message. A high s is taken, as the chain takes it.

    False for any key that is not an uncompressed point of the curve, and for any
    signature that is not 64 bytes with 0 < r, s < ORDER.
    """
    if len(public) != PUBLIC_BYTES or public[0] != _UNCOMPRESSED:
        return False
    if len(signature64) != SIGNATURE_BYTES:
        return False
    r, s = int.from_bytes(signature64[:32]), int.from_bytes(signature64[32:])
    if not (0 < r < ORDER and 0 < s < ORDER):
        return False
    try:
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        key.verify(encode_dss_signature(r, s), message, _VERIFY)
    except (InvalidSignature, ValueError):  # ValueError: the point is off the curve
        return False
    return True


class Account:
    """A private key of the chain that signs and never shows itself.

    public:   65 bytes, uncompressed
    address:  40 upper-case hex digits
    """

    __slots__ = ("_key", "address", "public")

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._key = key
        point = key.public_key()
        self.public: Final = point.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        self.address: Final = address_of(self.public)

    @classmethod
    def from_private(cls, private: bytes) -> Self:
        """From the 32 bytes of the scalar, big-endian. Raises SealError outside 1..ORDER-1."""
        scalar = int.from_bytes(private)
        if len(private) != PRIVATE_BYTES or not 0 < scalar < ORDER:
            raise SealError(f"private key of {len(private)} bytes is not a scalar of P-256")
        return cls(ec.derive_private_key(scalar, ec.SECP256R1()))

    @classmethod
    def from_seed(cls, seed: str) -> Self:
        """From a phrase, as the chain's own command line does: the scalar is its SHA-256."""
        return cls.from_private(hashlib.sha256(seed.encode()).digest())

    @classmethod
    def generate(cls) -> Self:
        return cls(ec.generate_private_key(ec.SECP256R1()))

    def sign(self, message: bytes) -> bytes:
        """64 bytes over SHA-256 of the message, s in the lower half of the order."""
        r, s = decode_dss_signature(self._key.sign(message, _SIGN))
        return r.to_bytes(32) + min(s, ORDER - s).to_bytes(32)

    def __repr__(self) -> str:
        return f"Account({self.address})"

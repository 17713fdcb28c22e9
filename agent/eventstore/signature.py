"""Is this signature that of this device? ECDSA on P-256 with SHA-256, r and s side by side.

There is one curve, one hash and one form: nothing in a seal chooses another.
"""

from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

SIGNATURE_BYTES: Final = 64
PUBLIC_BYTES: Final = 65

_HALF_ORDER: Final = 0x7FFFFFFF800000007FFFFFFFFFFFFFFFDE737D56D38BCF4279DCE5617E3192A8


def signed_by(public: bytes, message: bytes, signature: bytes) -> bool:
    """Any bytes may come. public: 65 bytes, uncompressed; signature: r and s, 64 bytes.

    A high s is no signature, or each would have a twin.
    """
    if len(signature) != SIGNATURE_BYTES or len(public) != PUBLIC_BYTES:
        return False
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    if s > _HALF_ORDER:
        return False
    try:
        # takes two forms of a point, and the other one is shorter
        key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), public)
        key.verify(encode_dss_signature(r, s), message, ec.ECDSA(SHA256()))
    except (ValueError, InvalidSignature):
        return False
    return True

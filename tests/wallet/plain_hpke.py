"""HPKE base mode for our one suite, written a second time from RFC 9180 sections 4 to 7.

It shares nothing with agent.wallet but ECDH, HMAC and ChaCha20-Poly1305, takes the ephemeral key
from its caller, and so can make the golden bytes of test_custody.py:

    python -m tests.wallet.plain_hpke
"""

import hashlib
import hmac

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

KEM_SUITE = b"KEM\x00\x10"  # DHKEM(P-256, HKDF-SHA256)
HPKE_SUITE = b"HPKE\x00\x10\x00\x01\x00\x03"  # with HKDF-SHA256 and ChaCha20-Poly1305


def private(scalar: bytes) -> ec.EllipticCurvePrivateKey:
    return ec.derive_private_key(int.from_bytes(scalar, "big"), ec.SECP256R1())


def point(key: ec.EllipticCurvePublicKey) -> bytes:
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def extract(suite: bytes, salt: bytes, label: bytes, secret: bytes) -> bytes:
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + secret, hashlib.sha256)


def expand(suite: bytes, key: bytes, label: bytes, info: bytes, length: int) -> bytes:
    text = length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01"
    return hmac.digest(key, text, hashlib.sha256)[:length]  # one block: length is 32 at most


def schedule(shared: bytes, info: bytes) -> tuple[bytes, bytes]:
    """(key, nonce of the first message)"""
    context = b"\x00" + extract(HPKE_SUITE, b"", b"psk_id_hash", b"")
    context += extract(HPKE_SUITE, b"", b"info_hash", info)
    secret = extract(HPKE_SUITE, shared, b"secret", b"")
    key = expand(HPKE_SUITE, secret, b"key", context, 32)
    return key, expand(HPKE_SUITE, secret, b"base_nonce", context, 12)


def shared_secret(dh: bytes, enc: bytes, recipient: bytes) -> bytes:
    prk = extract(KEM_SUITE, b"", b"eae_prk", dh)
    return expand(KEM_SUITE, prk, b"shared_secret", enc + recipient, 32)


def seal(ephemeral: bytes, recipient: bytes, info: bytes, aad: bytes, plain: bytes) -> bytes:
    key = private(ephemeral)
    to = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), recipient)
    enc = point(key.public_key())
    shared = shared_secret(key.exchange(ec.ECDH(), to), enc, recipient)
    cipher, nonce = schedule(shared, info)
    return enc + ChaCha20Poly1305(cipher).encrypt(nonce, plain, aad)


def unseal(scalar: bytes, sealed: bytes, info: bytes, aad: bytes) -> bytes:
    key, enc = private(scalar), sealed[:65]
    sender = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), enc)
    shared = shared_secret(key.exchange(ec.ECDH(), sender), enc, point(key.public_key()))
    cipher, nonce = schedule(shared, info)
    return ChaCha20Poly1305(cipher).decrypt(nonce, sealed[65:], aad)


def golden_custody() -> bytes:
    recipient = point(private(b"\x11" * 32).public_key())
    info = b"amo-agent custody v1" + b"\x02" + bytes.fromhex("00000001" + "ab" * 32)
    return b"\x01" + seal(b"\x22" * 32, recipient, info, b"", bytes(range(32)))


if __name__ == "__main__":
    print(golden_custody().hex())  # noqa: T201 - it is a script

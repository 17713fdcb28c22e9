"""Keys and signatures have one form, and another is refused."""

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)
from cryptography.hazmat.primitives.hashes import SHA256

from agent.errors import SealError
from agent.wallet import curve
from agent.wallet.address import address
from agent.wallet.keys import FileKey

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "amo_vectors.json"
ALICE = bytes.fromhex("2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90")


def test_the_address_of_a_known_key_is_the_known_one() -> None:
    public = curve.public_bytes(curve.load_private(ALICE))
    assert public.hex().startswith("04081fbae3d40d1109c27a370a02855eaf2b2846ff")
    assert address(public) == "124EEA2A601ED2C4B6CDD98D657A73F06B685D52"


def test_the_published_addresses_are_ours() -> None:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS.name} is not beside the repository")
    pairs = json.loads(VECTORS.read_text(encoding="utf-8"))["p256_key_from_seed"]
    assert pairs
    for pair in pairs:
        public = curve.public_bytes(curve.load_private(bytes.fromhex(pair["private_key_hex"])))
        assert public.hex().upper() == pair["public_key_hex"]
        assert address(public) == pair["address"]


def test_a_signature_is_64_bytes_with_a_low_s_and_verifies(owner: FileKey) -> None:
    for number in range(32):
        message = b"message %d" % number
        signature = owner.sign(message)
        s = int.from_bytes(signature[32:], "big")
        assert len(signature) == 64
        assert 0 < s <= curve.ORDER // 2
        r = int.from_bytes(signature[:32], "big")
        curve.load_public(owner.public).verify(
            encode_dss_signature(r, s), message, ec.ECDSA(SHA256())
        )
        assert curve.verify(owner.public, message, signature)


def test_a_signature_with_a_high_s_is_refused(owner: FileKey) -> None:
    signature = owner.sign(b"message")
    high = curve.ORDER - int.from_bytes(signature[32:], "big")
    assert not curve.verify(owner.public, b"message", signature[:32] + high.to_bytes(32, "big"))


def test_a_signature_in_der_is_refused(owner: FileKey) -> None:
    good = owner.sign(b"message")
    r, s = (int.from_bytes(half, "big") for half in (good[:32], good[32:]))
    der = encode_dss_signature(r, s)
    assert not curve.verify(owner.public, b"message", der)
    assert not curve.verify(owner.public, b"message", der[:64])
    assert not curve.verify(owner.public, b"message", der[-64:])


@pytest.mark.parametrize("other", [ec.SECP256K1(), ec.BrainpoolP256R1()], ids=lambda c: str(c.name))
def test_a_signature_of_another_curve_is_refused_with_its_key(other: ec.EllipticCurve) -> None:
    key = ec.derive_private_key(5, other)
    r, s = decode_dss_signature(key.sign(b"message", ec.ECDSA(SHA256())))
    signature = curve.fixed_width(r, s)
    with pytest.raises(SealError, match="not on P-256"):
        curve.verify(curve.public_bytes(key), b"message", signature)


@pytest.mark.parametrize("length", [0, 33, 64, 66, 97])
def test_a_public_key_of_another_length_is_refused(owner: FileKey, length: int) -> None:
    public = (owner.public * 2)[:length]
    with pytest.raises(SealError, match=f"{length} bytes"):
        curve.verify(public, b"message", owner.sign(b"message"))


def test_each_changed_byte_of_a_signature_is_found(owner: FileKey) -> None:
    good = owner.sign(b"message")
    for position in range(64):
        bad = bytearray(good)
        bad[position] ^= 0x01
        assert not curve.verify(owner.public, b"message", bytes(bad))
    assert not curve.verify(owner.public, b"massage", good)
    assert not curve.verify(owner.public, b"message", good[:-1])
    assert not curve.verify(owner.public, b"message", bytes(64))


@pytest.mark.parametrize(
    "scalar",
    [b"", bytes(32), bytes(31), curve.ORDER.to_bytes(32, "big"), b"\xff" * 32, bytes(32) + b"\x01"],
)
def test_a_private_key_out_of_range_is_refused_without_being_shown(scalar: bytes) -> None:
    with pytest.raises(SealError) as caught:
        curve.load_private(scalar)
    assert not scalar or scalar.hex() not in str(caught.value)

import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.amo.p256 import ORDER, Account, address_of, public_from_hex, verify
from agent.errors import MalformedInputError, SealError
from tests.amo.recorded import recorded

ALICE = Account.from_seed("alice")
MESSAGE = b"a message"


def high_s(signature: bytes) -> bytes:
    return signature[:32] + (ORDER - int.from_bytes(signature[32:])).to_bytes(32)


def test_every_recorded_seed_gives_its_key_and_address() -> None:
    for case in recorded()["p256_key_from_seed"]:
        account = Account.from_seed(case["seed_utf8"])
        assert account.public.hex().upper() == case["public_key_hex"].upper()
        assert account.address == case["address"]
        assert (
            Account.from_private(bytes.fromhex(case["private_key_hex"])).address == case["address"]
        )


def test_every_recorded_private_key_gives_its_public_key_and_address() -> None:
    for case in recorded()["p256_key_from_private"]:
        account = Account.from_private(bytes.fromhex(case["private_key_hex"]))
        assert account.public.hex() == case["public_key_hex"].lower()
        assert account.address == case["address"]


def test_every_recorded_public_key_gives_its_address() -> None:
    for case in recorded()["address_from_public_key"]:
        assert address_of(public_from_hex(case["public_key_hex"])) == case["address"]


def test_address_of_alice_is_the_published_one() -> None:
    assert ALICE.address == "124EEA2A601ED2C4B6CDD98D657A73F06B685D52"


def test_published_signature_verifies() -> None:
    [case, _] = recorded()["tx_signature"]
    public = public_from_hex(case["public_key_hex"])
    message = case["signing_bytes_utf8"].encode()
    assert verify(public, message, bytes.fromhex(case["sig_bytes_hex"]))


def deterministic_cases() -> list[dict[str, Any]]:
    vectors = recorded()
    seeded = {"private_seed", "sender_seed"}
    return [
        c for c in vectors["tx_signature"] + vectors["signing_bytes_escaping"] if seeded & set(c)
    ]


def test_signature_is_the_recorded_one_of_rfc_6979_in_its_low_s_form() -> None:
    for case in deterministic_cases():
        account = Account.from_seed(case.get("private_seed") or case["sender_seed"])
        wanted = bytes.fromhex(case["rfc6979_sha256_sig_bytes_hex"])
        low = min(wanted, high_s(wanted), key=lambda signature: signature[32:])
        assert account.sign(case["signing_bytes_utf8"].encode()) == low
        assert verify(account.public, case["signing_bytes_utf8"].encode(), wanted)


@given(st.binary(max_size=200))
def test_what_is_signed_verifies_with_either_s(message: bytes) -> None:
    signature = ALICE.sign(message)
    assert int.from_bytes(signature[32:]) <= ORDER // 2
    assert verify(ALICE.public, message, signature)
    assert verify(ALICE.public, message, high_s(signature))


@given(st.integers(0, 63), st.integers(1, 255))
def test_one_changed_byte_of_a_signature_fails(at: int, flip: int) -> None:
    broken = bytearray(ALICE.sign(MESSAGE))
    broken[at] ^= flip
    assert not verify(ALICE.public, MESSAGE, bytes(broken))


def test_another_key_does_not_verify() -> None:
    assert not verify(Account.from_seed("bob").public, MESSAGE, ALICE.sign(MESSAGE))


@pytest.mark.parametrize(
    "public",
    [
        b"",
        b"\x04" * 65,  # off the curve
        b"\x00" + ALICE.public[1:],
        b"\x02" + ALICE.public[1:33],  # compressed: never taken on the chain
        ALICE.public[:-1],
        ALICE.public[:-1] + bytes([ALICE.public[-1] ^ 1]),
        b"\x04" + b"\xff" * 64,
        b"\x04" + bytes(64),
    ],
)
def test_key_that_is_no_uncompressed_point_of_the_curve_is_refused(public: bytes) -> None:
    assert not verify(public, MESSAGE, ALICE.sign(MESSAGE))


@pytest.mark.parametrize(
    "signature",
    [b"", bytes(64), b"\xff" * 64, bytes(63), ALICE.sign(MESSAGE) + b"\0", b"\x30" + bytes(70)],
)
def test_signature_out_of_range_is_refused(signature: bytes) -> None:
    assert not verify(ALICE.public, MESSAGE, signature)


@given(st.binary(max_size=70), st.binary(max_size=70))
def test_garbage_never_verifies_and_never_raises(public: bytes, signature: bytes) -> None:
    assert not verify(public, MESSAGE, signature)


@pytest.mark.parametrize("private", [bytes(32), ORDER.to_bytes(32), b"\xff" * 32, b"\x01", b""])
def test_private_key_outside_the_order_is_refused_without_being_shown(private: bytes) -> None:
    with pytest.raises(SealError) as caught:
        Account.from_private(private)
    assert private.hex() not in str(caught.value) or not private


@pytest.mark.parametrize("text", ["", "04", "0x" + "00" * 64, "zz" * 65, " " * 130, "\u0660" * 130])
def test_public_key_is_exactly_130_hex_digits(text: str) -> None:
    with pytest.raises(MalformedInputError):
        public_from_hex(text)


def test_public_key_is_read_in_either_case() -> None:
    assert public_from_hex(ALICE.public.hex()) == public_from_hex(ALICE.public.hex().upper())


def test_address_wants_a_whole_public_key() -> None:
    with pytest.raises(MalformedInputError, match="64 bytes"):
        address_of(ALICE.public[1:])


def test_account_shows_its_address_and_no_key() -> None:
    private = Account.from_private(b"\x07" * 32)
    assert repr(private) == f"Account({private.address})"
    with pytest.raises(TypeError):
        pickle.dumps(private)


def test_generated_accounts_differ() -> None:
    assert Account.generate().address != Account.generate().address

"""An envelope opens whole, with its own key, or not at all."""

import hashlib

import pytest
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SealError
from agent.privacy import Level
from agent.wallet import envelope
from agent.wallet.envelope import decrypt, encrypt, encrypt_with, padded_size, read_head

RECORD = envelope.RECORD_BYTES + envelope.TAG_BYTES


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=300), st.sampled_from(Level), st.binary(max_size=40))
def test_what_was_encrypted_comes_back(plain: bytes, level: Level, header: bytes) -> None:
    ciphertext, key = encrypt(plain, level=level, header=header)
    assert decrypt(ciphertext, key) == plain
    assert read_head(ciphertext)[:2] == (level, header)


@pytest.mark.parametrize("size", [0, 1, 65_527, 65_528, 65_529, 131_064, 131_065, 200_000])
def test_sizes_around_a_record_come_back(size: int) -> None:
    plain = bytes(i % 251 for i in range(size))
    for level in (Level.LV2, Level.LV3):
        ciphertext, key = encrypt(plain, level=level, header=b"")
        assert decrypt(ciphertext, key) == plain


def test_each_changed_byte_is_found() -> None:
    good, key = encrypt(b"a small parcel", level=Level.LV3, header=b"log 7")
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x01
        with pytest.raises(SealError):
            decrypt(bytes(bad), key)


def test_an_envelope_cut_anywhere_is_refused() -> None:
    good, key = encrypt(b"a small parcel", level=Level.LV3, header=b"log 7")
    for length in range(len(good)):
        with pytest.raises(SealError):
            decrypt(good[:length], key)


def test_records_left_out_swapped_repeated_or_added_are_found() -> None:
    plain = bytes(range(256)) * 1024
    good, key = encrypt(plain, level=Level.LV3, header=b"")
    size = read_head(good).size
    head, body = good[:size], good[size:]
    records = [body[i : i + RECORD] for i in range(0, len(body), RECORD)]
    assert len(records) == 5
    for wrong in (
        records[:-1],
        records[1:],
        [records[1], records[0], *records[2:]],
        [records[0], *records],
        [*records, records[-1]],
        records[:-2] + records[-1:],
    ):
        with pytest.raises(SealError):
            decrypt(head + b"".join(wrong), key)


def test_rt_65_another_key_is_refused_by_the_commitment_before_anything_is_decrypted() -> None:
    ciphertext, _ = encrypt(b"parcel", level=Level.LV3, header=b"")
    with pytest.raises(SealError, match="not the one"):
        decrypt(ciphertext, bytes(32))


def test_a_record_that_opens_with_two_keys_still_has_one_commitment() -> None:
    ciphertext, key = encrypt(b"parcel", level=Level.LV3, header=b"")
    assert read_head(ciphertext).commitment == hashlib.sha3_256(b"\x06" + key).digest()


@pytest.mark.parametrize("length", [0, 31, 33])
def test_a_key_of_another_length_is_refused(length: int) -> None:
    ciphertext, _ = encrypt(b"parcel", level=Level.LV3, header=b"")
    with pytest.raises(SealError):
        decrypt(ciphertext, bytes(length))


def test_personal_parcels_of_nearly_one_size_look_alike() -> None:
    sizes = {len(encrypt(bytes(n), level=Level.LV1, header=b"")[0]) for n in range(0, 4000, 100)}
    assert len(sizes) == 1
    trips = range(900_000, 905_000, 50)
    assert len({padded_size(size, Level.LV2) for size in trips}) <= 2


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 1 << 40))
def test_padding_never_shrinks_and_never_grows_by_more_than_a_sixteenth(size: int) -> None:
    padded = padded_size(size, Level.LV1)
    assert size <= padded <= max(envelope.SMALLEST, size * 17 // 16)
    assert padded_size(padded, Level.LV1) == padded
    assert padded_size(size, Level.LV3) == size


def test_padding_that_is_not_zero_is_refused() -> None:
    """Only who has the key could hide something there; two bodies would have one content."""
    key = bytes(range(32))
    head_size = read_head(encrypt_with(key, b"x", level=Level.LV1, header=b"")).size
    head = encrypt_with(key, b"x", level=Level.LV1, header=b"")[:head_size]
    padded = (1).to_bytes(8, "big") + b"x" + bytes(4086) + b"\x01"
    cipher = ChaCha20Poly1305(hashlib.sha3_256(b"\x07" + key + head).digest())
    with pytest.raises(SealError, match="padded"):
        decrypt(head + cipher.encrypt(bytes(11) + b"\x01", padded, None), key)


def test_a_length_that_is_a_lie_is_refused() -> None:
    key = bytes(range(32))
    head = encrypt_with(key, b"x", level=Level.LV3, header=b"")[: 5 + 1 + 2 + 32]
    cipher = ChaCha20Poly1305(hashlib.sha3_256(b"\x07" + key + head).digest())
    lie = cipher.encrypt(bytes(11) + b"\x01", (1 << 63).to_bytes(8, "big") + b"x", None)
    with pytest.raises(SealError):
        decrypt(head + lie, key)


def test_the_bytes_are_those_of_the_documented_format() -> None:
    """Made here from docs/formats/custody.md alone."""
    key, plain = bytes(range(32)), b"parcel"
    head = b"AMOE\x01\x03\x00\x05log 7" + hashlib.sha3_256(b"\x06" + key).digest()
    cipher = ChaCha20Poly1305(hashlib.sha3_256(b"\x07" + key + head).digest())
    made = head + cipher.encrypt(bytes(11) + b"\x01", (6).to_bytes(8, "big") + plain, None)
    assert encrypt_with(key, plain, level=Level.LV3, header=b"log 7") == made
    assert made[-30:].hex() == "bf601a2e12c79dc719e6f125272cff746331f39c276d199513516fc7ef20"


def test_every_envelope_has_a_key_of_its_own() -> None:
    assert len({encrypt(b"", level=Level.LV3, header=b"")[1] for _ in range(20)}) == 20


def test_a_header_over_the_limit_is_refused() -> None:
    with pytest.raises(SealError, match="65535"):
        encrypt(b"", level=Level.LV3, header=bytes(65_536))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=120))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(SealError):
        decrypt(envelope.MAGIC + data, bytes(32))
    with pytest.raises(SealError):
        decrypt(data, bytes(32))

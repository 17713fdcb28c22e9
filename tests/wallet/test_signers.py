"""Whatever place a key lies in, it does the same and shows as little."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from agent.wallet import curve, keyfile
from agent.wallet.address import address
from agent.wallet.keys import SCHEMES, Signer, key_at
from agent.wallet.token import create_key
from tests.tokens import PIN, SoftHsm, SwTpm

SCALAR = curve.new_scalar()


def in_file(request: pytest.FixtureRequest) -> str:
    folder: Path = request.getfixturevalue("tmp_path_factory").mktemp("file")
    keyfile.write(folder / "device.key", keyfile.encode("device", SCALAR, None))
    return f"file:{folder / 'device.key'}"


def in_token(request: pytest.FixtureRequest) -> str:
    softhsm: SoftHsm = request.getfixturevalue("softhsm")
    create_key(softhsm.uri("contract"))
    return softhsm.uri("contract")


def in_tpm(request: pytest.FixtureRequest) -> str:
    swtpm: SwTpm = request.getfixturevalue("swtpm")
    uri = swtpm.uri(swtpm.handle(), counter="0x01510000")
    create_key(uri)
    return uri


PLACES = {"file": in_file, "pkcs11": in_token, "tpm": in_tpm}


@pytest.fixture(scope="module", params=PLACES)
def uri(request: pytest.FixtureRequest) -> str:
    return PLACES[request.param](request)


@pytest.fixture(scope="module")
def signer(uri: str) -> Signer:
    return key_at(uri, "device")


def test_every_place_where_keys_can_lie_is_tried_here() -> None:
    assert PLACES.keys() == SCHEMES.keys()


def test_a_signature_is_64_bytes_with_a_low_s_and_verifies(signer: Signer) -> None:
    for number in range(16):  # a place that left s as it came would be right once in 65,536 runs
        message = b"message %d" % number
        signature = signer.sign(message)
        assert len(signature) == 64
        assert int.from_bytes(signature[32:], "big") <= curve.ORDER // 2
        assert curve.verify(signer.public, message, signature)
        assert not curve.verify(signer.public, b"massage", signature)


@pytest.mark.parametrize("message", [b"", b"\n", bytes(1 << 20)], ids=["none", "line", "1 MiB"])
def test_a_message_of_any_length_is_signed(signer: Signer, message: bytes) -> None:
    assert curve.verify(signer.public, message, signer.sign(message))


def test_the_key_is_the_same_after_a_restart(signer: Signer, uri: str) -> None:
    again = key_at(uri, "device")
    assert again.public == signer.public
    assert len(again.public) == 65
    assert curve.verify(signer.public, b"message", again.sign(b"message"))


def test_it_says_where_it_lies(signer: Signer, uri: str) -> None:
    assert signer.custody == uri.partition(":")[0]


def test_only_a_tpm_has_a_counter(signer: Signer) -> None:
    assert (signer.counter is not None) == (signer.custody == "tpm")


def test_threads_that_sign_at_once_all_get_their_own_signature(signer: Signer) -> None:
    messages = [b"thread %d" % number for number in range(16)]
    with ThreadPoolExecutor(8) as pool:
        signatures = list(pool.map(signer.sign, messages))
    for message, signature in zip(messages, signatures, strict=True):
        assert curve.verify(signer.public, message, signature)


def test_it_shows_its_address_and_no_secret(signer: Signer) -> None:
    shown = f"{signer!r} {signer} {vars(signer)}"
    assert address(signer.public) in shown
    assert not any(secret in shown.lower() for secret in (PIN, SCALAR.hex(), repr(SCALAR)))


def test_it_is_neither_pickled_nor_copied(signer: Signer) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(signer)
    with pytest.raises(TypeError):
        copy.deepcopy(signer)

"""Keys move to and from the reference client's file, in the form it has."""

import json
import traceback
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import SealError, UsageError
from agent.wallet import curve, keyring
from tests.shared import SHARED, needs_shared

ALICE = "2bd806c97f0e00af1a1fc3328fa763a9269723c8db8fac4f93af71db186d6e90"
KEY = bytes(range(1, 33))


@pytest.fixture(scope="module")
def recorded() -> Any:
    path = SHARED / "vectors" / "amo_vectors.json"
    return json.loads(path.read_text(encoding="utf-8"))["keyring_file"][0]


@needs_shared
def test_a_keyring_of_the_reference_client_opens(recorded: Any) -> None:
    ring = keyring.parse(recorded["file_text"].encode())
    passphrase = recorded["passphrase_of_enc"].encode()
    assert keyring.scalar(keyring.find(ring, "alice"), None).hex() == ALICE
    opened = keyring.scalar(keyring.find(ring, "enc"), passphrase)
    assert opened.hex() == recorded["private_key_of_enc_hex"]


@needs_shared
def test_what_is_written_has_the_form_that_was_recorded(recorded: Any) -> None:
    theirs = json.loads(recorded["file_text"])["enc"]
    written = keyring.build("enc", bytes.fromhex(recorded["private_key_of_enc_hex"]), b"pass")
    assert b" " not in written
    ours = json.loads(written)["enc"]
    assert list(ours) == list(theirs)
    assert {k: v for k, v in ours.items() if k != "priv_key"} == {
        k: v for k, v in theirs.items() if k != "priv_key"
    }
    assert len(ours["priv_key"]) == len(theirs["priv_key"])


def test_what_is_written_is_read_again() -> None:
    ring = keyring.parse(keyring.build("car", KEY, b"sesame"))
    assert keyring.scalar(ring["car"], b"sesame") == KEY


def test_a_wrong_or_missing_passphrase_opens_nothing() -> None:
    entry = keyring.parse(keyring.build("car", KEY, b"sesame"))["car"]
    for wrong in (b"", b"sesamE", None):
        with pytest.raises(SealError, match="passphrase"):
            keyring.scalar(entry, wrong)


def test_a_name_that_is_not_there_is_told_with_those_that_are() -> None:
    with pytest.raises(UsageError, match=r"no key 'bob'; it has \['car'\]"):
        keyring.find(keyring.parse(keyring.build("car", KEY, b"sesame")), "bob")


def test_an_empty_file_is_an_empty_keyring() -> None:
    assert keyring.parse(b"") == {}


def test_halves_that_do_not_belong_together_are_refused() -> None:
    ring = json.loads(keyring.build("car", KEY, b"sesame"))
    other = json.loads(keyring.build("car", curve.new_scalar(), b"sesame"))
    for field in ("address", "pub_key"):
        changed = {"car": {**ring["car"], field: other["car"][field]}}
        entry = keyring.parse(json.dumps(changed).encode())["car"]
        with pytest.raises(SealError, match="belong together"):
            keyring.scalar(entry, b"sesame")


@given(st.binary(max_size=200).filter(lambda data: data.strip() not in {b"", b"{}"}))
def test_what_is_no_keyring_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"\A\d+ bytes are no keyring\Z"):
        keyring.parse(data)


def test_no_key_is_in_a_repr_or_a_traceback() -> None:
    entry = keyring.Entry(address="A", pub_key=b"", priv_key=b"secret" * 5, encrypted=False)
    assert "secret" not in repr(entry)
    with pytest.raises(SealError) as caught:
        keyring.scalar(entry, None)
    assert "secret" not in "".join(traceback.format_exception(caught.value))

"""Key files keep their keys from everybody else, and say why when they cannot be used."""

import copy
import os
import pickle
from pathlib import Path

import cbor2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import ConfigError, SealError
from agent.wallet import curve, hpke, keyfile
from agent.wallet.keys import FileKey, create_keys, fill, key_at, load_keys, load_owner
from agent.wallet.token import create_key, create_opener
from tests.tokens import SoftHsm, SwTpm

SCALAR = bytes(range(1, 33))


def test_three_different_keys_are_made_and_loaded_again(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys")
    again = load_keys(tmp_path / "keys")
    publics = [made.account.public, made.device.public, made.owner.public]
    assert len(set(publics)) == 3
    assert publics == [again.account.public, again.device.public, again.owner.public]


def test_what_a_key_does_survives_a_restart(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys")
    sealed = hpke.seal_to(made.owner.public, b"for the owner", b"")
    again = load_keys(tmp_path / "keys")
    assert again.owner.open(sealed, b"") == b"for the owner"
    assert curve.verify(made.account.public, b"tx", again.account.sign(b"tx"))


def test_directory_and_files_are_closed_to_others(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700
    files = sorted((tmp_path / "keys").iterdir())
    assert [file.name for file in files] == ["account.key", "device.key", "owner.key"]
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}


def test_an_empty_directory_is_taken_over_and_closed(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir(mode=0o755)
    create_keys(tmp_path / "keys")
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


def test_keys_are_never_replaced(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    before = {file: file.read_bytes() for file in (tmp_path / "keys").iterdir()}
    with pytest.raises(SealError, match="not empty"):
        create_keys(tmp_path / "keys")
    assert {file: file.read_bytes() for file in (tmp_path / "keys").iterdir()} == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["keys"]


def test_a_place_that_is_no_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"")
    with pytest.raises(SealError):
        create_keys(tmp_path / "keys")
    with pytest.raises(SealError):
        create_keys(tmp_path / "missing" / "keys")


def test_a_creation_that_was_interrupted_is_begun_again(tmp_path: Path) -> None:
    unfinished = tmp_path / ".keys-unfinished"
    unfinished.mkdir()
    (unfinished / "account.key").write_bytes(b"half")
    create_keys(tmp_path / "keys")
    assert not unfinished.exists()


def test_keys_without_a_passphrase_say_so(tmp_path: Path) -> None:
    assert not create_keys(tmp_path / "keys").protected


def test_a_passphrase_guards_every_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyfile, "OPERATIONS", 1)
    monkeypatch.setattr(keyfile, "MEMORY_BYTES", 8 << 20)
    made = create_keys(tmp_path / "keys", b"correct horse")
    assert made.protected
    assert load_keys(tmp_path / "keys", b"correct horse").owner.public == made.owner.public
    with pytest.raises(SealError, match="none was given"):
        load_keys(tmp_path / "keys")
    with pytest.raises(SealError, match="does not open"):
        load_keys(tmp_path / "keys", b"correct house")


def test_a_protected_file_does_not_hold_the_scalar() -> None:
    data = keyfile.encode("owner", SCALAR, b"correct horse")
    assert SCALAR not in data
    assert keyfile.decode(data, "owner", b"correct horse") == (SCALAR, True)
    assert b"horse" not in data


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o601])
def test_a_key_file_open_to_others_is_refused_by_its_mode(tmp_path: Path, mode: int) -> None:
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "device.key").chmod(mode)
    with pytest.raises(SealError, match=f"device.key has mode {mode:04o}"):
        load_keys(tmp_path / "keys")


def test_a_directory_open_to_others_is_refused_by_its_mode(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    (tmp_path / "keys").chmod(0o750)
    with pytest.raises(SealError, match="mode 0750"):
        load_keys(tmp_path / "keys")


def test_a_link_in_place_of_a_key_is_refused(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    key = tmp_path / "keys" / "owner.key"
    key.rename(tmp_path / "elsewhere")
    key.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SealError):
        load_keys(tmp_path / "keys")


def test_a_pipe_in_place_of_a_key_is_refused_and_nobody_waits(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "owner.key").unlink()
    os.mkfifo(tmp_path / "keys" / "owner.key", 0o600)
    with pytest.raises(SealError, match="regular"):
        load_keys(tmp_path / "keys")


def test_a_missing_key_is_named(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "owner.key").unlink()
    with pytest.raises(SealError, match=r"owner\.key"):
        load_keys(tmp_path / "keys")
    with pytest.raises(SealError, match="nowhere"):
        load_keys(tmp_path / "nowhere")


def test_a_device_key_that_lies_elsewhere_has_no_file(tmp_path: Path) -> None:
    device = FileKey(SCALAR, protected=True)
    made = create_keys(tmp_path / "keys", device=device)
    assert sorted(file.name for file in (tmp_path / "keys").iterdir()) == [
        "account.key",
        "owner.key",
    ]
    again = load_keys(tmp_path / "keys", device=device)
    assert made.device is again.device is device
    assert not again.protected
    with pytest.raises(SealError, match=r"device\.key"):
        load_keys(tmp_path / "keys")


def test_the_owners_key_is_loaded_alone(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys")
    for use in ("account", "device"):
        (tmp_path / "keys" / f"{use}.key").unlink()
    assert load_owner(tmp_path / "keys").public == made.owner.public


def test_a_key_of_another_use_is_refused(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "account.key").replace(tmp_path / "keys" / "owner.key")
    with pytest.raises(SealError):
        key_at(f"file:{tmp_path / 'keys' / 'owner.key'}", "owner")


def test_an_unknown_scheme_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"key 'dev': no such scheme; have .*'pkcs11'"):
        key_at("dev:4711", "device")


def test_rt_46_each_changed_byte_of_a_key_file_is_found() -> None:
    good = keyfile.encode("owner", SCALAR, None)
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x01
        with pytest.raises(SealError) as caught:
            keyfile.decode(bytes(bad), "owner", None)
        assert SCALAR.hex() not in repr(caught.value)
        assert caught.value.__cause__ is None or SCALAR.hex() not in repr(caught.value.__cause__)


def test_a_file_that_asks_for_all_memory_is_refused() -> None:
    content = cbor2.loads(keyfile.encode("owner", SCALAR, b"secret"))
    content["protection"]["memory"] = 1 << 40
    with pytest.raises(SealError):
        keyfile.decode(cbor2.dumps(content, canonical=True), "owner", b"secret")


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=100))
def test_garbage_is_no_key_file(data: bytes) -> None:
    with pytest.raises(SealError):
        keyfile.decode(data, "owner", b"secret")


def test_an_endless_file_is_refused() -> None:
    with pytest.raises(SealError, match="4096"):
        keyfile.decode(bytes(5000), "owner", None)


def test_a_key_shows_its_address_and_nothing_of_itself() -> None:
    key = FileKey(SCALAR, protected=False)
    shown = f"{key!r} {key} {vars(key)}"
    assert SCALAR.hex() not in shown.lower()
    assert repr(SCALAR) not in shown
    assert repr(int.from_bytes(SCALAR, "big")) not in shown


def test_a_key_file_in_memory_does_not_show_its_key() -> None:
    read = keyfile._parse(keyfile.encode("owner", SCALAR, None), "owner")
    assert repr(read) == "KeyFile(use='owner', protected=False)"


def test_a_key_is_neither_pickled_nor_copied() -> None:
    key = FileKey(SCALAR, protected=False)
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(TypeError):
        copy.deepcopy(key)


@pytest.mark.parametrize("token", ["softhsm", "swtpm"])
def test_keys_in_a_token_are_named_by_a_file_and_used_after_a_restart(
    tmp_path: Path, token: str, request: pytest.FixtureRequest
) -> None:
    there: SoftHsm | SwTpm = request.getfixturevalue(token)
    account, owner = (
        there.uri(there.handle() if isinstance(there, SwTpm) else f"{name}-of-wallet")
        for name in ("account", "owner")
    )
    create_key(account)
    create_opener(owner)
    made = create_keys(tmp_path / "keys", tokens={"account": account, "owner": owner})
    assert {file.name for file in (tmp_path / "keys").iterdir()} == {
        "account.uri",
        "owner.uri",
        "device.key",
    }
    again = load_keys(tmp_path / "keys")
    assert again.account.custody == again.owner.custody != "file"
    assert curve.verify(made.account.public, b"tx", again.account.sign(b"tx"))
    sealed = hpke.seal_to(made.owner.public, b"for the owner", b"")
    assert again.owner.open(sealed, b"") == b"for the owner"


def test_a_file_that_names_a_token_and_is_open_to_others_is_refused(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    (tmp_path / "keys" / "account.uri").write_text("pkcs11:object=a")
    (tmp_path / "keys" / "account.uri").chmod(0o644)
    with pytest.raises(SealError, match="0644"):
        load_keys(tmp_path / "keys")


def test_known_keys_are_taken_and_the_others_are_new(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys", known={"owner": SCALAR})
    assert made.owner.public == curve.public_bytes(curve.load_private(SCALAR))
    assert made.account.public != made.owner.public


def test_a_filling_that_fails_in_the_end_leaves_no_keys(tmp_path: Path) -> None:
    def fail(_unfinished: Path) -> None:
        raise SealError("not so")

    with pytest.raises(SealError, match="not so"):
        fill(tmp_path / "keys", {"owner.key": b"x"}, fail)
    assert not (tmp_path / "keys").exists()

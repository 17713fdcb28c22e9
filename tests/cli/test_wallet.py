"""`amo-agent wallet`: keys are made, backed up, brought back and moved, and no secret shows."""

import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import ManualClock
from agent.events import VinRead
from agent.wallet import keyfile, keyring
from agent.wallet.curve import verify
from agent.wallet.keys import USES, load_keys
from agent.wallet.phrase import scalars
from tests.cli.conftest import Cli
from tests.conftest import START_NS
from tests.tokens import SoftHsm

VIN = "KMHAMXAG0NU004711"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyfile, "OPERATIONS", 1)
    monkeypatch.setattr(keyfile, "MEMORY_BYTES", 8192)


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    return written(tmp_path / "secret", b"open sesame\n")


def written(path: Path, data: bytes) -> Path:
    path.touch(mode=0o600)
    path.write_bytes(data)
    return path


def made(cli: Cli, tmp_path: Path, secret: Path, *more: object) -> tuple[Path, str]:
    """A state directory and the words of its keys."""
    state, out = tmp_path / "state", tmp_path / "words"
    where = ("--state", state, "--phrase-out", out, "--passphrase-file", secret)
    result = cli("wallet", "create", *where, *more)
    assert result.code == 0, result.err
    return state, out.read_text()


def publics(cli: Cli, state: Path, *more: object) -> dict[str, str]:
    told = json.loads(cli("wallet", "show", "--state", state, "--json", *more).out)
    return {use: told[use]["public"] for use in USES}


def test_what_is_made_is_guarded_shown_and_what_the_words_say(
    cli: Cli, tmp_path: Path, secret: Path
) -> None:
    state, phrase = made(cli, tmp_path, secret)
    assert (tmp_path / "words").stat().st_mode & 0o777 == 0o600
    shown = cli("wallet", "show", "--state", state, "--json")
    told = json.loads(shown.out)
    keys = load_keys(state / "keys", b"open sesame")
    assert keys.protected
    assert all(told[use]["protected"] for use in USES)
    assert told["account"]["public"] == keys.account.public.hex()
    for use, key in scalars(phrase).items():
        assert (
            keyfile.decode((state / "keys" / f"{use}.key").read_bytes(), use, b"open sesame")[0]
            == key
        )
        assert key.hex() not in shown.out


def test_keys_are_made_once(cli: Cli, tmp_path: Path, secret: Path) -> None:
    state, _ = made(cli, tmp_path, secret)
    again = cli(
        "wallet", "create", "--state", state, "--unprotected", "--phrase-out", tmp_path / "others"
    )
    assert again.code == 1
    assert "never replaced" in again.complaint
    assert not (tmp_path / "others").exists(), "words of keys that are nowhere"


def test_words_go_to_a_terminal_or_a_new_file_alone(cli: Cli, tmp_path: Path, secret: Path) -> None:
    state = tmp_path / "state"
    assert cli("wallet", "create", "--state", state, "--unprotected").code == 2
    where = ("--state", state, "--unprotected", "--phrase-out", secret)
    assert cli("wallet", "create", *where).code == 1
    assert secret.read_bytes() == b"open sesame\n"
    assert not state.exists() or not any(state.iterdir())


def test_without_a_passphrase_and_a_person_nothing_is_made(cli: Cli, tmp_path: Path) -> None:
    result = cli("wallet", "create", "--state", tmp_path / "s", "--phrase-out", tmp_path / "w")
    assert result.code == 2
    assert "nobody is there to ask" in result.complaint
    assert [*tmp_path.iterdir()] == []


def test_words_bring_account_and_owner_back_and_the_device_is_new(
    cli: Cli, tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, phrase = made(cli, tmp_path, secret)
    before = publics(cli, state)
    with open(written(tmp_path / "typed", phrase.encode()), encoding="ascii") as typed:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", typed)
        result = cli("wallet", "restore", "--phrase", "--state", tmp_path / "new", "--unprotected")
    assert result.code == 0
    after = publics(cli, tmp_path / "new")
    assert (after["account"], after["owner"]) == (before["account"], before["owner"])
    assert after["device"] != before["device"]
    assert not any(word in result.out + result.err for word in phrase.split() if len(word) > 5)


def test_a_25th_word_gives_other_keys(cli: Cli, tmp_path: Path, secret: Path) -> None:
    extra = written(tmp_path / "extra", b"25th")
    state, phrase = made(cli, tmp_path, secret, "--bip39-passphrase-file", extra)
    data = (state / "keys" / "owner.key").read_bytes()
    owner, _ = keyfile.decode(data, "owner", b"open sesame")
    assert owner == scalars(phrase, "25th")["owner"] != scalars(phrase)["owner"]


def test_a_backup_opens_the_old_log_elsewhere(cli: Cli, tmp_path: Path, secret: Path) -> None:
    state, _ = made(cli, tmp_path, secret)
    with archive(state, ManualClock(START_NS), wait=True, passphrase=b"open sesame") as parts:
        parts.journal.write(VinRead(VIN, "obd"))
    kept, guard = tmp_path / "kept", written(tmp_path / "guard", b"other words")
    assert (
        cli("wallet", "backup", kept, "--state", state, "--backup-passphrase-file", guard).code == 0
    )
    assert kept.stat().st_mode & 0o777 == 0o600
    before = publics(cli, state)
    (state / "keys").rename(tmp_path / "lost")
    opened = ("log", "show", state, "--open", "--kind", "vin-read", "--passphrase-file", secret)
    assert VIN not in cli(*opened).out
    kept.chmod(0o755)  # as on a stick that knows no modes
    wrong = ("wallet", "restore", kept, "--state", state, "--backup-passphrase-file", secret)
    assert "does not open" in cli(*wrong).complaint
    right = ("wallet", "restore", kept, "--state", state, "--backup-passphrase-file", guard)
    assert cli(*right).code == 0
    assert publics(cli, state) == before
    assert VIN in cli(*opened).out
    assert "never replaced" in cli(*right).complaint


def test_what_was_erased_since_a_backup_stays_erased(
    cli: Cli, tmp_path: Path, secret: Path
) -> None:
    state, _ = made(cli, tmp_path, secret)
    with archive(state, ManualClock(START_NS), wait=True, passphrase=b"open sesame") as parts:
        parts.journal.write(VinRead(VIN, "obd"))
    kept, guard = tmp_path / "kept", ("--backup-passphrase-file", secret)
    assert cli("wallet", "backup", kept, "--state", state, *guard).code == 0
    when = ("--level", 1, "--since", "2020-01-01", "--until", "2040-01-01", "--yes")
    erased = cli("log", "erase", *when, state, "--passphrase-file", secret)
    assert "1 keys destroyed" in erased.out
    (state / "keys").rename(tmp_path / "lost")
    restored = cli("wallet", "restore", kept, "--state", state, *guard)
    assert "1 keys that were erased since are destroyed again" in restored.err
    shown = cli("log", "show", state, "--open", "--kind", "vin-read", "--passphrase-file", secret)
    assert shown.code == 0
    assert VIN not in shown.out


def test_a_backup_is_never_written_over_a_file(cli: Cli, tmp_path: Path, secret: Path) -> None:
    state, _ = made(cli, tmp_path, secret)
    there = ("wallet", "backup", secret, "--state", state, "--backup-passphrase-file", secret)
    assert cli(*there).code == 1
    assert secret.read_bytes() == b"open sesame\n"


def test_keys_move_to_the_reference_client_and_back(cli: Cli, tmp_path: Path, secret: Path) -> None:
    state, _ = made(cli, tmp_path, secret)
    ring = tmp_path / "keys.json"
    how = ("--name", "car", "--keyring-passphrase-file", secret, "--passphrase-file", secret)
    out = cli("wallet", "export", ring, "--state", state, *how)
    assert out.code == 0
    assert out.err == f"{ring}: {keyring.WEAK}\n"
    assert ring.stat().st_mode & 0o777 == 0o600
    back = cli("wallet", "import", ring, "--state", tmp_path / "new", *how)
    assert back.code == 0
    assert keyring.WEAK in back.err
    assert publics(cli, tmp_path / "new")["account"] == publics(cli, state)["account"]
    assert publics(cli, tmp_path / "new")["owner"] != publics(cli, state)["owner"]


def test_systemd_hands_the_passphrase_over_in_a_file(
    cli: Cli, tmp_path: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state, _ = made(cli, tmp_path, secret)
    with archive(state, ManualClock(START_NS), wait=True, passphrase=b"open sesame") as parts:
        parts.journal.write(VinRead(VIN, "obd"))
    show = ("log", "show", state, "--open", "--kind", "vin-read")
    assert "none was given" in cli(*show).complaint
    (tmp_path / "credentials").mkdir()
    credential = tmp_path / "credentials" / "passphrase"
    credential.write_bytes(b"open sesame")
    credential.chmod(0o440)  # as systemd makes it
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    assert VIN in cli(*show).out
    credential.chmod(0o640)
    credential.write_bytes(b"another")
    assert "does not open" in cli(*show).complaint


def test_a_passphrase_that_others_can_read_is_refused(
    cli: Cli, tmp_path: Path, secret: Path
) -> None:
    state, _ = made(cli, tmp_path, secret)
    secret.chmod(0o644)
    ring = ("wallet", "export", tmp_path / "ring", "--name", "car", "--state", state)
    result = cli(*ring, "--passphrase-file", secret)
    assert result.code == 1
    assert "0644" in result.complaint
    empty = written(tmp_path / "empty", b"\n")
    assert "passphrase of 0 bytes" in cli(*ring, "--passphrase-file", empty).complaint


def test_a_passphrase_comes_through_a_descriptor(cli: Cli, tmp_path: Path, secret: Path) -> None:
    state, _ = made(cli, tmp_path, secret)
    for text, code in ((b"open sesame", 0), (b"another", 1)):
        reading, writing = os.pipe()
        os.write(writing, text)
        os.close(writing)
        ring = ("wallet", "export", tmp_path / f"ring{code}", "--name", "car", "--state", state)
        how = ("--passphrase-file", f"/dev/fd/{reading}", "--keyring-passphrase-file", secret)
        assert cli(*ring, *how).code == code
        os.close(reading)


def test_a_device_key_in_a_token_is_shown_as_such(
    cli: Cli, tmp_path: Path, secret: Path, softhsm: SoftHsm
) -> None:
    uri = softhsm.uri("of-wallet")
    cli("key", "create", uri)
    state, _ = made(cli, tmp_path, secret, "--device", uri)
    assert not (state / "keys" / "device.key").exists()
    told = json.loads(cli("wallet", "show", "--state", state, "--device", uri, "--json").out)
    assert told["device"]["custody"] == "pkcs11"


def test_account_and_owner_in_tokens_sign_and_open_and_no_file_has_them(
    cli: Cli, tmp_path: Path, secret: Path, softhsm: SoftHsm
) -> None:
    account, owner = softhsm.uri("account-of-car"), softhsm.uri("owner-of-car")
    assert cli("key", "create", account).code == 0
    assert cli("key", "create", owner, "--opens").code == 0
    state = tmp_path / "state"
    where = ("--state", state, "--passphrase-file", secret)
    created = cli("wallet", "create", *where, "--account", account, "--owner", owner)
    assert created.code == 0
    assert "no words bring back: account, owner" in created.err
    files = sorted(path.name for path in (state / "keys").iterdir())
    assert files == ["account.uri", "device.key", "owner.uri"]
    keys = load_keys(state / "keys", b"open sesame")
    assert verify(keys.account.public, b"tx", keys.account.sign(b"tx"))
    with archive(state, ManualClock(START_NS), wait=True, passphrase=b"open sesame") as parts:
        parts.journal.write(VinRead(VIN, "obd"))
    assert VIN in cli("log", "show", state, "--open", "--kind", "vin-read").out
    told = json.loads(cli("wallet", "show", "--state", state, "--json").out)
    assert (told["account"]["custody"], told["owner"]["custody"]) == ("pkcs11", "pkcs11")
    shown = json.loads(cli("status", "--state", state, "--json").out)
    assert shown["keys"] == {
        "account": "pkcs11",
        "device": "file, with a passphrase",
        "owner": "pkcs11",
    }
    kept = tmp_path / "kept"
    guard = ("--backup-passphrase-file", secret)
    assert cli("wallet", "backup", kept, "--state", state, *guard).code == 0
    (state / "keys").rename(tmp_path / "lost")
    assert cli("wallet", "restore", kept, "--state", state, *guard).code == 0
    assert VIN in cli("log", "show", state, "--open", "--kind", "vin-read").out


def test_a_token_that_cannot_be_used_leaves_nothing(
    cli: Cli, tmp_path: Path, softhsm: SoftHsm
) -> None:
    uri, out = softhsm.uri("nobody-made-it"), tmp_path / "words"
    where = ("--state", tmp_path / "state", "--unprotected", "--phrase-out", out)
    assert cli("wallet", "create", *where, "--owner", uri).code == 2
    assert not out.exists()
    assert not (tmp_path / "state" / "keys").exists()


def test_a_key_of_a_seed_is_made_when_asked_for_alone(cli: Cli, tmp_path: Path) -> None:
    where = ("--state", tmp_path / "state", "--unprotected", "--phrase-out", tmp_path / "words")
    refused = cli("wallet", "create", *where, "--account", "dev:alice")
    assert refused.code == 2
    assert "--dev asks for them" in refused.complaint
    assert cli("wallet", "create", *where, "--account", "dev:alice", "--dev").code == 0
    told = json.loads(cli("wallet", "show", "--state", tmp_path / "state", "--json").out)
    assert told["address"] == "124EEA2A601ED2C4B6CDD98D657A73F06B685D52"


def test_on_a_terminal_the_words_are_shown_once_and_the_passphrase_never(tmp_path: Path) -> None:
    state = tmp_path / "state"
    command = [sys.executable, "-m", "agent", "wallet", "create", "--state", str(state)]
    ours, theirs = pty.openpty()
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs) as child:
        os.close(theirs)
        shown = b""
        for asked in (b"Passphrase of the keys: ", b"confirmation: "):
            while asked not in shown:
                shown += os.read(ours, 1024)
            os.write(ours, b"by hand\n")
        with suppress(OSError):  # the terminal is gone when the child is
            while True:
                shown += os.read(ours, 1024)
    os.close(ours)
    assert child.returncode == 0
    assert b"by hand" not in shown
    lines = [line.split() for line in shown.decode().splitlines()]
    phrase = next(" ".join(line) for line in lines if len(line) == 24)
    owner, guarded = keyfile.decode((state / "keys/owner.key").read_bytes(), "owner", b"by hand")
    assert guarded
    assert owner == scalars(phrase)["owner"]

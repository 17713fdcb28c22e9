"""`amo-agent wallet`: the keys are made, shown, backed up, brought back and moved."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from agent.cli import passphrase as words
from agent.cli.passphrase import PASSPHRASE
from agent.cli.rest import DEVICE, device_at
from agent.cli.show import STATE, bar, figures, watched
from agent.errors import ConfigError, UsageError
from agent.eventstore.reader import LogReader
from agent.eventstore.state import EVENTS
from agent.restore import catch_up
from agent.wallet import backup, keyfile, keyring, phrase
from agent.wallet.address import address
from agent.wallet.keys import USES, create_keys, fill, in_token
from agent.wallet.segments import SegmentStore

STATE_OPTION = click.option("--state", type=click.Path(path_type=Path), default=STATE)
FILE = click.Path(path_type=Path)
UNPROTECTED = click.option("--unprotected", is_flag=True, help="Key files without a passphrase.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
EXTRA = click.option("--bip39-passphrase-file", "extra", type=FILE, help="A 25th word, in a file.")
RING_PASSPHRASE = click.option(
    "--keyring-passphrase-file", "ring_passphrase", type=FILE, help="Else it is asked for."
)
BACKUP_PASSPHRASE = click.option(
    "--backup-passphrase-file", "backup_passphrase", type=FILE, help="Else it is asked for."
)


@click.command()
@STATE_OPTION
@click.option("--phrase-out", type=FILE, help="A new file for the words, instead of the terminal.")
@EXTRA
@PASSPHRASE
@UNPROTECTED
@click.option("--account", metavar="URI", help="The account key, in a token.")
@click.option("--owner", metavar="URI", help="The owner's key, in a token (key create --opens).")
@click.option("--dev", is_flag=True, help="Take dev:SEED too: who knows the seed has the key.")
@DEVICE
def create(
    state: Path,
    *,
    phrase_out: Path | None,
    extra: Path | None,
    unprotected: bool,
    dev: bool,
    device: str | None,
    **uris: str | None,
) -> None:
    """Make the keys and tell, once, the 24 words that bring account and owner key back.

    A key in a token is in no words and in no backup: it is lost with the token.

    Example: amo-agent wallet create --state /var/lib/amo-agent --phrase-out /media/usb/words
    """
    tokens = {use: uri for use, uri in uris.items() if uri is not None}
    told = None if len(tokens) == len(uris) else phrase.new_phrase()
    if told is not None and phrase_out is None and not sys.stdout.isatty():
        raise UsageError("the words are shown on a terminal alone; --phrase-out FILE writes them")
    known = {} if told is None else phrase.scalars(told, _extra(extra))
    for use in [use for use, uri in tokens.items() if uri.startswith("dev:")]:
        known[use] = _of_seed(tokens.pop(use), asked_for=dev)
    guard = _guard(unprotected=unprotected)
    with _told(told, phrase_out):
        _create(state, guard, device, known, tokens)
    if lost := sorted(use for use, uri in uris.items() if uri is not None):
        click.echo(f"no words bring back: {', '.join(lost)}", err=True)
    _print(state, device, as_json=False)


@click.command()
@STATE_OPTION
@DEVICE
@AS_JSON
def show(state: Path, *, device: str | None, as_json: bool) -> None:
    """Print the address, the public keys and where each private key lies; no passphrase is needed.

    Example: amo-agent wallet show --json
    """
    _print(state, device, as_json=as_json)


@click.command(name="backup")
@click.argument("file", type=FILE)
@STATE_OPTION
@BACKUP_PASSPHRASE
def backup_keys(file: Path, *, state: Path, backup_passphrase: Path | None) -> None:
    """Write all keys, and those of the sealed events, into one encrypted FILE, which must be new.

    Example: amo-agent wallet backup /media/usb/car.backup
    """
    guard = words.given(backup_passphrase, "Passphrase of the backup", twice=True)
    backup.write_new(file, backup.pack(state / "keys", guard))
    click.echo(f"{file}: what is erased later can be opened with it; make a new one then", err=True)


@click.command()
@click.argument("file", type=FILE, required=False)
@click.option("--phrase", "by_phrase", is_flag=True, help="Ask for the 24 words, or read stdin.")
@STATE_OPTION
@BACKUP_PASSPHRASE
@EXTRA
@PASSPHRASE
@UNPROTECTED
@DEVICE
def restore(
    file: Path | None,
    *,
    by_phrase: bool,
    state: Path,
    backup_passphrase: Path | None,
    extra: Path | None,
    unprotected: bool,
    device: str | None,
) -> None:
    """Bring keys back, into a state directory without any: from a backup FILE or by the words.

    The words give account and owner key, with a new device key; only a backup opens what was
    sealed in the log. What was erased since the backup stays erased.

    Example: amo-agent wallet restore /media/usb/car.backup
    """
    if by_phrase == (file is not None):
        raise UsageError("one of FILE and --phrase is needed")
    if file is None:
        known = phrase.scalars(_words(), _extra(extra))
        _create(state, _guard(unprotected=unprotected), device, known)
    else:
        data = keyfile.read_private(file, backup.MAX_BYTES)
        files = backup.unpack(data, words.given(backup_passphrase, "Passphrase of the backup"))
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        fill(state / "keys", files, lambda unfinished: _catch_up(state, unfinished))
    _print(state, device, as_json=False)


@click.command(name="import")
@click.argument("file", type=FILE)
@click.option("--name", required=True, help="Which key of the file.")
@STATE_OPTION
@RING_PASSPHRASE
@PASSPHRASE
@UNPROTECTED
@DEVICE
def import_key(
    file: Path,
    *,
    name: str,
    state: Path,
    ring_passphrase: Path | None,
    unprotected: bool,
    device: str | None,
) -> None:
    """Begin a wallet whose account key is one of the reference client's FILE (keys.json).

    The other keys are new, and no words stand for these: make a backup.

    Example: amo-agent wallet import ~/.amocli/keys/keys.json --name alice
    """
    entry = keyring.find(keyring.parse(keyfile.read_private(file, keyring.MAX_BYTES)), name)
    opens = None
    if entry.encrypted:
        opens = words.given(ring_passphrase, "Passphrase of the keyring")
    account = keyring.scalar(entry, opens)
    _create(state, _guard(unprotected=unprotected), device, {"account": account})
    click.echo(f"{file}: {keyring.WEAK}", err=True)
    _print(state, device, as_json=False)


@click.command()
@click.argument("file", type=FILE)
@click.option("--name", required=True, help="What the key is called there.")
@STATE_OPTION
@RING_PASSPHRASE
@PASSPHRASE
def export(file: Path, *, name: str, state: Path, ring_passphrase: Path | None) -> None:
    """Write the account key into a new FILE for the reference client, encrypted.

    Example: amo-agent wallet export keys.json --name alice
    """
    keys = state / "keys"
    data = keyfile.read_private(keys / "account.key")
    key, _ = keyfile.decode(data, "account", words.of_keys(keys))
    guard = words.given(ring_passphrase, "Passphrase of the keyring", twice=True)
    backup.write_new(file, keyring.build(name, key, guard))
    click.echo(f"{file}: {keyring.WEAK}", err=True)


COMMANDS = (create, show, backup_keys, restore, import_key, export)


@contextmanager
def _told(told: str | None, out: Path | None) -> Iterator[None]:
    """The words: in their file before the keys are made, on the terminal after."""
    if told is None:
        yield
    elif out is None:
        yield
        click.echo(f"Write these words down; they are not shown again:\n\n  {told}\n")
    else:
        backup.write_new(out, f"{told}\n".encode())
        try:
            yield
        except BaseException:
            out.unlink(missing_ok=True)  # words of keys that are nowhere
            raise


def _create(
    state: Path,
    guard: bytes | None,
    device: str | None,
    known: dict[str, bytes],
    tokens: Mapping[str, str] = MappingProxyType({}),
) -> None:
    there = device_at(device)
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        create_keys(state / "keys", guard, device=there, known=known, tokens=tokens)
    except ConfigError as error:  # here the URI is not from a configuration
        raise UsageError(str(error)) from error


def _of_seed(uri: str, *, asked_for: bool) -> bytes:
    """AMO protocol, section 1.1."""
    if not asked_for:
        raise UsageError("dev: keys are no secret; --dev asks for them")
    return hashlib.sha256(uri.removeprefix("dev:").encode()).digest()


def _guard(*, unprotected: bool) -> bytes | None:
    """The passphrase of key files to be made."""
    if unprotected:
        return None
    return words.named() or words.asked("Passphrase of the keys", twice=True)


def _extra(path: Path | None) -> str:
    try:
        return "" if path is None else words.secret(path).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8") from None


def _words() -> str:
    if sys.stdin.isatty():
        return words.asked("The 24 words").decode()
    return sys.stdin.buffer.read(words.MAX_BYTES).decode("ascii", errors="replace")


def _catch_up(state: Path, unfinished: Path) -> None:
    """What the log of the state directory tells of its keys."""
    if not (state / EVENTS).exists() or not (unfinished / backup.SEGMENTS).exists():
        return
    with (
        bar("looking") as progress,
        LogReader.open(state / EVENTS) as log,
        closing(SegmentStore(unfinished / backup.SEGMENTS)) as store,
    ):
        destroyed, later = catch_up(watched(log.read(), log.head().seq, progress), store)
    if destroyed:
        click.echo(f"{destroyed} keys that were erased since are destroyed again", err=True)
    if later:
        click.echo(f"{later} segments are later than the backup and cannot be opened", err=True)


def _print(state: Path, device: str | None, *, as_json: bool) -> None:
    found = {use: _about(state / "keys", use, device) for use in USES}
    told: dict[str, Any] = {"address": address(bytes.fromhex(found["account"]["public"])), **found}
    click.echo(json.dumps(told) if as_json else figures(_for_people(told)))


def _about(keys: Path, use: str, device: str | None) -> dict[str, Any]:
    """Where a key lies. Of a file only what is in clear is read, of a token the public half."""
    token = device_at(device) if use == "device" else in_token(keys, use)
    if token is not None:
        return {"public": token.public.hex(), "custody": token.custody}
    path = keys / f"{use}.key"
    data = keyfile.read_private(path)
    return {
        "public": keyfile.public_of(data, use).hex(),
        "custody": "file",
        "path": str(path),
        "protected": keyfile.is_protected(data, use),
    }


def _for_people(told: dict[str, Any]) -> dict[str, object]:
    lines: dict[str, object] = {"address": told["address"]}
    for use in USES:
        key = told[use]
        guard = ", with a passphrase" if key.get("protected") else ""
        lines[use] = f"{key['public']}  {key.get('path', key['custody'])}{guard}"
    return lines

"""`amo-agent wallet`: the keys are made, shown, backed up, brought back and moved."""

import json
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from agent.cli import passphrase as words
from agent.cli.passphrase import PASSPHRASE
from agent.cli.rest import DEVICE, device_at
from agent.cli.show import STATE, bar, figures, watched
from agent.errors import UsageError
from agent.eventstore.reader import LogReader
from agent.eventstore.state import EVENTS
from agent.restore import catch_up
from agent.wallet import backup, keyfile, keyring, phrase
from agent.wallet.address import address
from agent.wallet.keys import USES, Signer, create_keys, fill
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
@DEVICE
def create(
    state: Path,
    *,
    phrase_out: Path | None,
    extra: Path | None,
    unprotected: bool,
    device: str | None,
) -> None:
    """Make the keys and tell, once, the 24 words that bring account and owner key back.

    Example: amo-agent wallet create --state /var/lib/amo-agent --phrase-out /media/usb/words
    """
    if phrase_out is None and not sys.stdout.isatty():
        raise UsageError("the words are shown on a terminal alone; --phrase-out FILE writes them")
    told = phrase.new_phrase()
    known = phrase.scalars(told, _extra(extra))
    guard = _guard(unprotected=unprotected)
    if phrase_out is not None:
        backup.write_new(phrase_out, f"{told}\n".encode())
    try:
        _create(state, guard, device_at(device), known)
    except BaseException:
        if phrase_out is not None:
            phrase_out.unlink(missing_ok=True)  # words of keys that are nowhere
        raise
    if phrase_out is None:
        click.echo(f"Write these words down; they are not shown again:\n\n  {told}\n")
    _print(state, device_at(device), as_json=False)


@click.command()
@STATE_OPTION
@DEVICE
@AS_JSON
def show(state: Path, *, device: str | None, as_json: bool) -> None:
    """Print the address, the public keys and where each private key lies; no passphrase is needed.

    Example: amo-agent wallet show --json
    """
    _print(state, device_at(device), as_json=as_json)


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
        _create(state, _guard(unprotected=unprotected), device_at(device), known)
    else:
        data = keyfile.read_private(file, backup.MAX_BYTES)
        files = backup.unpack(data, words.given(backup_passphrase, "Passphrase of the backup"))
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        fill(state / "keys", files, lambda unfinished: _catch_up(state, unfinished))
    _print(state, device_at(device), as_json=False)


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
    _create(state, _guard(unprotected=unprotected), device_at(device), {"account": account})
    click.echo(f"{file}: {keyring.WEAK}", err=True)
    _print(state, device_at(device), as_json=False)


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


def _create(
    state: Path, guard: bytes | None, device: Signer | None, known: dict[str, bytes]
) -> None:
    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    create_keys(state / "keys", guard, device=device, known=known)


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


def _print(state: Path, device: Signer | None, *, as_json: bool) -> None:
    found: dict[str, dict[str, Any]] = {}
    for use in USES:
        if use == "device" and device is not None:
            found[use] = {"public": device.public.hex(), "custody": device.custody}
            continue
        path = state / "keys" / f"{use}.key"
        data = keyfile.read_private(path)
        found[use] = {
            "public": keyfile.public_of(data, use).hex(),
            "custody": "file",
            "path": str(path),
            "protected": keyfile.is_protected(data, use),
        }
    told: dict[str, Any] = {"address": address(bytes.fromhex(found["account"]["public"])), **found}
    click.echo(json.dumps(told) if as_json else figures(_for_people(told)))


def _for_people(told: dict[str, Any]) -> dict[str, object]:
    lines: dict[str, object] = {"address": told["address"]}
    for use in USES:
        key = told[use]
        guard = ", with a passphrase" if key.get("protected") else ""
        lines[use] = f"{key['public']}  {key.get('path', key['custody'])}{guard}"
    return lines

"""`amo-agent wallet`: the keys are backed up, brought back and moved."""

import sys
from contextlib import closing
from pathlib import Path

import click

from agent.cli import passphrase as words
from agent.cli.passphrase import PASSPHRASE
from agent.cli.rest import DEVICE
from agent.cli.show import bar, watched
from agent.cli.walletkeys import (
    EXTRA,
    FILE,
    STATE_OPTION,
    UNPROTECTED,
    extra_word,
    make,
    new_guard,
    print_keys,
)
from agent.errors import UsageError
from agent.eventstore.reader import LogReader
from agent.eventstore.state import EVENTS
from agent.restore import catch_up
from agent.wallet import backup, keyfile, keyring, phrase
from agent.wallet.keys import fill
from agent.wallet.segments import SegmentStore

RING_PASSPHRASE = click.option(
    "--keyring-passphrase-file", "ring_passphrase", type=FILE, help="Else it is asked for."
)
BACKUP_PASSPHRASE = click.option(
    "--backup-passphrase-file", "backup_passphrase", type=FILE, help="Else it is asked for."
)


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
        known = phrase.scalars(_words(), extra_word(extra))
        make(state, new_guard(unprotected=unprotected), device, known)
    else:
        data = _read(file, backup.MAX_BYTES)
        files = backup.unpack(data, words.given(backup_passphrase, "Passphrase of the backup"))
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        fill(state / "keys", files, lambda unfinished: _catch_up(state, unfinished))
    print_keys(state, device, as_json=False)


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
    entry = keyring.find(keyring.parse(_read(file, keyring.MAX_BYTES)), name)
    opens = None
    if entry.encrypted:
        opens = words.given(ring_passphrase, "Passphrase of the keyring")
    account = keyring.scalar(entry, opens)
    make(state, new_guard(unprotected=unprotected), device, {"account": account})
    click.echo(f"{file}: {keyring.WEAK}", err=True)
    print_keys(state, device, as_json=False)


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


COMMANDS = (backup_keys, restore, import_key, export)


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


def _read(path: Path, limit: int) -> bytes:
    """Of any mode, as a stick with FAT has none. Raises UsageError, OSError."""
    with path.open("rb") as file:
        data = file.read(limit + 1)
    if len(data) > limit:
        raise UsageError(f"{path}: over {limit} bytes")
    return data

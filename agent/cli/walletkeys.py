"""`amo-agent wallet`: the keys are made and shown."""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Any

import click

from agent.cli import passphrase as words
from agent.cli.passphrase import PASSPHRASE
from agent.cli.rest import DEVICE, device_at
from agent.cli.show import STATE, figures
from agent.errors import ConfigError, UsageError
from agent.wallet import backup, keyfile, phrase
from agent.wallet.address import address
from agent.wallet.keys import USES, create_keys
from agent.wallet.tokenfile import in_token

STATE_OPTION = click.option("--state", type=click.Path(path_type=Path), default=STATE)
FILE = click.Path(path_type=Path)
UNPROTECTED = click.option("--unprotected", is_flag=True, help="Key files without a passphrase.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
EXTRA = click.option("--bip39-passphrase-file", "extra", type=FILE, help="A 25th word, in a file.")


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
    known = {} if told is None else phrase.scalars(told, extra_word(extra))
    for use in [use for use, uri in tokens.items() if uri.startswith("dev:")]:
        known[use] = _of_seed(tokens.pop(use), asked_for=dev)
    guard = new_guard(unprotected=unprotected)
    with _told(told, phrase_out):
        make(state, guard, device, known, tokens)
    if lost := sorted(use for use, uri in uris.items() if uri is not None):
        click.echo(f"no words bring back: {', '.join(lost)}", err=True)
    print_keys(state, device, as_json=False)


@click.command()
@STATE_OPTION
@DEVICE
@AS_JSON
def show(state: Path, *, device: str | None, as_json: bool) -> None:
    """Print the address, the public keys and where each private key lies; no passphrase is needed.

    Example: amo-agent wallet show --json
    """
    print_keys(state, device, as_json=as_json)


COMMANDS = (create, show)


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


def make(
    state: Path,
    guard: bytes | None,
    device: str | None,
    known: dict[str, bytes],
    tokens: Mapping[str, str] = MappingProxyType({}),
) -> None:
    """Keys in a state directory without any. Raises UsageError, SealError."""
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


def new_guard(*, unprotected: bool) -> bytes | None:
    """The passphrase of key files to be made."""
    if unprotected:
        return None
    return words.named() or words.asked("Passphrase of the keys", twice=True)


def extra_word(path: Path | None) -> str:
    try:
        return "" if path is None else words.secret(path).decode()
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8") from None


def print_keys(state: Path, device: str | None, *, as_json: bool) -> None:
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

"""Passphrases come from a terminal, a file or systemd, never in an argument or the environment."""

import os
import sys
from pathlib import Path
from typing import Final

import click

from agent.errors import SealError, UsageError
from agent.wallet import keyfile
from agent.wallet.keys import USES

MAX_BYTES: Final = 1024
CREDENTIAL: Final = "passphrase"
"""LoadCredential=passphrase:… of a unit; it lies in $CREDENTIALS_DIRECTORY (systemd.exec(5))."""
_PLACE: Final = "agent.cli.passphrase"
_DESCRIPTORS: Final = Path("/dev/fd")


def _keep(ctx: click.Context, _option: click.Parameter, value: Path | None) -> None:
    ctx.meta[_PLACE] = value


PASSPHRASE: Final = click.option(
    "--passphrase-file",
    type=click.Path(path_type=Path),
    expose_value=False,
    callback=_keep,
    help="A file of mode 0600, /dev/fd/N or -; holds the passphrase of the key files.",
)
"""What `of_keys` reads for the command it stands at."""


def secret(path: Path) -> bytes:
    """The first bytes of a file that nobody else can read, or of a descriptor; one line end goes.

    Raises SealError, for a wrong length too.
    """
    if str(path) == "-":
        data = sys.stdin.buffer.read(MAX_BYTES + 2)
    elif path.parent == _DESCRIPTORS:
        data = _from_descriptor(path)
    else:
        data = keyfile.read_private(path, MAX_BYTES + 1)
    return _checked(data, path)


def asked(what: str, *, twice: bool = False) -> bytes:
    """On the terminal, unseen. Raises UsageError where there is none."""
    if not sys.stdin.isatty():
        raise UsageError(f"{what}: nobody is there to ask; name a file that holds it")
    answer: str = click.prompt(what, hide_input=True, confirmation_prompt=twice, err=True)
    return answer.encode()


def given(path: Path | None, what: str, *, twice: bool = False) -> bytes:
    """From the file if one is named, else asked for."""
    return asked(what, twice=twice) if path is None else secret(path)


def named() -> bytes | None:
    """What --passphrase-file of the command, or else systemd, has; None where neither does."""
    context = click.get_current_context(silent=True)
    path = None if context is None else context.meta.get(_PLACE)
    if path is not None:
        return secret(path)
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    credential = None if folder is None else Path(folder) / CREDENTIAL
    if credential is None or not credential.exists():
        return None
    # its mode is systemd's, which lets the user of the service in by an access list
    with credential.open("rb") as file:
        return _checked(file.read(MAX_BYTES + 2), credential)


def of_keys(directory: Path) -> bytes | None:
    """The passphrase of the key files there; asked for where one is needed and none was named."""
    found = named()
    if found is None and sys.stdin.isatty() and _guarded(directory):
        return asked("Passphrase of the keys")
    return found


def _guarded(directory: Path) -> bool:
    paths = {use: directory / f"{use}.key" for use in USES}
    return any(
        keyfile.is_protected(keyfile.read_private(path), use)
        for use, path in paths.items()
        if path.exists()
    )


def _from_descriptor(path: Path) -> bytes:
    try:
        with open(int(path.name), "rb", closefd=False) as file:
            return file.read(MAX_BYTES + 2)
    except (ValueError, OSError) as error:
        raise SealError(f"{path} is no descriptor that can be read") from error


def _checked(data: bytes, path: Path) -> bytes:
    passphrase = data.removesuffix(b"\n").removesuffix(b"\r")
    if not 0 < len(passphrase) <= MAX_BYTES:
        raise SealError(f"{path}: a passphrase of {len(passphrase)} bytes, not 1 to {MAX_BYTES}")
    return passphrase

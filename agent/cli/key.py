"""`amo-agent key`: a key in a token or a TPM, made there and looked at."""

import json
from collections.abc import Callable

import click

from agent.cli.show import figures
from agent.errors import ConfigError, UsageError
from agent.wallet.token import (
    TokenKey,
    TokenOpener,
    create_key,
    create_opener,
    open_key,
    open_opener,
)

OPENS = click.option("--opens", is_flag=True, help="The owner's key: it opens instead of signing.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")


@click.group(name="key")
def command() -> None:
    """Make and try a key in a PKCS#11 token or a TPM 2.0.

    Example: amo-agent key show "tpm:handle=0x81010001?pin-source=/etc/amo-agent/pin"
    """


@command.command()
@click.argument("uri")
@OPENS
@AS_JSON
def create(uri: str, *, opens: bool, as_json: bool) -> None:
    """Let the token make a key that never leaves it, and its counter if URI names one.

    Example: amo-agent key create "tpm:handle=0x81010001?counter=0x01500010"
    """
    _show(create_opener if opens else create_key, uri, as_json=as_json)


@command.command()
@click.argument("uri")
@OPENS
@AS_JSON
def show(uri: str, *, opens: bool, as_json: bool) -> None:
    """Print the public half of a key, after it was used once.

    Example: amo-agent key show "pkcs11:token=car;object=device?module-path=/usr/lib/libp11.so"
    """
    _show(open_opener if opens else open_key, uri, as_json=as_json)


def _show(door: Callable[[str], TokenKey | TokenOpener], uri: str, *, as_json: bool) -> None:
    try:
        key = door(uri)
    except ConfigError as error:  # here the URI is not from a configuration
        raise UsageError(str(error)) from error
    beside = key.counter if isinstance(key, TokenKey) else None
    counter = None if beside is None else beside.value()
    shown: dict[str, object] = {
        "custody": key.custody,
        "public": key.public.hex(),
        "counter": counter,
    }
    click.echo(json.dumps(shown) if as_json else figures(shown))

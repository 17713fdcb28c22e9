"""The state directory of an agent that is stopped, opened by a command that writes to its log."""

from contextlib import AbstractContextManager
from pathlib import Path

import click

from agent.archive import Archive, archive
from agent.cli.passphrase import of_keys
from agent.clock import SystemClock
from agent.errors import ConfigError, UsageError
from agent.eventstore.state import EVENTS
from agent.wallet.keys import Signer, key_at

DEVICE = click.option("--device", help="URI of the device key where it is in a token or a TPM.")


def at_rest(state: Path, device: str | None) -> AbstractContextManager[Archive]:
    """Everything in it, which is there already; nothing is made.

    Raises UsageError where there is no log, where the agent runs, and for a URI that is not one.
    """
    if not (state / EVENTS).exists():
        raise UsageError(f"{state}: there is no log")
    return archive(
        state,
        SystemClock(),
        wait=True,
        device=device_at(device),
        passphrase=of_keys(state / "keys"),
    )


def device_at(uri: str | None) -> Signer | None:
    """The device key of DEVICE. Raises UsageError for a URI that is not one."""
    try:
        return None if uri is None else key_at(uri, "device")
    except ConfigError as error:  # here the URI is not from a configuration
        raise UsageError(str(error)) from error

"""The state directory of an agent that is stopped, opened by a command that writes to its log."""

from contextlib import AbstractContextManager
from pathlib import Path

import click

from agent.archive import Archive, archive
from agent.clock import SystemClock
from agent.errors import ConfigError, UsageError
from agent.eventstore.state import EVENTS
from agent.wallet.keys import key_at

DEVICE = click.option("--device", help="URI of the device key where it is in a token or a TPM.")


def at_rest(state: Path, device: str | None) -> AbstractContextManager[Archive]:
    """Everything in it, which is there already; nothing is made.

    Raises UsageError where there is no log, where the agent runs, and for a URI that is not one.
    """
    if not (state / EVENTS).exists():
        raise UsageError(f"{state}: there is no log")
    try:
        key = None if device is None else key_at(device, "device")
    except ConfigError as error:  # here the URI is not from a configuration
        raise UsageError(str(error)) from error
    return archive(state, SystemClock(), wait=True, device=key)

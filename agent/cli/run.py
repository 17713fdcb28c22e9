"""`amo-agent run`: the service, as systemd starts it."""

import asyncio
import signal
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

import click
import structlog

from agent import narrow
from agent.archive import Archive, archive
from agent.cli.hall import hall
from agent.cli.passphrase import PASSPHRASE, of_keys
from agent.cli.show import log_to_stderr
from agent.clock import SystemClock
from agent.compose import (
    configured,
    device_key,
    narrowing,
    radio,
    retainer,
    steady,
    tls_trust,
)
from agent.config import Config, UploadConfig, WalletConfig, load_config
from agent.control import Control
from agent.enrolling import LOOK_S, Renewing
from agent.errors import ConfigError, UsageError
from agent.eventstore.reader import LogReader
from agent.eventstore.state import EVENTS, READMODEL
from agent.follow import AT_THE_END, FOLLOW_S, Follower, follow
from agent.service import Service

_log = structlog.get_logger()

DESK_S = 60.0
"""Between two looks for requests and at what is under way: our choice."""
RETAIN_S = 60.0
"""Between two looks whether retention is due; what may go is then looked for once an hour."""


@click.command()
@click.option(
    "--config", "path", type=click.Path(path_type=Path), required=True, help="A TOML file."
)
@PASSPHRASE
def command(*, path: Path) -> None:
    """Collect, record and, if configured, upload, until SIGTERM.

    Example: amo-agent run --config /etc/amo-agent/agent.toml
    """
    log_to_stderr()
    config = load_config(path)
    device = device_key(config.keys)
    state, guard = Path(config.state), of_keys(Path(config.state) / "keys")
    with archive(state, SystemClock(), wait=False, device=device, passphrase=guard) as parts:
        asyncio.run(_serve(path, config, parts))
    with LogReader.open(parts.state / EVENTS) as log:
        follow(log, parts.state / READMODEL, AT_THE_END)


async def _serve(path: Path, config: Config, parts: Archive) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with AsyncExitStack() as stack:
        air = None if config.radio is None else radio(config.radio)
        if air is not None:
            stack.callback(air.close)
            await air.open()
        try:
            service = configured(config, parts, air)
        except UsageError as error:
            raise ConfigError(f"{path}: {error}") from error
        if not parts.keys.protected:
            _log.warning("the key files are not protected by a passphrase", state=config.state)
        service.every(narrow.EVERY_S, narrowing(parts).once)
        service.every(FOLLOW_S, Follower(parts.log, parts.state / READMODEL).once)
        if config.upload is not None:
            await _upload(config.upload, config.wallet, parts, service, stack)
        steady()
        await service.run(stop)


async def _upload(
    config: UploadConfig,
    wallet: WalletConfig,
    parts: Archive,
    service: Service,
    stack: AsyncExitStack,
) -> None:
    """Parcels of the configured levels and the owner's desk, while the service runs."""
    made = await hall(config, wallet, parts, service.every, stack)
    service.every(DESK_S, made.desk.once)
    service.every(config.every_s, made.upload)
    service.every(RETAIN_S, retainer(parts, made.seller, made.uploader, config.keep_days).once)
    control = Control(parts.state, made.methods())
    try:
        await control.open()
    except UsageError as error:  # any user can take the name; the car is recorded all the same
        _log.warning("the agent takes no commands", reason=str(error))
    stack.callback(control.close)
    if config.est is not None:  # no pins: those are of node and storage
        whom = replace(tls_trust(config), pins=())
        service.every(LOOK_S, Renewing(config.est, whom, parts.clock).once)

"""What is done with the far side, wired: for the service, and for one command."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from agent.amo.market import Seller
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import Archive, archive
from agent.cli.passphrase import of_keys
from agent.clock import SystemClock
from agent.compose import desk, device_key, outgoing, tls_trust, uploader
from agent.config import Config, UploadConfig, WalletConfig, load_config
from agent.control import Do, asked
from agent.desk import Desk
from agent.errors import ConfigError, UsageError
from agent.eventstore.state import EVENTS
from agent.outgoing import Outgoing
from agent.privacy import Level
from agent.trusting import Every, believing
from agent.upload import Uploader

CONFIG = "/etc/amo-agent/agent.toml"


class Hall(NamedTuple):
    desk: Desk
    outgoing: Outgoing
    seller: Seller
    uploader: Uploader
    levels: list[Level]

    async def upload(self) -> list[str]:
        """What is pending now; the parcels that were registered."""
        return [receipt.parcel_id for receipt in await self.uploader.once(self.levels)]

    def methods(self) -> Mapping[str, Do]:
        """As agent.control.METHODS has them: arguments are texts, answers go to JSON."""
        one = self.desk

        async def transfer(to: str, mote: str) -> object:
            return await one.transfer(to, int(mote))

        return {
            "show": _threaded(one.show),
            "balance": one.balance,
            "transfer": transfer,
            "requests": one.requests,
            "grant": one.grant,
            "refuse": one.refuse,
            "revoke": one.revoke,
            "history": _threaded(one.history),
            "policy": _threaded(one.policy),
            "set_policy": _threaded(one.set_policy),
            "upload": self.upload,
        }


async def hall(
    config: UploadConfig,
    wallet: WalletConfig,
    parts: Archive,
    every: Every,
    stack: AsyncExitStack,
) -> Hall:
    """every: calls what has to be done now and then. Raises ConfigError."""
    whom = tls_trust(config)
    client = RpcClient(config.rpc, clock=parts.clock, trust=whom)
    rpc = await stack.enter_async_context(client)
    belief = await believing(config, parts, every, stack, whom=whom, drop=rpc.drop)
    storage = await stack.enter_async_context(StorageClient(config.storage, trust=whom))
    out = outgoing(parts, rpc, wallet, outcome=belief.outcome)
    seller = Seller(rpc, storage, parts.keys.account, out.submit)
    made = desk(parts, rpc, seller, out, alarm_mote=wallet.alarm_mote, belief=belief)
    return Hall(
        made, out, seller, uploader(parts, seller), [Level(level) for level in config.levels]
    )


def ask(config: Path, state: Path | None, method: str, *arguments: str) -> Any:
    """Have one of agent.control.METHODS done: by the agent that runs, or else by this process.

    config: is read where `state` is not given, or where no agent runs.
    Raises AgentError, UsageError where there is no log or no [upload].
    """
    where = Path(load_config(config).state) if state is None else state
    if not (where / EVENTS).exists():
        raise UsageError(f"{where}: there is no log")
    try:
        return asyncio.run(asked(where, method, *arguments))
    except ConnectionRefusedError:  # no agent runs
        return _alone(load_config(config), config, where, method, *arguments)


def _alone(config: Config, path: Path, state: Path, method: str, *arguments: str) -> Any:
    if config.upload is None:
        raise ConfigError(f"{path}: upload: is missing, which names node and storage")
    device, guard = device_key(config.keys), of_keys(state / "keys")
    with archive(state, SystemClock(), wait=True, device=device, passphrase=guard) as parts:
        return asyncio.run(_once(config, parts, method, *arguments))


async def _once(config: Config, parts: Archive, method: str, *arguments: str) -> Any:
    async with _opened(config, parts) as made:
        if method in {"balance", "requests", "transfer", "grant", "revoke"}:
            await made.outgoing.resume()  # what an earlier command left under way comes first
        return await made.methods()[method](*arguments)


@asynccontextmanager
async def _opened(config: Config, parts: Archive) -> AsyncIterator[Hall]:
    assert config.upload is not None
    async with AsyncExitStack() as stack:
        yield await hall(config.upload, config.wallet, parts, _never, stack)


def _never(_seconds: float, _job: object) -> None:
    """One command does not last."""


def _threaded(do: Callable[..., object]) -> Do:
    """What reads the log must not hold the loop up."""

    def call(*arguments: str) -> Awaitable[object]:
        return asyncio.to_thread(do, *arguments)

    return call

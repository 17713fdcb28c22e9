"""`amo-agent devnode`: an AMO node and a storage service on loopback, for a desk."""

import asyncio
import signal
from pathlib import Path

import click

from agent.amo.devnode.faults import FAULTS
from agent.amo.devnode.foundation import MAX_VALIDATORS, Foundation
from agent.amo.devnode.genesis import load_genesis
from agent.amo.devnode.keys import load_validator_key
from agent.amo.devnode.net import DevNet, Traits
from agent.amo.devnode.storage import StorageForm
from agent.amo.p256 import Account
from agent.clock import SystemClock
from agent.errors import UsageError

RPC_PORT = 26657
STORAGE_PORT = 5000
BLOCK_INTERVAL_S = 1.0
SEEDS = ("alice", "bob", "carol")
"""Whose accounts, with a private key made of the name, have coins at the beginning."""
COINS = 1_000_000 * 10**18


_HELP = """Serve an AMO node (JSON-RPC) and a storage service on 127.0.0.1 until interrupted.

Without --genesis, the accounts of the seeds alice, bob and carol have coins. Where
--storage-port is --port, both are served there.

\b
Faults that --fault, as often as wanted, puts in front of them:
{}

Example: amo-agent devnode --state ./chain --validators 4 --fault lying-balance
""".format("\n".join(f"  {name}: {fault.words}" for name, fault in FAULTS.items()))


@click.command(help=_HELP)
@click.option("--port", type=click.IntRange(0, 65535), default=RPC_PORT, show_default=True)
@click.option(
    "--storage-port", type=click.IntRange(0, 65535), default=STORAGE_PORT, show_default=True
)
@click.option("--state", type=click.Path(path_type=Path), help="Kept there; else in memory.")
@click.option("--genesis", type=click.Path(path_type=Path), help="A Tendermint genesis file.")
@click.option(
    "--validator-key", type=click.Path(path_type=Path), help="Its priv_validator_key.json."
)
@click.option("--no-empty-blocks", is_flag=True, help="A block only when there is something in it.")
@click.option("--validators", type=click.IntRange(1, MAX_VALIDATORS), default=1, show_default=True)
@click.option(
    "--storage-form",
    type=click.Choice(["strict", "R", "N"]),
    default="strict",
    show_default=True,
    help="R, N: as the services that are out there, with what they leave unchecked.",
)
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="One of those above.")
def command(  # noqa: PLR0913 - one for each option
    *,
    port: int,
    storage_port: int,
    state: Path | None,
    genesis: Path | None,
    validator_key: Path | None,
    no_empty_blocks: bool,
    validators: int,
    storage_form: StorageForm,
    faults: tuple[str, ...],
) -> None:
    if (genesis is None) != (validator_key is None):
        raise UsageError("--genesis and --validator-key go together: one chain, one validator")
    if genesis is not None and validators > 1:
        raise UsageError("--validators and --genesis: a genesis file names its own validators")
    net = DevNet(
        _start(genesis, validator_key),
        clock=SystemClock(),
        directory=state,
        port=port,
        storage_port=storage_port,
        block_interval_s=BLOCK_INTERVAL_S,
        empty_blocks=not no_empty_blocks,
        traits=Traits(storage_form=storage_form, validators=validators, faults=faults),
    )
    asyncio.run(_serve(net))


def _start(genesis: Path | None, validator_key: Path | None) -> dict[str, int] | Foundation:
    if genesis is not None and validator_key is not None:
        return Foundation(load_genesis(genesis), load_validator_key(validator_key))
    return {Account.from_seed(seed).address: COINS for seed in SEEDS}


async def _serve(net: DevNet) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await net.start()
    try:
        click.echo(f"serving: rpc {net.rpc_url} storage {net.storage_url} id {net.storage_id}")
        await stop.wait()
    finally:
        await net.stop()

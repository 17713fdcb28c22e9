"""Dev nodes for tests: quick blocks, two accounts with coins, faults as they are asked for."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from agent.amo.devnode.net import PLAIN, DevNet, Traits
from agent.amo.p256 import Account
from agent.clock import SystemClock

ALICE, BOB = Account.from_seed("alice"), Account.from_seed("bob")
COINS = 10**6


@asynccontextmanager
async def devnet(
    traits: Traits = PLAIN, directory: Path | None = None, *, empty_blocks: bool = False
) -> AsyncIterator[DevNet]:
    """It serves on two free ports of 127.0.0.1."""
    net = DevNet(
        {ALICE.address: COINS, BOB.address: COINS},
        clock=SystemClock(),
        directory=directory,
        block_interval_s=0.01,
        empty_blocks=empty_blocks,
        traits=traits,
    )
    await net.start()
    try:
        yield net
    finally:
        await net.stop()

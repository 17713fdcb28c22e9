"""A dev node that is killed while transactions flow: AMO_KILLS times, 10 where it is not said."""

import asyncio
import os
import random
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from agent.amo.devnode.archive import Archive
from agent.amo.devnode.genesis import load_genesis
from agent.amo.devnode.ledger import Ledger
from agent.amo.devnode.net import Traits
from agent.amo.rpc import RpcClient
from agent.amo.transaction import build, tx_hash
from agent.clock import SystemClock
from agent.errors import RefusedError, RemoteError
from tests.amo.devnets import ALICE, BOB, COINS, devnet

KILLS = int(os.environ.get("AMO_KILLS", "10"))
STARTS = 3
LONGEST_S = 0.15
CHECKOUT = Path(__file__).parents[2]


@dataclass
class Flow:
    """Transfers of 1, 2, 3 ... mote from Alice to Bob, and what was heard of them."""

    sent: list[bytes] = field(default_factory=list)
    executed: dict[str, int] = field(default_factory=dict)

    async def run(self, client: RpcClient) -> None:
        """Until the node is gone."""
        height = (await client.status()).latest_height
        for raw in self.sent:
            await self._send(client, raw)
        while True:
            payload = {"to": BOB.address, "amount": str(len(self.sent) + 1)}
            self.sent.append(
                build("transfer", payload, signer=ALICE, fee=0, last_height=height).raw
            )
            await self._send(client, self.sent[-1])
            await self._hear(client, self.sent[-2:-1])

    async def finish(self, client: RpcClient) -> None:
        """All that was sent is executed in the end, sent again where it was lost on the way."""
        for raw in self.sent:
            await self._send(client, raw)
        async with asyncio.timeout(10):
            while len(self.executed) < len(self.sent):
                await self._hear(client, self.sent)
                await asyncio.sleep(0.02)

    async def _send(self, client: RpcClient, raw: bytes) -> None:
        if tx_hash(raw) not in self.executed:
            with suppress(RefusedError):  # executed before the kill, and not heard of
                await client.broadcast_sync(raw)

    async def _hear(self, client: RpcClient, raws: list[bytes]) -> None:
        for raw in raws:
            found = await client.tx(tx_hash(raw))
            if found is not None:
                assert found.code == 0
                known = self.executed.setdefault(found.hash, found.height)
                assert known == found.height, "executed elsewhere than before"


async def begun(directory: Path) -> Process:
    arguments = ("-m", "tests.amo.killable", str(directory))
    return await asyncio.create_subprocess_exec(
        sys.executable, *arguments, cwd=CHECKOUT, stdout=PIPE
    )


async def killed_while_starting(directory: Path, after_s: float) -> None:
    started = await begun(directory)
    await asyncio.sleep(after_s)
    started.kill()
    await started.wait()


@asynccontextmanager
async def process(directory: Path) -> AsyncIterator[tuple[Process, RpcClient]]:
    started = await begun(directory)
    try:
        assert started.stdout is not None
        url = (await asyncio.wait_for(started.stdout.readline(), 20)).decode().strip()
        async with RpcClient([url], clock=SystemClock()) as client:
            yield started, client
    finally:
        if started.returncode is None:
            started.kill()
        await started.wait()


async def killed_once(directory: Path, flow: Flow, after_s: float) -> None:
    async with process(directory) as (started, client):
        for name, height in flow.executed.items():  # nothing that was executed is lost
            found = await client.tx(name)
            assert found is not None
            assert found.height == height
        running = asyncio.create_task(flow.run(client))
        await asyncio.sleep(after_s)
        assert not running.done(), running.exception()
        started.kill()
        with suppress(RemoteError):
            await running


async def test_killed_node_goes_on_with_nothing_lost_and_nothing_doubled(tmp_path: Path) -> None:
    flow, moments = Flow(), random.Random(6)
    for _ in range(STARTS):
        await killed_while_starting(tmp_path, moments.uniform(0.2, 1.0))
    for _ in range(KILLS):
        await killed_once(tmp_path, flow, moments.uniform(0.0, LONGEST_S))
    async with devnet(Traits(validators=4), tmp_path) as net:
        async with RpcClient([net.rpc_url], clock=SystemClock()) as client:
            await flow.finish(client)
            amount = sum(range(1, len(flow.sent) + 1))
            assert await client.balance(BOB.address) == COINS + amount
            assert await client.balance(ALICE.address) == COINS - amount
        app_hash = net.node.chain.ledger.app_hash
        height = net.node.chain.height
    assert len(flow.sent) >= KILLS
    replayed_alike(tmp_path, flow, app_hash, height)


def replayed_alike(directory: Path, flow: Flow, app_hash: bytes, height: int) -> None:
    """The blocks on disk, executed by a ledger of its own; each header tells the state before."""
    ledger, archive = (
        Ledger(load_genesis(directory / "genesis.json")),
        Archive(directory / "chain.db"),
    )
    times: Counter[str] = Counter()
    for at in range(1, height + 1):
        block = archive.block(at)
        assert block.header.app_hash == ledger.app_hash
        ledger.execute(block.txs, block.header.proposer_address)
        times.update(tx_hash(raw) for raw in block.txs)
    archive.close()
    assert ledger.app_hash == app_hash
    assert [times[tx_hash(raw)] for raw in flow.sent] == [1] * len(flow.sent)

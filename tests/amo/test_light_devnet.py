"""The light client against a chain that makes blocks: the development node, over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from agent.amo.belief import Belief
from agent.amo.blocksource import BlockSource
from agent.amo.devnode.net import DevNet
from agent.amo.light import LightClient
from agent.amo.p256 import Account
from agent.amo.rpc import RpcClient
from agent.amo.trust import TrustRoot
from agent.clock import SystemClock
from agent.errors import RefusedError

ALICE, BOB = Account.from_seed("alice"), Account.from_seed("bob")


@asynccontextmanager
async def net() -> AsyncIterator[DevNet]:
    running = DevNet({ALICE.address: 10**6}, clock=SystemClock(), block_interval_s=0.01)
    await running.start()
    try:
        yield running
    finally:
        await running.stop()


def transfer(mote: int) -> dict[str, object]:
    return {"to": BOB.address, "amount": str(mote)}


async def test_transfers_are_proven_from_the_first_block_on() -> None:
    async with (
        net() as running,
        BlockSource(running.rpc_url) as source,
        BlockSource(running.rpc_url) as witness,
        RpcClient([running.rpc_url], clock=SystemClock()) as rpc,
    ):
        root = TrustRoot(1, running.node.chain.archive.block(1).header.hash())
        doubts: list[str] = []
        light = LightClient(
            [source, witness],
            root,
            clock=SystemClock(),
            period_s=86_400,
            doubted=lambda *doubt: doubts.append(doubt[2]),
        )
        sent = await rpc.submit("transfer", transfer(5), ALICE)
        found = await light.prove(sent.hash)
        assert (found.height, found.code) == (sent.height, 0)
        made = running.node.chain.archive.block(found.height)
        assert (found.header_hash, made.txs[found.index] != b"") == (made.header.hash(), True)
        for height in range(1, found.height):
            block = running.node.chain.archive.block(height)
            assert await light.verify(height) == block.header
            assert await light.verify(height, sequential=True) == block.header
        assert await Belief([source, witness], light).prove(sent.hash) == "proven"
        assert doubts == []


async def test_transfer_that_failed_in_its_block_is_proven_to_have_failed() -> None:
    """Two spend the same coins in one block: each passes alone, and one fails there."""
    async with (
        net() as running,
        BlockSource(running.rpc_url) as source,
        RpcClient([running.rpc_url], clock=SystemClock()) as rpc,
    ):
        root = TrustRoot(1, running.node.chain.archive.block(1).header.hash())
        light = LightClient(
            [source], root, clock=SystemClock(), period_s=86_400, doubted=lambda *_: None
        )
        both = [await rpc.prepare("transfer", transfer(10**6 - n), ALICE) for n in (0, 1)]
        for each in both:
            await rpc.broadcast_sync(each.raw)
        codes = set()
        for each in both:
            try:
                await rpc.settle(each)
                code = 0
            except RefusedError as error:
                code = error.code
            assert (await light.prove(each.hash)).code == code
            codes.add(code)
        assert len(codes) == 2

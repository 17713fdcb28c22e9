"""What our own client says to each fault: a clear error in its bounds, or what it cannot know."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from agent.amo.blocksource import BlockSource
from agent.amo.chain import ChainReader
from agent.amo.devnode import lies
from agent.amo.devnode.faults import FAULTS, RETRY_AFTER_S
from agent.amo.devnode.net import DevNet, Traits
from agent.amo.devnode.rpc_server import RpcServer, bare_app
from agent.amo.devnode.storage import StorageForm
from agent.amo.light import LightClient
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.amo.transaction import tx_hash
from agent.amo.trust import TrustRoot
from agent.amo.web import Limits
from agent.clock import MS, SystemClock
from agent.errors import (
    LyingEndpointError,
    PushbackError,
    RefusedError,
    RemoteError,
    UsageError,
)
from tests.amo.devnets import ALICE, BOB, COINS, devnet

LIMITS = Limits(timeout_s=0.3, answer_bytes=500_000)
BODY = b"\x00a body"
TO_BOB = {"to": BOB.address, "amount": "5"}
OF_THE_EDGE = [
    ("late", "no answer within 0.3 s"),
    ("5xx", "status 502"),
    ("rate-limit", "status 429"),
    ("garbage", "JSON|UTF-8|Unicode"),
    ("endless", "longer than 500000 bytes|no answer within 0.3 s"),
    ("cut", "ClientPayloadError|ServerDisconnected|ClientOSError"),
]


def rpc(net: DevNet, patience_s: float = 5.0) -> RpcClient:
    clock = SystemClock()
    return RpcClient([net.rpc_url], clock=clock, limits=LIMITS, patience_s=patience_s)


def storage(net: DevNet) -> StorageClient:
    return StorageClient(net.storage_url, limits=LIMITS)


def faulty(*names: str, form: StorageForm = "strict") -> Traits:
    return Traits(faults=names, storage_form=form)


@asynccontextmanager
async def light(net: DevNet, *others: str) -> AsyncIterator[LightClient]:
    """It trusts the first block, which no fault changes."""
    root = TrustRoot(1, net.node.chain.archive.block(1).block_id.hash)
    async with aiohttp.ClientSession() as session:
        sources = [
            BlockSource(url, session=session, limits=LIMITS) for url in (net.rpc_url, *others)
        ]
        for source in sources:
            await source.__aenter__()
        yield LightClient(
            sources, root, clock=SystemClock(), period_s=3600.0, doubted=lambda *_: None
        )


async def grown(net: DevNet, height: int) -> None:
    async with asyncio.timeout(5):
        while net.node.chain.height < height:
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(("fault", "words"), OF_THE_EDGE)
async def test_fault_of_a_node_is_an_error_that_says_what_was_wrong(fault: str, words: str) -> None:
    async with devnet(faulty(fault)) as net, rpc(net) as client:
        with pytest.raises(RemoteError, match=words) as caught:
            await client.balance(ALICE.address)
        assert net.rpc_url in str(caught.value)
        assert isinstance(caught.value, PushbackError) == (fault == "rate-limit")


@pytest.mark.parametrize(("fault", "words"), OF_THE_EDGE)
async def test_fault_of_a_storage_is_an_error_that_says_what_was_wrong(
    fault: str, words: str
) -> None:
    async with devnet(faulty(fault)) as net, storage(net) as client:
        with pytest.raises(RemoteError, match=words) as caught:
            await client.upload(BODY, ALICE, {})
        assert net.storage_url in str(caught.value)


async def test_rate_limit_says_how_long_to_wait() -> None:
    async with devnet(faulty("rate-limit")) as net, rpc(net) as client:
        with pytest.raises(PushbackError) as caught:
            await client.status()
        assert caught.value.retry_after_s == RETRY_AFTER_S


async def test_late_node_does_not_hold_up_the_end() -> None:
    async with devnet(faulty("late")) as net, rpc(net) as client:
        with pytest.raises(RemoteError):
            await client.status()
        begin_ns = SystemClock().mono_ns()
        await client.__aexit__()
        await net.stop()
        assert SystemClock().mono_ns() - begin_ns < 900 * MS


async def test_replayed_answer_of_a_node_is_for_another_call() -> None:
    async with devnet(faulty("replayed-response")) as net, rpc(net) as client:
        assert await client.balance(ALICE.address) == COINS
        with pytest.raises(RemoteError, match="it is for another call"):
            await client.balance(BOB.address)


async def test_replayed_token_of_a_storage_is_not_signed() -> None:
    async with devnet(faulty("replayed-response")) as net, storage(net) as client:
        await client.upload(BODY, ALICE, {})
        with pytest.raises(RemoteError, match="token"):
            await client.upload(b"another body", ALICE, {})


async def test_one_endpoint_can_lie_about_a_balance_and_two_that_differ_show_it() -> None:
    async with devnet(faulty("lying-balance")) as liar, devnet() as honest:
        said = []
        for net in (liar, honest):
            async with ChainReader([net.rpc_url]) as client:
                said.append(await client.balance(ALICE.address))
                assert (await client.usage(BOB.address, "00" * 36)) is None
        assert said == [COINS + lies.LIE_MOTE, COINS]
        assert liar.node.state.balance(bytes.fromhex(ALICE.address)) == COINS


async def test_node_lies_by_get_and_by_post_and_not_in_a_batch() -> None:
    query = f'"{ALICE.address}"'.encode().hex()
    params = {"path": "/balance", "data": query, "height": "0", "prove": False}
    call = {"jsonrpc": "2.0", "id": 1, "method": "abci_query", "params": params}
    said = []
    async with devnet(faulty("lying-balance")) as net, aiohttp.ClientSession() as http:
        url = f'{net.rpc_url}/abci_query?path="/balance"&data=0x{query}'
        async with http.get(url) as answer:
            said.append((await answer.json())["result"])
        async with http.post(net.rpc_url, json=call) as answer:
            said.append((await answer.json())["result"])
        async with http.post(net.rpc_url, json=[call, call | {"id": 2}]) as answer:
            said += [each["result"] for each in await answer.json()]
    lie, truth = f'"{COINS + lies.LIE_MOTE}"', f'"{COINS}"'
    assert [each["response"]["log"] for each in said] == [lie, lie, truth, truth]


@pytest.mark.parametrize("body", [b"", b"{}", b"[1]", b"\xff", b'{"method":7,"id":1}'])
async def test_garbage_is_answered_by_a_faulty_node_as_by_an_honest_one(body: bytes) -> None:
    answered = []
    names = ("replayed-response", "lying-balance", "fork", "wrong-code", "tx-dropped")
    async with devnet(faulty(*names)) as net, devnet() as honest, aiohttp.ClientSession() as http:
        for url in (net.rpc_url, honest.rpc_url):
            async with http.post(url, data=body) as answer:
                answered.append((answer.status, await answer.read()))
    assert answered[0] == answered[1]


@pytest.mark.parametrize("sequential", [False, True])
async def test_forged_header_is_not_the_one_that_was_signed(*, sequential: bool) -> None:
    async with devnet(faulty("forged-header"), empty_blocks=True) as net:
        await grown(net, 6)
        async with light(net) as client:
            with pytest.raises(LyingEndpointError, match="another header") as caught:
                await client.verify(4, sequential=sequential)
            assert caught.value.endpoint == net.rpc_url


async def test_fork_by_the_same_validators_is_seen_beside_an_honest_endpoint() -> None:
    async with devnet(faulty("fork"), empty_blocks=True) as net:
        await grown(net, 6)
        honest = RpcServer(net.node, net.node.clock)
        await honest.start("127.0.0.1", 0, bare_app())
        try:
            async with light(net) as alone:
                forked = await alone.verify(4, sequential=True)
            async with light(net, honest.url) as client:
                with pytest.raises(LyingEndpointError, match="two headers are signed"):
                    await client.verify(4)
        finally:
            await honest.stop()
        assert forked.hash() != net.node.chain.archive.block(4).block_id.hash


async def test_fork_is_told_alike_by_every_method() -> None:
    async with devnet(faulty("fork"), empty_blocks=True) as net:
        await grown(net, 6)
        async with BlockSource(net.rpc_url) as client:
            signed = await client.signed_header(4)
            block = await client.block(4)
            [header] = await client.headers(4, 4)
        name = signed.header.hash()
        assert signed.commit.block_id.hash == name == header.hash()
        assert block["block_id"] == signed.commit.block_id.to_json()


async def test_forged_proof_proves_nothing() -> None:
    async with devnet(faulty("forged-proof"), empty_blocks=True) as net:
        async with rpc(net) as client:
            receipt = await client.submit("transfer", TO_BOB, ALICE)
        async with light(net) as client:
            with pytest.raises(LyingEndpointError, match="is not proven to be in it"):
                await client.prove(receipt.hash)


async def test_wrong_code_is_not_the_one_in_the_next_header() -> None:
    """A node alone can tell a buyer anything about a code; the next header cannot be made to."""
    async with devnet(faulty("wrong-code"), empty_blocks=True) as net:
        async with rpc(net) as client:
            signed = await client.prepare("transfer", TO_BOB | {"amount": "9" * 20}, ALICE)
            receipt = await client.settle(signed)  # there was never so much
        assert net.node.chain.archive.results(receipt.height)["txs_results"][0]["code"] != 0
        async with light(net) as client:
            with pytest.raises(LyingEndpointError, match="result codes are not those"):
                await client.prove(receipt.hash)


async def test_dropped_transaction_is_never_taken_for_done() -> None:
    async with devnet(faulty("tx-dropped")) as net, rpc(net, patience_s=0.3) as client:
        signed = await client.prepare("transfer", TO_BOB, ALICE)
        with pytest.raises(RemoteError, match="it may still come") as caught:
            await client.settle(signed)
        assert signed.hash in str(caught.value)
        with pytest.raises(RemoteError, match="timed out waiting"):
            await client.broadcast_commit(signed.raw)
        assert len(net.node.mempool) == 0
        assert net.node.chain.archive.place_of(bytes.fromhex(tx_hash(signed.raw))) is None


@pytest.mark.parametrize("form", ["strict", "R", "N"])
async def test_withheld_body_is_refused_though_its_metadata_is_there(form: StorageForm) -> None:
    async with devnet(faulty("withheld-body", form=form)) as net, storage(net) as client:
        parcel = await client.upload(BODY, ALICE, {})
        assert await client.inspect(parcel, ALICE) is not None
        with pytest.raises(RefusedError, match="status 404") as caught:
            await client.download(parcel, ALICE)
        assert caught.value.code == 404


@pytest.mark.parametrize("form", ["strict", "R"])
async def test_changed_body_does_not_fit_its_id(form: StorageForm) -> None:
    async with devnet(faulty("changed-body", form=form)) as net, storage(net) as client:
        parcel = await client.upload(BODY, ALICE, {})
        with pytest.raises(RemoteError, match=f"body of {parcel} does not fit its id"):
            await client.download(parcel, ALICE)


async def test_faults_of_a_node_leave_its_chain_honest() -> None:
    rpc_faults = [name for name, fault in FAULTS.items() if fault.rpc]
    async with devnet(faulty(*rpc_faults)) as net:
        assert net.node.state.storage(1) is not None
        assert net.node.chain.height > 0


def test_fault_that_is_none_is_a_usage_error_in_one_line() -> None:
    with pytest.raises(UsageError, match=r"^fault 'nope' is none of late, 5xx, [^\n]*$"):
        DevNet({}, clock=SystemClock(), traits=faulty("nope"))

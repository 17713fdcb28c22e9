"""A sale between two accounts, over a development node and its storage service, on real sockets."""

import base64
import hashlib
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from nacl.signing import SigningKey

from agent.amo import dids, payload
from agent.amo.buyerkeys import BuyerKeys, key_in
from agent.amo.codes import ResultCode
from agent.amo.devnode.genesis import dev_genesis
from agent.amo.devnode.node import DevNode
from agent.amo.devnode.storage import storage_app
from agent.amo.market import Buyer, PendingRequest, Seller
from agent.amo.p256 import Account
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.amo.transaction import build
from agent.clock import RecordedClock, SystemClock
from agent.errors import RefusedError, RemoteError
from tests.amo.nodes import Node, result, sample, served

OWNER, BUYER, AGENCY = (Account.from_seed(name) for name in ("owner", "buyer", "agency"))
KEEPER, POOR = Account.from_seed("keeper"), Account.from_seed("poor")
BODY = b"encrypted before it comes here"
EXTRA = {"seal": "AB", "level": 3}
STORAGE, REGISTRATION_FEE, HOSTING_FEE = 5, 10, 20
START = 1_000


def custody_for(parcel_id: str) -> bytes:
    """Bound to the parcel, as a wrapped key is."""
    return hashlib.sha256(parcel_id.encode()).digest()


@dataclass
class Place:
    """A chain with a storage service that is set up on it."""

    rpc: RpcClient
    storage: StorageClient

    def seller(self, account: Account = OWNER) -> Seller:
        return Seller(self.rpc, self.storage, account)

    def buyer(self, account: Account = BUYER) -> Buyer:
        return Buyer(self.rpc, self.storage, account)


@asynccontextmanager
async def node() -> AsyncIterator[DevNode]:
    validator = SigningKey(hashlib.sha256(b"validator").digest())
    clock = SystemClock()
    made = DevNode(
        genesis=dev_genesis(
            {a.address: START for a in (OWNER, BUYER, AGENCY, KEEPER)},
            validator=bytes(validator.verify_key),
            holder=Account.from_seed("holder").address,
            time_ns=clock.now_ns(),
            chain_id="amo-market",
        ),
        validator=validator,
        directory=None,
        clock=clock,
        block_interval_s=0.01,
    )
    await made.start()
    try:
        yield made
    finally:
        await made.stop()


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(node())
        clock = RecordedClock(0, speed=20.0)  # looks for its block 20 times as often
        rpc = await stack.enter_async_context(RpcClient([running.url], clock=clock))

        async def usage(recipient: str, parcel: str) -> bool:
            return await rpc.usage(recipient, parcel) is not None

        url = await stack.enter_async_context(served(storage_app(storage_id=STORAGE, usage=usage)))
        storage = await stack.enter_async_context(StorageClient(url))
        asked = payload.setup(
            STORAGE, url, registration_fee=REGISTRATION_FEE, hosting_fee=HOSTING_FEE
        )
        await rpc.submit("setup", asked, KEEPER)
        yield Place(rpc, storage)


async def transactions_after(place: Place, height: int) -> list[int]:
    latest = (await place.rpc.status()).latest_height
    return await place.rpc.busy_heights(height + 1, latest)


async def test_parcel_is_stored_and_registered_with_custody_for_its_id(place: Place) -> None:
    registered = await place.seller().register(BODY, custody_for, EXTRA)
    parcel = registered.parcel_id
    assert parcel == payload.parcel_id(STORAGE, hashlib.sha256(BODY).digest())
    standing = await place.rpc.parcel(parcel)
    assert standing is not None
    assert standing["owner"] == OWNER.address
    assert standing["custody"] == custody_for(parcel).hex().upper()
    assert standing["extra"] == {"register": EXTRA}
    executed = await place.rpc.tx(registered.tx_hash)
    assert executed is not None
    assert executed.height == registered.height
    assert await place.storage.download(parcel, OWNER) == BODY


async def test_sale_from_request_to_reading_and_its_end(place: Place) -> None:
    seller, buyer = place.seller(), place.buyer()
    parcel = (await seller.register(BODY, custody_for, EXTRA)).parcel_id
    with pytest.raises(RefusedError) as early:
        await buyer.fetch(parcel)
    assert early.value.code == ResultCode.USAGE_NOT_FOUND
    await buyer.request(parcel, 100)
    assert await seller.requests(parcel) == [PendingRequest(BUYER.address, BUYER.public, 100)]
    tx_hash = await seller.grant(parcel, BUYER.address, b"wrapped for the buyer")
    executed = await place.rpc.tx(tx_hash)
    assert executed is not None
    assert await seller.requests(parcel) == []
    assert await buyer.fetch(parcel.lower()) == (BODY, b"wrapped for the buyer")
    assert await place.rpc.balance(BUYER.address) == START - 100
    sold = START - REGISTRATION_FEE + 100 - HOSTING_FEE
    assert await place.rpc.balance(OWNER.address) == sold
    await seller.revoke(parcel, BUYER.address)
    with pytest.raises(RefusedError):
        await buyer.fetch(parcel)


async def test_registering_again_leads_to_the_same_parcel_and_costs_no_second_fee(
    place: Place,
) -> None:
    first = await place.seller().register(BODY, custody_for, EXTRA)
    again = await place.seller().register(BODY, custody_for, EXTRA)
    assert again.parcel_id == first.parcel_id
    assert again.tx_hash != first.tx_hash
    assert await place.rpc.balance(OWNER.address) == START - REGISTRATION_FEE


async def test_cancelled_request_gives_the_coins_back(place: Place) -> None:
    parcel = (await place.seller().register(BODY, custody_for, {})).parcel_id
    await place.buyer().request(parcel, 100)
    await place.buyer().cancel(parcel)
    assert await place.seller().requests(parcel) == []
    assert await place.rpc.balance(BUYER.address) == START


async def test_registration_that_cannot_be_paid_costs_nothing(place: Place) -> None:
    before = (await place.rpc.status()).latest_height
    with pytest.raises(RefusedError, match="0 mote where 10 are due") as caught:
        await place.seller(POOR).register(BODY, custody_for, {})
    assert caught.value.code == ResultCode.NOT_ENOUGH_BALANCE
    assert not await transactions_after(place, before)


async def test_closed_storage_is_noticed_before_a_transaction_is_spent(place: Place) -> None:
    await place.rpc.submit("close", {"storage": STORAGE}, KEEPER)
    with pytest.raises(RefusedError) as caught:
        await place.seller().register(BODY, custody_for, {})
    assert caught.value.code == ResultCode.NO_STORAGE


async def test_parcel_of_another_owner_is_not_registered_over(place: Place) -> None:
    parcel = (await place.seller().register(BODY, custody_for, {})).parcel_id
    await place.storage.remove(parcel, OWNER)
    before = (await place.rpc.status()).latest_height
    with pytest.raises(RefusedError) as caught:
        await place.seller(BUYER).register(BODY, custody_for, {})
    assert caught.value.code == ResultCode.PERMISSION_DENIED
    assert not await transactions_after(place, before)


async def test_grant_without_a_request_is_refused_with_its_code(place: Place) -> None:
    parcel = (await place.seller().register(BODY, custody_for, {})).parcel_id
    with pytest.raises(RefusedError) as caught:
        await place.seller().grant(parcel, BUYER.address, b"x")
    assert caught.value.code == ResultCode.REQUEST_NOT_FOUND


async def test_unregistered_parcel_has_no_requests(place: Place) -> None:
    assert await place.seller().requests("00000005" + "AB" * 32) == []


async def test_recipient_an_agency_asked_for_has_no_key_until_it_has_signed(place: Place) -> None:
    seller = place.seller()
    parcel = (await seller.register(BODY, custody_for, {})).parcel_id
    asked = payload.request(parcel, 7, recipient=BUYER.address)
    await place.rpc.submit("request", asked, AGENCY)
    assert await seller.requests(parcel) == [PendingRequest(BUYER.address, b"", 7)]
    await place.rpc.submit("transfer", payload.transfer(AGENCY.address, mote=1), BUYER)
    assert await seller.requests(parcel) == [PendingRequest(BUYER.address, BUYER.public, 7)]


async def test_key_in_a_did_document_serves_where_no_transaction_is_found(place: Place) -> None:
    asked = dids.claim(dids.document_of(BUYER.public))
    await place.rpc.submit("did.claim", asked, BUYER)
    far = BuyerKeys(place.rpc, walk_blocks=0)
    assert await far.of(BUYER.address) == BUYER.public
    assert await far.of(AGENCY.address) is None
    await place.rpc.submit("did.dismiss", dids.dismiss(dids.did_of(BUYER.address)), BUYER)
    assert await far.of(BUYER.address) is None


async def test_key_of_another_in_a_did_document_is_not_the_buyers(place: Place) -> None:
    shown = dids.document_of(BUYER.public)
    shown["verificationMethod"] = dids.document_of(AGENCY.public)["verificationMethod"]
    shown["authentication"] = dids.document_of(AGENCY.public)["authentication"]
    await place.rpc.submit("did.claim", dids.claim(shown), BUYER)  # the chain does not compare
    assert await BuyerKeys(place.rpc, walk_blocks=0).of(BUYER.address) is None


async def test_discarded_parcel_is_off_sale(place: Place) -> None:
    parcel = (await place.seller().register(BODY, custody_for, {})).parcel_id
    await place.seller().discard(parcel)
    standing = await place.rpc.parcel(parcel)
    assert standing is not None
    assert standing["on_sale"] is False


async def test_two_identical_transactions_execute_once(place: Place) -> None:
    signed = await place.rpc.prepare("transfer", payload.transfer(BUYER.address, mote=5), OWNER)
    assert await place.rpc.settle(signed) == await place.rpc.settle(signed)
    assert await place.rpc.balance(BUYER.address) == START + 5


def test_key_is_taken_only_from_a_transaction_its_address_signed() -> None:
    signed = build("discard", payload.discard("00" * 36), signer=BUYER, fee=0, last_height=1)
    assert key_in(signed.raw, BUYER.address) == BUYER.public
    assert key_in(signed.raw, OWNER.address) is None
    assert key_in(signed.raw.replace(b'"discard"', b'"request"'), BUYER.address) is None
    forged = signed.raw.replace(BUYER.public.hex().upper().encode(), OWNER.public.hex().encode())
    assert key_in(forged, BUYER.address) is None
    assert key_in(b"\xff", BUYER.address) is None


def chain_of(height: int, busy: Callable[[int], bool]) -> Node:
    """A node whose blocks hold at most one transaction that is none."""
    made = Node()
    sync = {
        "latest_block_height": str(height),
        "earliest_block_height": "1",
        "catching_up": False,
    }
    made.on("status", result({"node_info": {"network": "n"}, "sync_info": sync}))

    def metas(_: Any, call: dict[str, Any]) -> dict[str, Any]:
        low, high = int(call["params"]["minHeight"]), int(call["params"]["maxHeight"])
        shown = range(high, max(low, high - 19) - 1, -1)
        headers = [{"header": {"height": str(h)}, "num_txs": str(int(busy(h)))} for h in shown]
        return result({"last_height": str(height), "block_metas": headers})

    made.on("blockchain", metas)
    made.on("block", result({"block": {"data": {"txs": ["eA=="]}}}))
    return made


async def test_search_for_a_key_is_bounded_and_walks_only_new_blocks_again() -> None:
    chain = chain_of(1_000, lambda height: height % 10 == 0)
    chain.on("abci_query", sample("did none"))
    async with served(chain.app()) as url, RpcClient([url], clock=SystemClock()) as rpc:
        keys = BuyerKeys(rpc, walk_blocks=100)
        assert await keys.of(BUYER.address) is None
        assert (chain.count("blockchain"), chain.count("block")) == (5, 10)
        assert await keys.of(BUYER.address) is None
        assert (chain.count("blockchain"), chain.count("block")) == (5, 10)


@pytest.mark.parametrize(
    "requests",
    [5, {}, [5], [{}], [{"recipient": 5, "payment": "1"}], [{"recipient": "AA", "payment": -1}]],
)
async def test_malformed_list_of_requests_is_a_remote_error(requests: object) -> None:
    text = base64.b64encode(json.dumps({"requests": requests}).encode()).decode()
    made = chain_of(1, lambda _: False)
    made.on("abci_query", result({"response": {"code": 0, "log": "", "value": text}}))
    async with (
        served(made.app()) as url,
        RpcClient([url], clock=SystemClock()) as rpc,
        StorageClient(url) as storage,
    ):
        with pytest.raises(RemoteError):
            await Seller(rpc, storage, OWNER).requests("00000005" + "AB" * 32)

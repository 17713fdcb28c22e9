"""The owner's side of a sale: nobody reads without a grant, and every step is in the log."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass

import pytest

from agent.amo.devnode.net import DevNet
from agent.amo.market import Buyer, Seller
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import Archive
from agent.clock import SystemClock
from agent.compose import trade, uploader
from agent.errors import RefusedError, SealError
from agent.events import (
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    DtcSet,
    ParcelRegistered,
)
from agent.parcel.chunk import open_parcel
from agent.privacy import Level
from agent.trade import Trade
from agent.wallet import curve
from agent.wallet.address import address
from agent.wallet.consent import Request
from agent.wallet.custody import unwrap
from agent.wallet.envelope import decrypt
from agent.wallet.keys import FileKey
from tests.opened import opened

COINS = 1_000
PRICE = 100


@dataclass(frozen=True)
class Fair:
    """A registered parcel, its owner's desk, and a buyer with coins."""

    parts: Archive
    parcel: ParcelRegistered
    desk: Trade
    buyer: Buyer
    buyer_key: FileKey
    rpc: RpcClient

    async def request(self) -> Request:
        await self.buyer.request(self.parcel.parcel_id, PRICE)
        [request] = await self.desk.requests(self.parcel)
        return request


@pytest.fixture
async def fair(parts: Archive) -> AsyncIterator[Fair]:
    clock = SystemClock()
    buyer_key = FileKey(curve.new_scalar(), protected=False)
    account = parts.keys.account
    coins = {address(account.public): COINS, address(buyer_key.public): COINS}
    async with AsyncExitStack() as stack:
        net = DevNet(coins, clock=clock, block_interval_s=0.02)
        await net.start()
        stack.push_async_callback(net.stop)
        rpc = await stack.enter_async_context(RpcClient([net.rpc_url], clock=clock))
        storage = await stack.enter_async_context(StorageClient(net.storage_url))
        seller = Seller(rpc, storage, account)
        parts.journal.write(DtcSet("P0301", "7E8"))
        [parcel] = await uploader(parts, seller).once([Level.LV3])
        buyer = Buyer(rpc, storage, buyer_key)
        yield Fair(parts, parcel, trade(parts, seller), buyer, buyer_key, rpc)


def told(parts: Archive) -> list[str]:
    consents = (ConsentRequested, ConsentGranted, ConsentRefused, ConsentRevoked)
    return [event.kind for event in opened(parts) if isinstance(event, consents)]


async def test_a_buyer_opens_what_was_granted(fair: Fair) -> None:
    request = await fair.request()
    await fair.desk.grant(fair.parcel, request, by="owner")

    body, custody = await fair.buyer.fetch(fair.parcel.parcel_id)

    key = unwrap(custody, fair.buyer_key, parcel_id=fair.parcel.parcel_id, level=Level.LV3)
    metrics = [chunk.header.metric for chunk in open_parcel(decrypt(body, key)).chunks]
    assert metrics == ["agent-started/1", "dtc-set/1"]


async def test_a_buyer_without_a_grant_gets_nothing(fair: Fair) -> None:
    await fair.request()
    with pytest.raises(RefusedError):
        await fair.buyer.fetch(fair.parcel.parcel_id)


async def test_what_was_revoked_is_refused_afterwards(fair: Fair) -> None:
    request = await fair.request()
    await fair.desk.grant(fair.parcel, request, by="owner")
    await fair.desk.revoke(fair.parcel.parcel_id, request.buyer_address)

    with pytest.raises(RefusedError):
        await fair.buyer.fetch(fair.parcel.parcel_id)
    assert told(fair.parts)[-1] == "consent-revoked/1"


async def test_coins_move_from_the_buyer_to_the_owner(fair: Fair) -> None:
    request = await fair.request()
    await fair.desk.grant(fair.parcel, request, by="owner")

    buyer = await fair.rpc.balance(address(fair.buyer_key.public))
    owner = await fair.rpc.balance(address(fair.parts.keys.account.public))
    assert (buyer, owner) == (COINS - PRICE, COINS + PRICE)


async def test_a_request_is_recorded_once_however_often_it_is_seen(fair: Fair) -> None:
    await fair.request()
    await fair.desk.requests(fair.parcel)
    assert told(fair.parts) == ["consent-requested/1"]


async def test_a_refusal_is_recorded_and_sends_nothing(fair: Fair) -> None:
    request = await fair.request()

    fair.desk.refuse(request, by="owner")

    assert told(fair.parts) == ["consent-requested/1", "consent-refused/1"]
    assert await fair.rpc.usage(request.buyer_address, fair.parcel.parcel_id) is None


async def test_a_grant_that_the_chain_refuses_is_not_recorded_as_granted(fair: Fair) -> None:
    request = await fair.request()
    await fair.desk.grant(fair.parcel, request, by="owner")

    with pytest.raises(RefusedError):
        await fair.desk.grant(fair.parcel, request, by="owner")

    assert told(fair.parts).count("consent-granted/1") == 1


async def test_a_buyer_whose_key_is_not_known_is_granted_nothing(fair: Fair) -> None:
    request = Request(
        parcel_id=fair.parcel.parcel_id,
        buyer_address=address(fair.buyer_key.public),
        buyer_public=b"",
        payment_mote=PRICE,
        level=Level.LV3,
    )
    with pytest.raises(SealError):
        await fair.desk.grant(fair.parcel, request, by="owner")
    assert told(fair.parts) == []

"""What a node and a storage service promise their clients: one suite for ours and for real ones.

By default it runs on dev nodes of protocols 6 and 5 and on three forms of storage;
tests/amo/farside.py says how to name others.
"""

import hashlib
import secrets
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from agent.amo import dids, payload
from agent.amo.buyerkeys import BuyerKeys
from agent.amo.jsonrpc import Reply
from agent.amo.market import PendingRequest
from agent.amo.p256 import ORDER, Account, address_of
from agent.amo.rpc import Receipt
from agent.amo.storage import GONE
from agent.amo.transaction import Signer, build, tx_hash
from agent.errors import (
    AlreadyDoneError,
    BadTxError,
    NotAllowedError,
    NotEnoughFundsError,
    NotThereError,
    RefusedError,
    StaleTxError,
    UsageError,
)
from tests.amo.farside import FORMS, PROTOCOLS, FarSide, far_side

EXTRA = {"level": 3}


@pytest.fixture(params=PROTOCOLS, ids=lambda protocol: f"v{protocol or 'given'}")
async def side(request: pytest.FixtureRequest) -> AsyncIterator[FarSide]:
    async with far_side(FORMS[0], request.param) as made:
        yield made


@pytest.fixture(params=FORMS)
async def each(request: pytest.FixtureRequest) -> AsyncIterator[FarSide]:
    async with far_side(request.param) as made:
        yield made


def a_body() -> bytes:
    """Another one each time: a storage that lives on has the old ones."""
    return secrets.token_bytes(300)


def wrap(parcel_id: str) -> bytes:
    return hashlib.sha256(parcel_id.encode()).digest()


def nobody() -> str:
    return Account.generate().address


def no_parcel(side: FarSide) -> str:
    return payload.parcel_id(side.number, secrets.token_bytes(32))


async def test_status_names_the_chain_and_its_heights(side: FarSide) -> None:
    status = await side.rpc.status()
    assert status.chain_id
    assert 1 <= status.earliest_height <= status.latest_height
    assert not status.catching_up


async def test_protocol_and_window_are_told(side: FarSide) -> None:
    assert await side.rpc.protocol() in (4, 5, 6)
    assert await side.rpc.binding_window() > 0


async def test_transaction_is_found_in_its_block_as_it_was_sent(side: FarSide) -> None:
    coins = payload.transfer(side.buyer.address, mote=7)
    signed = await side.rpc.prepare("transfer", coins, side.owner)
    receipt = await side.rpc.settle(signed)
    found = await side.rpc.tx(receipt.hash)
    assert found is not None
    assert (found.raw, found.height, found.code) == (signed.raw, receipt.height, 0)
    assert signed.raw in await side.rpc.transactions(receipt.height)
    assert receipt.height in await side.rpc.busy_heights(receipt.height, receipt.height)
    block = Reply("block", await side.rpc.block(receipt.height))
    assert block.at("block", "header", "height").whole() == receipt.height


async def test_transaction_nobody_sent_is_not_found(side: FarSide) -> None:
    assert await side.rpc.tx(secrets.token_hex(32)) is None


NOTHING: list[tuple[str, Callable[[FarSide], object], object]] = [
    ("/balance", lambda _: nobody(), "0"),
    ("/balance/7777", lambda _: nobody(), "0"),
    ("/udc", lambda _: 2**31 - 7, None),
    ("/udclock/7777", lambda _: nobody(), "0"),
    ("/stake", lambda _: nobody(), None),
    ("/delegate", lambda _: nobody(), None),
    ("/validator", lambda _: nobody(), ""),
    ("/hibernate", lambda _: nobody(), None),
    ("/storage", lambda _: 2**32 - 7, None),
    ("/draft", lambda _: 2**31 - 7, None),
    ("/vote", lambda _: {"draft_id": 2**31 - 7, "voter": nobody()}, None),
    ("/parcel", no_parcel, None),
    ("/request", lambda s: {"recipient": nobody(), "target": no_parcel(s)}, None),
    ("/usage", lambda s: {"recipient": nobody(), "target": no_parcel(s)}, None),
    ("/did", lambda _: dids.did_of(nobody()), None),
    ("/vc", lambda _: f"amo:cred:{secrets.token_hex(32).upper()}", None),
]


async def test_every_question_about_what_is_not_there_has_its_answer(side: FarSide) -> None:
    wrong = [
        f"{path}: {answer!r}"
        for path, asked, wanted in NOTHING
        if (answer := await side.rpc.abci_query(path, asked(side))) != wanted
    ]
    assert not wrong


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [("/inc_block", 1, 1002), ("/udclock", "AA", 1002), ("/parcel", 5, 1004), ("/usage", {}, 1004)],
)
async def test_question_the_chain_does_not_know_is_refused_with_its_code(
    side: FarSide, path: str, data: object, code: int
) -> None:
    with pytest.raises(RefusedError) as caught:
        await side.rpc.abci_query(path, data)
    assert caught.value.code == code


async def test_broadcast_to_the_mempool_gives_the_hash_and_again_the_same(side: FarSide) -> None:
    coins = payload.transfer(side.buyer.address, mote=5)
    signed = await side.rpc.prepare("transfer", coins, side.owner)
    assert await side.rpc.broadcast_sync(signed.raw) == signed.hash == tx_hash(signed.raw)
    assert await side.rpc.broadcast_sync(signed.raw) == signed.hash
    receipt = await side.rpc.settle(signed)
    assert await side.rpc.settle(signed) == receipt
    assert await side.balance(side.buyer) == side.start() + 5


async def test_broadcast_without_an_answer_is_followed_and_found_by_a_search(side: FarSide) -> None:
    coins = payload.transfer(side.buyer.address, mote=5)
    signed = await side.rpc.prepare("transfer", coins, side.owner)
    assert await side.rpc.tx_search(f"tx.hash='{signed.hash}'") == []
    assert await side.rpc.broadcast_async(signed.raw) == signed.hash
    assert await side.rpc.broadcast_async(signed.raw) == signed.hash
    await side.rpc.settle(signed)
    found = await side.rpc.tx(signed.hash)
    assert await side.rpc.tx_search(f"tx.hash='{signed.hash}'") == [found]


async def test_broadcast_can_wait_for_the_block(side: FarSide) -> None:
    coins = payload.transfer(side.buyer.address, mote=5)
    signed = await side.rpc.prepare("transfer", coins, side.owner)
    receipt = await side.rpc.broadcast_commit(signed.raw)
    found = await side.rpc.tx(signed.hash)
    assert found is not None
    assert receipt == Receipt(signed.hash, found.height)
    all_and_more = payload.transfer(side.buyer.address, mote=side.start())
    poor = await side.rpc.prepare("transfer", all_and_more, side.owner)
    with pytest.raises(NotEnoughFundsError) as caught:
        await side.rpc.broadcast_commit(poor.raw)
    assert caught.value.code == 4


async def test_failed_transaction_costs_its_fee_and_no_more(side: FarSide) -> None:
    with pytest.raises(NotThereError):
        await side.rpc.submit("discard", payload.discard(no_parcel(side)), side.owner, fee=3)
    assert await side.balance(side.owner) == side.start() - 3


async def test_coins_move_to_the_mote_with_the_fee_on_top(side: FarSide) -> None:
    coins = payload.transfer(side.buyer.address, mote=1_234)
    await side.rpc.submit("transfer", coins, side.owner, fee=11)
    assert await side.balance(side.owner) == side.start() - 1_234 - 11
    assert await side.balance(side.buyer) == side.start() + 1_234


async def test_high_s_is_taken_and_another_spelling_is_executed_again(side: FarSide) -> None:
    """Two reasons why a signed transaction is bound to few blocks, and watched."""
    coins = payload.transfer(side.buyer.address, mote=1)
    signed = await side.rpc.prepare("transfer", coins, HighS(side.owner))
    await side.rpc.settle(signed)
    again = signed.raw + b"\n"
    await side.rpc.broadcast_sync(again)
    await side.rpc.submit("discard", payload.discard(await registered(side)), side.owner)
    assert await side.rpc.tx(tx_hash(again)) is not None
    assert await side.balance(side.buyer) == side.start() + 2


class HighS:
    """A signer whose s is the other one of the two that verify."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.public = account.public

    def sign(self, message: bytes) -> bytes:
        low = self._account.sign(message)
        return low[:32] + (ORDER - int.from_bytes(low[32:])).to_bytes(32)


class Wrong:
    """A signer who signs something else."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self.public = account.public

    def sign(self, message: bytes) -> bytes:
        return self._account.sign(message + b" ")


async def registered(side: FarSide) -> str:
    return (await side.seller().register(a_body(), wrap, EXTRA)).parcel_id


async def test_everything_the_mempool_refuses_has_its_code(side: FarSide) -> None:
    latest = (await side.rpc.status()).latest_height
    owner: Signer = side.owner
    ours, theirs = side.owner.address, side.buyer.address
    one = payload.transfer(theirs, mote=1)
    cases: list[tuple[int, type[RefusedError], str, dict[str, Any], Signer, int]] = [
        (1, BadTxError, "transfer", {"to": "AA", "amount": "1"}, owner, latest),
        (1, BadTxError, "transfer", {"to": theirs}, owner, latest),
        (1, BadTxError, "register", {"target": "00000001"}, owner, latest),
        (2, StaleTxError, "transfer", one, owner, latest + 1_000),
        (5, BadTxError, "transfer", {"to": ours, "amount": "1"}, owner, latest),
        (5, BadTxError, "delegate", {"to": ours, "amount": "1"}, owner, latest),
        (12, BadTxError, "transfer", one, Wrong(side.owner), latest),
        (18, BadTxError, "stake", {"validator": "AA", "amount": "1"}, owner, latest),
        (1000, BadTxError, "did.update", {}, owner, latest),
    ]
    for code, error, kind, asked, signer, height in cases:
        signed = build(kind, asked, signer=signer, fee=9, last_height=height)
        with pytest.raises(error) as caught:
            await side.rpc.broadcast_sync(signed.raw)
        assert caught.value.code == code, kind
    assert await side.balance(side.owner) == side.start()


async def test_everything_a_block_refuses_has_its_code(side: FarSide) -> None:
    parcel, strange = await registered(side), no_parcel(side)
    ours, theirs = side.owner, side.buyer
    elsewhere = payload.parcel_id(2**32 - 7, secrets.token_bytes(32))
    asking, giving = payload.request(parcel, 5), payload.grant(parcel, theirs.address, b"\x01")
    bad = {"amount": "0"}
    cases: list[tuple[int, type[RefusedError], str, dict[str, Any], Account]] = [
        (3, BadTxError, "withdraw", bad, ours),
        (4, NotEnoughFundsError, "transfer", payload.transfer(nobody(), mote=10**40), ours),
        (5, BadTxError, "request", asking, ours),
        (6, NotAllowedError, "discard", payload.discard(parcel), theirs),
        (6, NotAllowedError, "vote", payload.vote(1, approve=True), theirs),
        (9, NotThereError, "request", payload.request(strange, 1), theirs),
        (10, NotThereError, "grant", giving, ours),
        (10, NotThereError, "cancel", payload.cancel(parcel), theirs),
        (11, NotThereError, "revoke", payload.revoke(parcel, theirs.address), ours),
        (14, NotThereError, "retract", payload.retract(1), ours),
        (15, NotThereError, "withdraw", payload.withdraw(1), ours),
        (29, NotThereError, "register", payload.register(elsewhere, b""), ours),
        (30, NotThereError, "burn", {"udc": 2**31 - 7, "amount": "1"}, ours),
        (31, NotThereError, "close", payload.close(2**32 - 7), ours),
        (0, RefusedError, "request", asking, theirs),
        (7, AlreadyDoneError, "request", asking, theirs),
        (0, RefusedError, "grant", giving, ours),
        (8, AlreadyDoneError, "grant", giving, ours),
        (8, AlreadyDoneError, "request", asking, theirs),
    ]
    for code, error, kind, asked, sender in cases:
        if code == 0:
            await side.rpc.submit(kind, asked, sender)
            continue
        with pytest.raises(error) as caught:
            await side.rpc.submit(kind, asked, sender)
        assert caught.value.code == code, kind


async def test_sale_from_registration_to_revocation_moves_coins_to_the_mote(each: FarSide) -> None:
    seller, shop, body = each.seller(), each.shop(), a_body()
    parcel = (await seller.register(body, wrap, EXTRA)).parcel_id
    assert await each.balance(each.owner) == each.start() - each.registration_fee
    with pytest.raises(NotThereError):
        await shop.fetch(parcel)
    await shop.request(parcel, 100)
    assert await each.balance(each.buyer) == each.start() - 100
    waiting = PendingRequest(each.buyer.address, each.buyer.public, 100)
    assert await seller.requests(parcel) == [waiting]
    wrapped = b"wrapped for the buyer"
    await seller.grant(parcel, each.buyer.address, wrapped, payment=100, by="owner")
    earned = each.start() - each.registration_fee + 100 - each.hosting_fee
    assert await each.balance(each.owner) == earned
    assert await seller.requests(parcel) == []
    try:
        assert await shop.fetch(parcel) == (body, b"wrapped for the buyer")
    except RefusedError as error:  # it asks the chain in words that a chain of today refuses
        if not each.may_be_released or error.code != 403:
            raise
    usage = await each.rpc.usage(each.buyer.address, parcel)
    assert usage is not None
    assert bytes.fromhex(str(usage["custody"])) == b"wrapped for the buyer"
    await seller.revoke(parcel, each.buyer.address)
    with pytest.raises(NotThereError):
        await shop.fetch(parcel)
    with pytest.raises(RefusedError):
        await each.storage.download(parcel, each.buyer)
    assert await each.balance(each.owner) == earned
    assert await each.balance(each.buyer) == each.start() - 100


async def test_parcel_stands_on_the_chain_as_it_was_registered(side: FarSide) -> None:
    parcel = await registered(side)
    standing = await side.rpc.parcel(parcel.lower())
    assert standing is not None
    assert standing["owner"] == side.owner.address
    assert standing["custody"] == wrap(parcel).hex().upper()
    assert standing["extra"] == {"register": EXTRA}
    assert standing["on_sale"] is True
    await side.seller().discard(parcel)
    gone = await side.rpc.parcel(parcel)
    assert gone is not None
    assert gone["on_sale"] is False


async def test_registering_the_same_body_again_costs_no_second_fee(side: FarSide) -> None:
    body = a_body()
    first = await side.seller().register(body, wrap, EXTRA)
    again = await side.seller().register(body, wrap, EXTRA)
    assert again.parcel_id == first.parcel_id
    assert await side.balance(side.owner) == side.start() - side.registration_fee


async def test_cancelled_request_gives_every_mote_back(side: FarSide) -> None:
    parcel = await registered(side)
    await side.shop().request(parcel, 77)
    standing = await side.rpc.request(side.buyer.address, parcel)
    assert standing is not None
    assert standing["payment"] == "77"
    await side.shop().cancel(parcel)
    assert await side.rpc.request(side.buyer.address, parcel) is None
    assert await side.balance(side.buyer) == side.start()


async def test_parcel_changes_its_owner(side: FarSide) -> None:
    parcel = await registered(side)
    moved = payload.transfer(side.buyer.address, parcel=parcel)
    await side.rpc.submit("transfer", moved, side.owner)
    standing = await side.rpc.parcel(parcel)
    assert standing is not None
    assert standing["owner"] == side.buyer.address
    assert await side.balance(side.buyer) == side.start()


async def test_body_is_stored_described_given_to_its_owner_and_removed(each: FarSide) -> None:
    body, owner = a_body(), each.owner
    parcel = await each.storage.upload(body, owner, {"kind": "test"})
    assert await each.storage.upload(body, owner, {"kind": "test"}) == parcel
    described = await each.storage.inspect(parcel, owner)
    assert described is not None
    assert (described["owner"], described["kind"]) == (owner.address, "test")
    assert await each.storage.download(parcel, owner) == body
    with pytest.raises(RefusedError) as stranger:
        await each.storage.download(parcel, each.buyer)
    assert stranger.value.code == 403
    assert await each.storage.remove(parcel, owner)
    assert not await each.storage.remove(parcel, owner)
    with pytest.raises(RefusedError) as gone:
        await each.storage.stored(parcel, owner)
    assert gone.value.code in GONE


async def test_identity_is_claimed_shown_and_dismissed_where_the_protocol_has_it(
    side: FarSide,
) -> None:
    claim = dids.claim(dids.document_of(side.buyer.public))
    if await side.rpc.protocol() < 6:
        with pytest.raises(UsageError, match="came with protocol 6"):
            await side.rpc.submit("did.claim", claim, side.buyer, fee=1)
        assert await side.balance(side.buyer) == side.start()
        return
    await side.rpc.submit("did.claim", claim, side.buyer)
    entry = await side.rpc.did(dids.did_of(side.buyer.address))
    assert entry == {"document": claim["document"]}
    assert await BuyerKeys(side.rpc, walk_blocks=0).of(side.buyer.address) == side.buyer.public
    gone = dids.dismiss(dids.did_of(side.buyer.address))
    with pytest.raises(NotAllowedError):
        await side.rpc.submit("did.dismiss", gone, side.owner)
    await side.rpc.submit("did.dismiss", gone, side.buyer)
    with pytest.raises(NotThereError):
        await side.rpc.submit("did.dismiss", gone, side.buyer)


async def test_credential_is_issued_and_revoked_where_the_protocol_has_it(side: FarSide) -> None:
    if await side.rpc.protocol() < 6:
        assert await side.rpc.abci_query("/vc", "amo:cred:x") is None
        return
    name = f"amo:cred:{secrets.token_hex(32).upper()}"
    issuer = dids.did_of(address_of(side.owner.public))
    credential = {"id": name, "issuer": issuer, "issued": "2026-01-01T00:00:00Z"}
    await side.rpc.submit("did.issue", dids.issue(credential), side.owner)
    assert await side.rpc.abci_query("/vc", name) == {"credential": credential}
    with pytest.raises(NotAllowedError):
        await side.rpc.submit("did.revoke", dids.revoke(name), side.buyer)
    await side.rpc.submit("did.revoke", dids.revoke(name), side.owner)
    assert await side.rpc.abci_query("/vc", name) is None

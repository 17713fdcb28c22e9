"""Transactions are on disk before anybody sees them, and each is executed once."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.amo import payload
from agent.amo.belief import Belief
from agent.amo.blocksource import BlockSource
from agent.amo.rpc import Receipt, RpcClient
from agent.archive import Archive
from agent.clock import SystemClock
from agent.compose import outgoing
from agent.config import WalletConfig
from agent.errors import DiskFullError, NotEnoughFundsError, RefusedError, RemoteError
from agent.events import FundsShort, TxEnded, TxSigned
from agent.outgoing import Outgoing
from tests import fair as fairs
from tests.fair import COINS, Fair
from tests.opened import opened


@pytest.fixture
async def fair(parts: Archive) -> AsyncIterator[Fair]:
    async with fairs.opened(parts) as made:
        yield made


class CutOffError(Exception):
    """The process is gone at this point."""


class Torn(RpcClient):
    """A real client that is cut off at one point of the way."""

    at = ""
    sent = 0

    async def broadcast_sync(self, raw: bytes) -> str:
        if self.at == "before":
            raise CutOffError
        done = await super().broadcast_sync(raw)
        self.sent += 1
        if self.at == "mempool":
            raise CutOffError
        return done

    async def settle(self, signed: TxSigned) -> Receipt:  # type: ignore[override]
        done = await super().settle(signed)
        if self.at == "block":
            raise CutOffError
        return done


@pytest.fixture
async def torn(fair: Fair) -> AsyncIterator[Torn]:
    async with Torn([fair.net.rpc_url], clock=SystemClock()) as rpc:
        yield rpc


def transfers(parts: Archive) -> tuple[list[TxSigned], list[TxEnded]]:
    events = opened(parts)
    signed = [e for e in events if isinstance(e, TxSigned) and e.tx_kind == "transfer"]
    hashes = {tx.hash for tx in signed}
    return signed, [e for e in events if isinstance(e, TxEnded) and e.hash in hashes]


async def give(out: Outgoing, fair: Fair, mote: int = 7, once: str = "transfer:1") -> int:
    asked = payload.transfer(fair.stranger, mote=mote)
    return (await out.submit("transfer", asked, once=once, cost=mote)).height


async def test_a_transaction_is_on_disk_before_it_is_sent_and_its_end_after_it(
    fair: Fair, torn: Torn
) -> None:
    torn.at = "before"
    with pytest.raises(CutOffError):
        await give(outgoing(fair.parts, torn), fair)
    [signed], ended = transfers(fair.parts)
    assert (signed.once, signed.by, signed.cost_mote, ended) == ("transfer:1", "owner", "7", [])
    assert await fair.rpc.tx(signed.hash) is None


@pytest.mark.parametrize("at", ["before", "mempool", "block"])
async def test_cut_off_anywhere_the_same_bytes_are_executed_once_by_the_next_start(
    fair: Fair, torn: Torn, at: str
) -> None:
    torn.at = at
    with pytest.raises(CutOffError):
        await give(outgoing(fair.parts, torn), fair)
    out = outgoing(fair.parts, fair.rpc)
    assert len(out.pending()) == 1

    await out.resume()
    await out.resume()

    [signed], [ended] = transfers(fair.parts)
    assert (ended.hash, ended.code, ended.height > 0) == (signed.hash, 0, True)
    assert out.pending() == outgoing(fair.parts, fair.rpc).pending() == []
    assert await fair.coins() == (COINS - 7, COINS + 7)


@pytest.mark.parametrize("at", ["before", "mempool", "block"])
async def test_asked_once_more_for_the_same_it_settles_what_is_under_way(
    fair: Fair, torn: Torn, at: str
) -> None:
    torn.at = at
    with pytest.raises(CutOffError):
        await give(outgoing(fair.parts, torn), fair)
    assert await give(outgoing(fair.parts, fair.rpc), fair, mote=500) > 0
    assert len(transfers(fair.parts)[0]) == 1
    assert await fair.coins() == (COINS - 7, COINS + 7)


async def test_what_no_block_can_take_any_more_ends_and_is_signed_anew(
    fair: Fair, torn: Torn, monkeypatch: pytest.MonkeyPatch
) -> None:
    torn.at = "before"
    with pytest.raises(CutOffError):
        await give(outgoing(fair.parts, torn), fair)

    async def short() -> int:
        return 0

    monkeypatch.setattr(fair.rpc, "binding_window", short)
    for number in range(4):  # blocks go by
        await fair.rpc.submit("transfer", {"to": fair.owner, "amount": "1"}, fair.buyer_key, number)
    out = outgoing(fair.parts, fair.rpc)
    assert await out.resume() == []
    _, [ended] = transfers(fair.parts)
    assert (ended.height, ended.code, out.pending()) == (0, 2, [])


async def test_what_fails_in_its_block_ends_with_its_code_and_its_fee_is_lost(
    fair: Fair, torn: Torn
) -> None:
    torn.at = "before"
    out = outgoing(fair.parts, torn, WalletConfig(fee_mote=1))
    with pytest.raises(CutOffError):
        await give(out, fair, mote=COINS - 1)
    await fair.rpc.submit("transfer", {"to": fair.stranger, "amount": "9"}, fair.parts.keys.account)
    torn.at = ""
    assert await out.resume() == []
    _, [ended] = transfers(fair.parts)
    assert (ended.code, ended.height > 0) == (4, True)
    assert await fair.coins() == (COINS - 9 - 1, COINS + 9)


async def test_what_the_node_does_not_take_ends_and_is_not_sent_again(fair: Fair) -> None:
    out = outgoing(fair.parts, fair.rpc)
    before = await fair.coins()
    with pytest.raises(RefusedError) as caught:
        await out.submit("grant", {"target": "00000001AB", "recipient": "AB"}, once="grant:A:B")
    assert caught.value.code == 1
    assert (out.pending(), await out.resume()) == ([], [])
    assert await fair.coins() == before


async def test_without_coins_nothing_is_signed_and_it_is_told_once(fair: Fair) -> None:
    out = outgoing(fair.parts, fair.rpc, WalletConfig(fee_mote=1))
    for _ in range(2):
        with pytest.raises(NotEnoughFundsError, match=f"{COINS} mote, {COINS + 1} are due"):
            await give(out, fair, mote=COINS)
    assert transfers(fair.parts) == ([], [])
    assert len([e for e in opened(fair.parts) if isinstance(e, FundsShort)]) == 1


async def test_a_node_that_is_away_keeps_what_was_signed_for_its_return(
    fair: Fair, torn: Torn, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_raw: bytes) -> str:
        raise RemoteError("away")

    monkeypatch.setattr(torn, "broadcast_sync", away)
    out = outgoing(fair.parts, torn)
    with pytest.raises(RemoteError, match="away"):
        await give(out, fair)
    assert len(out.pending()) == 1
    monkeypatch.undo()
    [sent] = await out.resume()
    assert sent.hash == transfers(fair.parts)[0][0].hash
    assert await fair.coins() == (COINS - 7, COINS + 7)


async def test_what_the_log_did_not_take_is_not_sent(
    fair: Fair, torn: Torn, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = outgoing(fair.parts, torn)
    monkeypatch.setattr(fair.parts.journal, "write", lambda _event: None)  # a full queue
    with pytest.raises(DiskFullError, match="nothing was sent"):
        await give(out, fair)
    assert (torn.sent, out.pending()) == (0, [])


async def test_many_at_once_go_one_after_the_other_each_in_a_block(fair: Fair) -> None:
    out = outgoing(fair.parts, fair.rpc)
    await asyncio.gather(*(give(out, fair, 1, f"transfer:{n}") for n in range(5)))
    signed, ended = transfers(fair.parts)
    assert [tx.hash for tx in signed] == [end.hash for end in ended]
    assert await fair.coins() == (COINS - 5, COINS + 5)


async def test_who_proves_a_transaction_has_the_last_word_on_it(fair: Fair) -> None:
    async def liar(_hash: str) -> tuple[int, int, str]:
        raise RemoteError("no proof")

    out = outgoing(fair.parts, fair.rpc, outcome=liar)
    with pytest.raises(RemoteError, match="no proof"):
        await give(out, fair)
    assert len(out.pending()) == 1

    async with BlockSource(fair.net.rpc_url) as source:
        believed = Belief([source], None).outcome
        [sent] = await outgoing(fair.parts, fair.rpc, outcome=believed).resume()
    assert sent.proof == "stated by one endpoint"
    assert await fair.coins() == (COINS - 7, COINS + 7)


async def test_a_failure_that_is_proven_is_one_whatever_the_node_says(fair: Fair) -> None:
    async def failed(_hash: str) -> tuple[int, int, str]:
        return 5, 4, "proven"

    with pytest.raises(RefusedError, match="failed in block 5") as caught:
        await give(outgoing(fair.parts, fair.rpc, outcome=failed), fair)
    assert caught.value.code == 4
    assert transfers(fair.parts)[1][0].proof == "proven"

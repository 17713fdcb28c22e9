"""The owner's desk: nobody reads without a grant, and every step is in the log."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from agent.amo.belief import Belief
from agent.amo.blocksource import BlockSource
from agent.amo.p256 import Account
from agent.amo.transaction import build
from agent.archive import Archive
from agent.compose import desk
from agent.config import WalletConfig
from agent.desk import Balance
from agent.errors import (
    AlreadyDoneError,
    ConfigError,
    NotEnoughFundsError,
    RefusedError,
    RemoteError,
    UsageError,
)
from agent.events import (
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    FundsShort,
    TxEnded,
    TxRepeated,
    TxSigned,
)
from agent.parcel.chunk import open_parcel
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.custody import unwrap
from agent.wallet.envelope import decrypt
from tests import fair as fairs
from tests.fair import COINS, PRICE, Fair
from tests.opened import opened

POLICY = """version = 1
[[rule]]
name = "cheap talk"
verdict = "grant"
levels = [3]
"""
NEVER = POLICY.replace("cheap talk", "nobody").replace("grant", "refuse")
ONE_A_DAY = POLICY + "per_day = 1\n"


@pytest.fixture
async def fair(parts: Archive) -> AsyncIterator[Fair]:
    async with fairs.opened(parts) as made:
        yield made


def told(parts: Archive) -> list[str]:
    consents = (ConsentRequested, ConsentGranted, ConsentRefused, ConsentRevoked)
    return [event.kind for event in opened(parts) if isinstance(event, consents)]


async def test_a_buyer_opens_what_was_granted(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)

    body, custody = await fair.buyer.fetch(fair.parcel.parcel_id)

    key = unwrap(custody, fair.buyer_key, parcel_id=fair.parcel.parcel_id, level=Level.LV3)
    metrics = [chunk.header.metric for chunk in open_parcel(decrypt(body, key)).chunks]
    assert metrics == ["agent-started/1", "dtc-set/1"]


async def test_a_buyer_without_a_grant_gets_nothing(fair: Fair) -> None:
    await fair.ask()
    with pytest.raises(RefusedError):
        await fair.buyer.fetch(fair.parcel.parcel_id)


async def test_what_was_revoked_is_refused_afterwards(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)
    await fair.desk.revoke(fair.parcel.parcel_id, fair.stranger)

    with pytest.raises(RefusedError):
        await fair.buyer.fetch(fair.parcel.parcel_id)
    assert told(fair.parts)[1:] == ["consent-granted/1", "consent-revoked/1"]


async def test_coins_move_from_the_buyer_to_the_owner(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)
    assert await fair.coins() == (COINS + PRICE, COINS - PRICE)
    assert (await fair.desk.balance()).mote == str(COINS + PRICE)


async def test_a_request_is_shown_with_what_it_would_give_away_and_recorded_once(
    fair: Fair,
) -> None:
    await fair.ask()
    [asking] = await fair.desk.requests()
    _, later = fair.anew()
    assert await later.requests() == [asking]

    assert (asking.parcel_id, asking.buyer) == (fair.parcel.parcel_id, fair.stranger)
    assert (asking.level, asking.payment_mote, asking.verdict) == (3, str(PRICE), "ask")
    assert asking.kinds == ["agent-started/1", "dtc-set/1"]
    assert asking.since_ns is not None
    assert asking.until_ns is not None
    assert 0 < asking.since_ns <= asking.until_ns
    assert told(fair.parts) == ["consent-requested/1"]


async def test_a_refusal_is_recorded_and_sends_nothing_and_holds_after_a_start(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.requests()
    await fair.desk.refuse(fair.parcel.parcel_id, fair.stranger)
    _, later = fair.anew(POLICY)
    await later.once()

    [asking] = await later.requests()
    assert (asking.verdict, asking.by) == ("refused", "owner")
    assert told(fair.parts) == ["consent-requested/1", "consent-refused/1"]
    assert await fair.rpc.usage(fair.stranger, fair.parcel.parcel_id) is None


async def test_what_is_granted_already_is_not_granted_again(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)
    with pytest.raises(AlreadyDoneError):
        await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)
    assert told(fair.parts).count("consent-granted/1") == 1


async def test_what_nobody_asked_for_and_what_is_not_ours_is_not_granted(fair: Fair) -> None:
    with pytest.raises(UsageError, match="asks for nothing"):
        await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)
    with pytest.raises(UsageError, match="none of ours"):
        await fair.desk.grant("00000001AB", fair.stranger)
    assert fair.out.pending() == []


async def test_the_owners_own_keys_are_no_buyer(fair: Fair) -> None:
    own = fair.parts.keys.device.public
    with pytest.raises(UsageError):
        await fair.desk.grant(fair.parcel.parcel_id, address(own))


async def test_a_rule_grants_by_itself_and_the_log_says_which(fair: Fair) -> None:
    await fair.ask()
    _, desk = fair.anew(POLICY)
    await desk.once()
    await desk.once()
    [granted] = [e for e in opened(fair.parts) if isinstance(e, ConsentGranted)]
    assert granted.by == "cheap talk"
    assert await fair.coins() == (COINS + PRICE, COINS - PRICE)


async def test_a_rule_grants_no_more_than_it_may_however_many_ask_at_once(fair: Fair) -> None:
    others = [Account.from_seed(f"buyer {number}") for number in range(3)]
    for other in others:
        asked = {"target": fair.parcel.parcel_id, "payment": "0"}
        await fair.rpc.submit("request", asked, other)
    _, desk = fair.anew(ONE_A_DAY)
    await desk.once()
    await desk.once()
    assert told(fair.parts).count("consent-granted/1") == 1


async def test_the_owner_and_a_rule_at_once_grant_once_and_pay_one_fee(fair: Fair) -> None:
    await fair.ask()
    _, desk = fair.anew(POLICY, WalletConfig(fee_mote=5))
    parcel = fair.parcel.parcel_id
    done = await asyncio.gather(
        desk.grant(parcel, fair.stranger),
        desk.once(),
        desk.grant(parcel.lower(), fair.stranger.lower()),
        return_exceptions=True,
    )
    assert sum(isinstance(one, AlreadyDoneError) for one in done) >= 1
    assert told(fair.parts).count("consent-granted/1") == 1
    assert (await fair.coins())[0] == COINS + PRICE - 5


async def test_a_rule_refuses_by_itself_and_says_so_once(fair: Fair) -> None:
    await fair.ask()
    _, desk = fair.anew(NEVER)
    await desk.once()
    await desk.once()
    assert told(fair.parts) == ["consent-requested/1", "consent-refused/1"]


async def test_no_rule_grants_lv1_and_the_owner_does(parts: Archive) -> None:
    async with fairs.opened(parts, [Level.LV1]) as fair:
        await fair.ask()
        with pytest.raises(ConfigError, match="Lv1"):
            fair.anew(POLICY.replace("[3]", "[1, 3]"))
        _, desk = fair.anew(POLICY)
        await desk.once()
        assert "consent-granted/1" not in told(parts)
        await desk.grant(fair.parcel.parcel_id, fair.stranger)
    assert told(parts)[-1] == "consent-granted/1"


async def test_the_last_policy_holds_after_a_start_and_a_bad_one_changes_nothing(
    fair: Fair,
) -> None:
    fair.desk.set_policy(NEVER)
    fair.desk.set_policy(POLICY)
    with pytest.raises(ConfigError):
        fair.desk.set_policy("version = 1\nrule = 5")
    _, later = fair.anew()
    assert later.policy() == POLICY


async def test_a_transfer_moves_coins_to_the_mote_and_is_in_the_history(fair: Fair) -> None:
    sent = await fair.desk.transfer(fair.stranger, 7)
    assert await fair.coins() == (COINS - 7, COINS + 7)
    [line] = [line for line in fair.desk.history() if line.what == "transfer done"]
    assert (line.buyer, line.mote, line.tx_hash, line.by) == (
        fair.stranger,
        "7",
        sent.hash,
        "owner",
    )


async def test_a_grant_without_coins_for_it_waits_until_there_are_some(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.transfer(fair.stranger, COINS)
    _, desk = fair.anew(wallet=WalletConfig(fee_mote=5))
    with pytest.raises(NotEnoughFundsError, match="0 mote, 5 are due"):
        await desk.grant(fair.parcel.parcel_id, fair.stranger)
    _, desk = fair.anew(wallet=WalletConfig(fee_mote=5))
    await desk.once()
    assert "consent-granted/1" not in told(fair.parts)

    await fair.rpc.submit("transfer", {"to": fair.owner, "amount": "9"}, fair.buyer_key)
    await desk.once()

    [short] = [e for e in opened(fair.parts) if isinstance(e, FundsShort)]
    assert (short.needed_mote, short.balance_mote) == ("5", "0")
    assert told(fair.parts).count("consent-granted/1") == 1
    assert (await fair.coins())[0] == 9 - 5 + PRICE


async def test_a_grant_that_waits_for_coins_is_forgotten_when_it_is_refused(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.transfer(fair.stranger, COINS)
    _, desk = fair.anew(wallet=WalletConfig(fee_mote=5))
    with pytest.raises(NotEnoughFundsError):
        await desk.grant(fair.parcel.parcel_id, fair.stranger)
    await desk.refuse(fair.parcel.parcel_id, fair.stranger)
    await fair.rpc.submit("transfer", {"to": fair.owner, "amount": "9"}, fair.buyer_key)
    await desk.once()
    assert told(fair.parts) == ["consent-requested/1", "consent-refused/1"]


async def test_what_was_decided_on_one_offer_is_not_done_for_a_lower_one(fair: Fair) -> None:
    await fair.ask()
    await fair.desk.requests()
    await fair.buyer.cancel(fair.parcel.parcel_id)
    await fair.ask(PRICE - 99)
    with pytest.raises(UsageError, match="offers 1 mote now, not 100"):
        await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)
    await fair.desk.grant(fair.parcel.parcel_id, fair.stranger)
    assert told(fair.parts) == ["consent-requested/1"] * 2 + ["consent-granted/1"]


async def test_a_balance_below_the_alarm_is_told_once_until_it_rises_again(fair: Fair) -> None:
    _, desk = fair.anew(wallet=WalletConfig(alarm_mote=COINS + 1))
    await desk.once()
    await desk.once()
    [short] = [e for e in opened(fair.parts) if isinstance(e, FundsShort)]
    assert (short.once, short.balance_mote) == ("balance", str(COINS))


async def test_the_daily_limit_holds_back_rules_and_not_the_owner(fair: Fair) -> None:
    await fair.ask()
    _, desk = fair.anew(POLICY, wallet=WalletConfig(fee_mote=5, daily_limit_mote=4))
    await desk.once()
    assert told(fair.parts) == ["consent-requested/1"]
    await desk.grant(fair.parcel.parcel_id, fair.stranger)
    assert told(fair.parts)[-1] == "consent-granted/1"


async def test_a_copy_of_a_transfer_in_other_bytes_is_noticed_and_told_once(fair: Fair) -> None:
    sent = await fair.desk.transfer(fair.stranger, 7)
    executed = await fair.rpc.tx(sent.hash)
    assert executed is not None
    copy = await fair.rpc.broadcast_commit(executed.raw + b"\n")

    await fair.desk.once()
    _, later = fair.anew()
    await later.once()

    assert (await fair.coins())[0] == COINS - 2 * 7  # this is what has to be told
    [told_] = [e for e in opened(fair.parts) if isinstance(e, TxRepeated)]
    assert told_ == TxRepeated(copy.hash, sent.hash, copy.height)


async def test_what_was_given_up_and_is_executed_after_all_is_told_as_it_ended(fair: Fair) -> None:
    latest = (await fair.rpc.status()).latest_height
    payload = {"to": fair.stranger, "amount": "3"}
    made = build("transfer", payload, signer=fair.parts.keys.account, fee=0, last_height=latest)
    signed = TxSigned(made.hash, "transfer", made.raw, latest, "transfer:1")
    fair.parts.journal.write(signed)
    fair.parts.journal.write(TxEnded(made.hash, 0, 2, "stated by one endpoint"))
    await fair.desk.once()
    placed = await fair.rpc.settle(made)  # by somebody who had kept it
    await fair.desk.once()
    await fair.desk.once()
    ends = [e for e in opened(fair.parts) if isinstance(e, TxEnded) and e.hash == made.hash]
    assert [(end.height, end.code) for end in ends] == [(0, 2), (placed.height, 0)]


async def test_what_somebody_else_signed_with_our_key_is_told_too(fair: Fair) -> None:
    await fair.desk.once()
    latest = (await fair.rpc.status()).latest_height
    payload = {"to": fair.stranger, "amount": "3"}
    key = fair.parts.keys.account
    signed = build("transfer", payload, signer=key, fee=0, last_height=latest)
    placed = await fair.rpc.settle(signed)
    await fair.desk.once()
    [told_] = [e for e in opened(fair.parts) if isinstance(e, TxRepeated)]
    assert told_ == TxRepeated(signed.hash, "", placed.height)


async def test_what_is_shown_of_the_keys_is_public(fair: Fair) -> None:
    shown = fair.desk.show()
    assert (shown.address, shown.protected) == (fair.owner, False)
    assert shown.public == fair.parts.keys.account.public.hex().upper()
    assert shown.keys == {"account": "file", "device": "file"}


async def test_a_balance_is_believed_by_how_many_endpoints_state_it(fair: Fair) -> None:
    async with BlockSource(fair.net.rpc_url) as one, BlockSource(fair.net.rpc_url) as two:
        belief = Belief([one, two], None)
        made = desk(fair.parts, fair.rpc, fair.seller, fair.out, belief=belief)
        assert await made.balance() == Balance(str(COINS), "stated by 2 of 2 endpoints")
    made = desk(fair.parts, fair.rpc, fair.seller, fair.out, belief=Belief([], None))
    with pytest.raises(RemoteError):
        await made.balance()

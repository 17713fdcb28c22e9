"""Random transactions of every type: what we sign verifies, and no byte of it can be changed.

AMO_EXAMPLES=10000 gives the long form.
"""

import json
import os
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.amo import dids
from agent.amo.devnode.ledger import KINDS
from agent.amo.devnode.payload import Payload
from agent.amo.kinds import expect_known, expect_sender
from agent.amo.p256 import ORDER, Account, verify
from agent.amo.transaction import build, parse, tx_hash
from agent.errors import MalformedInputError, UsageError
from tests.amo.asked import ACCOUNTS, MAX_MOTE, Made, good, tried, wild
from tests.amo.test_devnode_rules import ledger, run, signed

EXAMPLES = int(os.environ.get("AMO_EXAMPLES", "400"))
MANY = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NOT_OURS = {"issue", "lock", "burn", "propose", "claim", "dismiss"}
"""Coins of others' making, drafts, and two types that let anybody take away anybody's identity."""
GOOD = {account.address: good(account) for account in ACCOUNTS}
WILD = wild()


def test_every_type_but_those_named_is_tried_here() -> None:
    assert set(WILD) == set(GOOD[ACCOUNTS[0].address]) == set(KINDS) - NOT_OURS


def checked_by_the_chain(kind: str, asked: dict[str, Any], sender: Account) -> None:
    """The chain's own check before its state is looked at. Raises TxFailedError."""
    raw = json.dumps(asked, ensure_ascii=False, separators=(",", ":")).encode()
    KINDS[kind].check(bytes.fromhex(sender.address), Payload(raw, KINDS[kind].parameters))


def changed(data: st.DataObject, raw: bytes) -> bytes:
    at = data.draw(st.integers(0, len(raw) - 1))
    return raw[:at] + bytes([raw[at] ^ data.draw(st.integers(1, 255))]) + raw[at + 1 :]


def expect_broken(raw: bytes, whole: bytes) -> None:
    """Unreadable, not signed, or another spelling of the very same (hex and names in any case)."""
    assert tx_hash(raw) != tx_hash(whole)
    try:
        tx = parse(raw)
    except MalformedInputError:
        return
    assert tx == parse(whole) or not tx.is_signed_by_sender()


@MANY
@given(st.data())
def test_random_transaction_signs_and_verifies_and_one_changed_byte_fails(
    data: st.DataObject,
) -> None:
    sender = data.draw(st.sampled_from(ACCOUNTS))
    kind = data.draw(st.sampled_from(sorted(WILD)))
    asked = data.draw(GOOD[sender.address][kind])
    fee, height = data.draw(st.integers(0, MAX_MOTE)), data.draw(st.integers(0, 2**63 - 1))
    expect_known(kind, asked, 6)
    expect_sender(kind, asked, sender.address)
    checked_by_the_chain(kind, asked, sender)
    signed = build(kind, asked, signer=sender, fee=fee, last_height=height)
    tx = parse(signed.raw)
    assert (tx.type, tx.sender, tx.fee, tx.bound_height) == (kind, sender.address, fee, height)
    assert json.loads(tx.payload) == asked
    assert tx.is_signed_by_sender()
    assert int.from_bytes(tx.signature[32:]) <= ORDER // 2
    message = tx.signing_bytes()
    assert not verify(sender.public, changed(data, message), tx.signature)
    assert not verify(sender.public, message, changed(data, tx.signature))
    assert not verify(changed(data, sender.public), message, tx.signature)
    expect_broken(changed(data, signed.raw), signed.raw)


@MANY
@given(st.data())
def test_what_we_do_not_refuse_the_chain_takes_into_its_mempool(data: st.DataObject) -> None:
    sender = data.draw(st.sampled_from(ACCOUNTS))
    kind = data.draw(st.sampled_from(sorted(WILD)))
    asked = tried(data.draw(WILD[kind]))
    if asked is None:
        return
    try:
        expect_sender(kind, asked, sender.address)
    except UsageError:
        return
    checked_by_the_chain(kind, asked, sender)


@settings(max_examples=max(40, EXAMPLES // 10), deadline=None)
@given(WILD["did.claim"])
def test_document_we_do_not_refuse_can_always_be_taken_away_again(make: Made) -> None:
    asked = tried(make)
    if asked is None:
        return
    [owner] = [each for each in ACCOUNTS if dids.did_of(each.address) == asked["target"]]
    chain = ledger()
    assert run(chain, signed("did.claim", asked, sender=owner)).code == 0
    gone = dids.dismiss(asked["target"])
    assert run(chain, signed("did.dismiss", gone, sender=owner)).code == 0

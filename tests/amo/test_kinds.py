"""What a chain of this protocol, or this sender, cannot have is refused before it is signed."""

from typing import Any

import pytest

from agent.amo import dids, payload
from agent.amo.devnode.ledger import KINDS
from agent.amo.kinds import OLDEST, expect_known, expect_sender, since
from agent.amo.p256 import Account
from agent.errors import UsageError
from tests.amo.recorded import recorded

ALICE, BOB = Account.from_seed("alice"), Account.from_seed("bob")
PARCEL = "00000001" + "AB" * 32
DIDS = ("did.claim", "did.dismiss", "did.issue", "did.revoke")


def test_types_are_those_the_dev_node_executes_since_the_same_protocol() -> None:
    assert {kind: since(kind, {}) for kind in KINDS} == {k: v.since for k, v in KINDS.items()}


def test_every_type_of_a_recorded_run_is_known_to_its_protocol() -> None:
    for step in recorded()["conformance_v6"]["steps"]:
        if step["type"] in KINDS:
            expect_known(step["type"], step["payload"], 6)


@pytest.mark.parametrize("kind", DIDS)
def test_type_of_protocol_6_is_refused_on_older_chains(kind: str) -> None:
    expect_known(kind, {}, 6)
    for protocol in (OLDEST, 5):
        with pytest.raises(UsageError, match=f"came with protocol 6; this chain is at {protocol}"):
            expect_known(kind, {}, protocol)


def test_parcel_is_transferred_since_protocol_5_and_coins_always() -> None:
    parcel = payload.transfer(BOB.address, parcel=PARCEL)
    expect_known("transfer", payload.transfer(BOB.address, mote=1), 4)
    expect_known("transfer", parcel, 5)
    with pytest.raises(UsageError, match="transfer of a parcel came with protocol 5"):
        expect_known("transfer", parcel, 4)


def test_later_protocol_is_taken_to_know_what_this_one_knows() -> None:
    expect_known("did.claim", {}, 7)


@pytest.mark.parametrize("kind", ["", "Transfer", "did.update", "x" * 10_000])
def test_type_that_no_protocol_knows_is_refused_in_one_short_line(kind: str) -> None:
    with pytest.raises(UsageError, match="transaction type") as caught:
        since(kind, {})
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("kind", "asked"),
    [
        ("transfer", payload.transfer(ALICE.address.lower(), mote=1)),
        ("transfer", payload.transfer(ALICE.address, parcel=PARCEL)),
        ("delegate", payload.delegate(ALICE.address, 1)),
        ("did.issue", {}),
        ("did.issue", {"credential": {"issuer": "did:amo:" + BOB.address}}),
        ("did.issue", {"credential": {"issuer": {"id": "did:amo:" + ALICE.address}}}),
        ("did.issue", {"credential": {"issuer": "did:amo:" + ALICE.address.lower()}}),
    ],
)
def test_account_that_cannot_send_this_is_told_so(kind: str, asked: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        expect_sender(kind, asked, ALICE.address)


def test_account_that_can_send_this_may() -> None:
    expect_sender("transfer", payload.transfer(BOB.address, mote=1), ALICE.address)
    expect_sender("delegate", payload.delegate(BOB.address, 1), ALICE.address)
    credential = {"issuer": dids.did_of(ALICE.address)}
    expect_sender("did.issue", {"credential": credential}, ALICE.address)

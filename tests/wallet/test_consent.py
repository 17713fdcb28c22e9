"""Rules decide what the owner let them; Lv1 is the owner's alone."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError, SealError
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.consent import Decision, Policy, Request, Rule, Verdict, check_buyer, decide
from agent.wallet.keys import FileKey

BUYER = FileKey(b"\x31" * 32, protected=False)
ABOVE_LV1 = frozenset({Level.LV2, Level.LV3, Level.LV4})


def asked(level: Level = Level.LV3, mote: int = 100, buyer: FileKey = BUYER) -> Request:
    return Request(
        parcel_id="00000001" + "AB" * 32,
        buyer_address=address(buyer.public),
        buyer_public=buyer.public,
        payment_mote=mote,
        level=level,
    )


def rule(verdict: Verdict = Verdict.GRANTED, **limits: object) -> Rule:
    return msgspec.convert(
        {"name": "fair price", "verdict": verdict, "levels": ABOVE_LV1, **limits}, Rule
    )


def test_without_rules_the_owner_is_asked() -> None:
    assert decide(asked(), Policy()) == Decision(Verdict.ASK, "")


def test_a_rule_that_applies_grants_in_its_name() -> None:
    assert decide(asked(), Policy((rule(),))) == Decision(Verdict.GRANTED, "fair price")


def test_no_rule_can_grant_lv1() -> None:
    with pytest.raises(ConfigError, match="Lv1"):
        Rule(name="all", verdict=Verdict.GRANTED, levels=frozenset(Level))
    with pytest.raises(ConfigError, match="Lv1"):
        msgspec.structs.replace(rule(), levels=frozenset(Level))


def test_a_rule_may_refuse_lv1() -> None:
    never = Rule(name="never", verdict=Verdict.REFUSED, levels=frozenset({Level.LV1}))
    assert decide(asked(Level.LV1), Policy((never,))) == Decision(Verdict.REFUSED, "never")


@given(
    st.lists(
        st.builds(
            Rule,
            name=st.just("r"),
            verdict=st.sampled_from(Verdict),
            levels=st.frozensets(st.sampled_from(sorted(ABOVE_LV1))),
            min_payment_mote=st.none() | st.integers(0, 200),
        ),
        max_size=4,
    ),
    st.integers(0, 300),
)
def test_whatever_the_rules_are_lv1_is_asked_of_the_owner(rules: list[Rule], mote: int) -> None:
    assert decide(asked(Level.LV1, mote), Policy(tuple(rules))).verdict is Verdict.ASK


@pytest.mark.parametrize(
    ("mote", "verdict"),
    [(49, Verdict.ASK), (50, Verdict.GRANTED), (200, Verdict.GRANTED), (201, Verdict.ASK)],
)
def test_limits_of_payment_are_inclusive(mote: int, verdict: Verdict) -> None:
    policy = Policy((rule(min_payment_mote=50, max_payment_mote=200),))
    assert decide(asked(mote=mote), policy).verdict is verdict


def test_a_rule_for_named_buyers_applies_to_them_only() -> None:
    stranger = FileKey(b"\x32" * 32, protected=False)
    policy = Policy((rule(buyers=frozenset({address(BUYER.public)})),))
    assert decide(asked(), policy).verdict is Verdict.GRANTED
    assert decide(asked(buyer=stranger), policy).verdict is Verdict.ASK


def test_the_first_rule_that_applies_decides() -> None:
    policy = Policy((rule(Verdict.REFUSED, min_payment_mote=500), rule(), rule(Verdict.REFUSED)))
    assert decide(asked(mote=499), policy).verdict is Verdict.GRANTED
    assert decide(asked(mote=500), policy).verdict is Verdict.REFUSED


@pytest.mark.parametrize(
    "change",
    [
        {"buyer_public": b"\x04" + bytes(64)},
        {"buyer_public": b""},
        {"buyer_address": "0" * 40},
        {"payment_mote": -1},
    ],
)
def test_a_request_that_cannot_be_granted_is_refused_by_the_wallet(
    change: dict[str, object],
) -> None:
    request = msgspec.structs.replace(asked(), **change)
    assert decide(request, Policy((rule(),))) == Decision(Verdict.REFUSED, "wallet")


def test_the_address_is_compared_in_its_one_spelling() -> None:
    with pytest.raises(SealError):
        check_buyer(msgspec.structs.replace(asked(), buyer_address=asked().buyer_address.lower()))

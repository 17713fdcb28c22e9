"""Rules decide what the owner let them; Lv1 is the owner's alone."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError, SealError
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.areas import Area, Fit
from agent.wallet.consent import (
    Decision,
    History,
    Policy,
    Request,
    Rule,
    Used,
    Verdict,
    check_buyer,
    decide,
    unknown_places,
)
from agent.wallet.keys import FileKey

BUYER = FileKey(b"\x31" * 32, protected=False)
NOW = History(now_ns=1_000)
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
    assert decide(asked(), Policy(), NOW) == Decision(Verdict.ASK, "")


def test_a_rule_that_applies_grants_in_its_name() -> None:
    assert decide(asked(), Policy((rule(),)), NOW) == Decision(Verdict.GRANTED, "fair price")


def test_no_rule_can_grant_lv1() -> None:
    with pytest.raises(ConfigError, match="Lv1"):
        Rule(name="all", verdict=Verdict.GRANTED, levels=frozenset(Level))
    with pytest.raises(ConfigError, match="Lv1"):
        msgspec.structs.replace(rule(), levels=frozenset(Level))


def test_a_rule_may_refuse_lv1() -> None:
    never = Rule(name="never", verdict=Verdict.REFUSED, levels=frozenset({Level.LV1}))
    assert decide(asked(Level.LV1), Policy((never,)), NOW) == Decision(Verdict.REFUSED, "never")


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
    assert decide(asked(Level.LV1, mote), Policy(tuple(rules)), NOW).verdict is Verdict.ASK


@pytest.mark.parametrize(
    ("mote", "verdict"),
    [(49, Verdict.ASK), (50, Verdict.GRANTED), (200, Verdict.GRANTED), (201, Verdict.ASK)],
)
def test_limits_of_payment_are_inclusive(mote: int, verdict: Verdict) -> None:
    policy = Policy((rule(min_payment_mote=50, max_payment_mote=200),))
    assert decide(asked(mote=mote), policy, NOW).verdict is verdict


def test_a_rule_for_named_buyers_applies_to_them_only() -> None:
    stranger = FileKey(b"\x32" * 32, protected=False)
    policy = Policy((rule(buyers=frozenset({address(BUYER.public)})),))
    assert decide(asked(), policy, NOW).verdict is Verdict.GRANTED
    assert decide(asked(buyer=stranger), policy, NOW).verdict is Verdict.ASK


def test_the_first_rule_that_applies_decides() -> None:
    policy = Policy((rule(Verdict.REFUSED, min_payment_mote=500), rule(), rule(Verdict.REFUSED)))
    assert decide(asked(mote=499), policy, NOW).verdict is Verdict.GRANTED
    assert decide(asked(mote=500), policy, NOW).verdict is Verdict.REFUSED


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
    assert decide(request, Policy((rule(),)), NOW) == Decision(Verdict.REFUSED, "wallet")


def test_the_address_is_compared_in_its_one_spelling() -> None:
    with pytest.raises(SealError):
        check_buyer(msgspec.structs.replace(asked(), buyer_address=asked().buyer_address.lower()))


HOME = Area(lat=37.5, lon=127.0, radius_m=500, inside=True)
PRESENT: dict[str, object] = {
    "kinds": frozenset({"speed.vehicle"}),
    "since_ns": 100,
    "until_ns": 200,
    "places": lambda _area: Fit.ALL,
}


def present(**change: object) -> Request:
    """A request of which everything is known."""
    return msgspec.structs.replace(asked(), **(PRESENT | change))


def granted(request: Request, rules: Rule, history: History = NOW) -> bool:
    return decide(request, Policy((rules,)), history).verdict is Verdict.GRANTED


@pytest.mark.parametrize(
    ("carried", "grants", "refuses"),
    [
        ({"speed.vehicle"}, True, Verdict.REFUSED),
        ({"speed.vehicle", "gear"}, False, Verdict.REFUSED),
        ({"gear"}, False, Verdict.ASK),
        (set(), False, Verdict.ASK),
    ],
)
def test_a_grant_takes_all_kinds_of_a_parcel_and_a_refusal_one(
    carried: set[str], grants: bool, refuses: Verdict
) -> None:
    limit: dict[str, object] = {"kinds": frozenset({"speed.vehicle", "brake.pedal"})}
    request = present(kinds=frozenset(carried))
    assert granted(request, rule(Verdict.GRANTED, **limit)) is grants
    assert decide(request, Policy((rule(Verdict.REFUSED, **limit),)), NOW).verdict is refuses


@pytest.mark.parametrize(
    ("limits", "grants", "refuses"),
    [
        ({"since_ns": 100, "until_ns": 200}, True, Verdict.REFUSED),
        ({"since_ns": 101}, False, Verdict.REFUSED),
        ({"until_ns": 199}, False, Verdict.REFUSED),
        ({"since_ns": 200}, False, Verdict.REFUSED),
        ({"since_ns": 201}, False, Verdict.ASK),
        ({"until_ns": 99}, False, Verdict.ASK),
    ],
)
def test_a_grant_takes_all_of_the_time_and_a_refusal_a_part(
    limits: dict[str, object], grants: bool, refuses: Verdict
) -> None:
    assert granted(present(), rule(Verdict.GRANTED, **limits)) is grants
    assert decide(present(), Policy((rule(Verdict.REFUSED, **limits),)), NOW).verdict is refuses


@pytest.mark.parametrize("fit", Fit)
def test_a_grant_takes_every_place_and_a_refusal_one(fit: Fit) -> None:
    request = present(places=lambda _area: fit)
    assert granted(request, rule(area=HOME)) is (fit is Fit.ALL)
    refused = decide(request, Policy((rule(Verdict.REFUSED, area=HOME),)), NOW).verdict
    assert refused is (Verdict.REFUSED if fit in {Fit.ALL, Fit.SOME} else Verdict.ASK)


def test_a_refusal_that_cannot_be_told_lets_no_later_rule_grant() -> None:
    policy = Policy((rule(Verdict.REFUSED, area=HOME), rule()))
    nowhere = present(places=unknown_places)
    assert decide(nowhere, policy, NOW) == Decision(Verdict.ASK, "")
    away = present(places=lambda _area: Fit.NONE)
    assert decide(away, policy, NOW) == Decision(Verdict.GRANTED, "fair price")


def test_places_are_not_looked_for_where_something_else_settles_it() -> None:
    def look(_area: Area) -> Fit:
        raise AssertionError

    assert not granted(present(places=look), rule(area=HOME, min_payment_mote=101))


def test_a_rule_is_dead_once_it_expires_and_while_the_time_is_not_known() -> None:
    limited = rule(expires_ns=1_000)
    assert granted(present(), limited, History(now_ns=999))
    assert not granted(present(), limited, History(now_ns=1_000))
    assert not granted(present(), limited, History(now_ns=None))
    assert granted(present(), rule(), History(now_ns=None))


@pytest.mark.parametrize(
    ("used", "grants"), [(Used(2, 1), True), (Used(3, 1), False), (Used(2, 2), False)]
)
def test_a_rule_grants_so_often_and_no_more(used: Used, grants: bool) -> None:
    history = History(now_ns=1_000, used={"fair price": used, "another": Used(99, 99)})
    assert granted(present(), rule(count=3, per_day=2), history) is grants


ALL_RULES = st.builds(
    Rule,
    name=st.sampled_from(["a", "b", "c"]),
    verdict=st.sampled_from([Verdict.GRANTED, Verdict.REFUSED]),
    levels=st.frozensets(st.sampled_from(sorted(ABOVE_LV1)), min_size=1),
    min_payment_mote=st.none() | st.integers(0, 200),
    kinds=st.none() | st.frozensets(st.sampled_from(["gear", "speed.vehicle"]), min_size=1),
    since_ns=st.none() | st.integers(0, 300),
    area=st.none() | st.just(HOME),
    expires_ns=st.none() | st.integers(900, 1_100),
    count=st.none() | st.integers(1, 3),
    per_day=st.none() | st.integers(1, 3),
)
POLICIES = st.lists(ALL_RULES, max_size=5).map(lambda rules: Policy(tuple(rules)))
REQUESTS = st.builds(
    lambda level, mote, kinds, fit: present(
        level=level, payment_mote=mote, kinds=kinds, places=lambda _area: fit
    ),
    st.sampled_from(Level),
    st.integers(0, 300),
    st.frozensets(st.sampled_from(["gear", "speed.vehicle"])),
    st.sampled_from(Fit),
)
HISTORIES = st.builds(
    History,
    now_ns=st.none() | st.integers(800, 1_200),
    used=st.dictionaries(
        st.sampled_from(["a", "b", "c"]), st.builds(Used, st.integers(0, 4), st.integers(0, 4))
    ),
)


@given(REQUESTS, POLICIES, HISTORIES)
def test_no_policy_grants_lv1_nor_what_a_rule_alone_would_not(
    request: Request, policy: Policy, history: History
) -> None:
    decided = decide(request, policy, history)
    if decided.verdict is Verdict.GRANTED:
        assert request.level is not Level.LV1
        assert any(granted(request, one, history) for one in policy.rules if one.name == decided.by)


@given(REQUESTS, POLICIES, HISTORIES, ALL_RULES)
def test_one_more_refusal_in_front_never_grants_more(
    request: Request, policy: Policy, history: History, more: Rule
) -> None:
    more = msgspec.structs.replace(more, verdict=Verdict.REFUSED)
    after = decide(request, Policy((more, *policy.rules)), history)
    assert after in {decide(request, policy, history), Decision(Verdict.REFUSED, more.name)} | {
        Decision(Verdict.ASK, "")
    }


@given(REQUESTS, POLICIES, HISTORIES, ALL_RULES)
def test_rules_behind_the_one_that_decides_change_nothing(
    request: Request, policy: Policy, history: History, more: Rule
) -> None:
    first = decide(request, policy, history)
    if first.verdict is not Verdict.ASK:
        assert decide(request, Policy((*policy.rules, more)), history) == first


@given(REQUESTS, POLICIES, HISTORIES)
def test_dead_and_used_up_rules_never_grant(
    request: Request, policy: Policy, history: History
) -> None:
    dead = Policy(tuple(msgspec.structs.replace(one, expires_ns=800) for one in policy.rules))
    assert decide(request, dead, history).verdict is not Verdict.GRANTED
    spent = Policy(tuple(msgspec.structs.replace(one, count=4) for one in policy.rules))
    used = {name: Used(4, 0) for name in "abc"}
    assert decide(request, spent, History(history.now_ns, used)).verdict is not Verdict.GRANTED

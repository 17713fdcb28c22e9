"""A bounty is what its buyer signed, and becomes that rule and no other."""

import re
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.privacy import Level
from agent.wallet import cbor, curve
from agent.wallet.address import address
from agent.wallet.areas import Area, Fit
from agent.wallet.bounty import DOMAIN, MAX_BYTES, Bounty, read_bounty, rule_of, sign_bounty
from agent.wallet.consent import History, Policy, Request, Rule, Used, Verdict, decide
from agent.wallet.keys import FileKey
from agent.wallet.policy import NO_RULES, parse_policy, text_of

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "bounty.md"
BUYER = FileKey(b"\x31" * 32, protected=False)
STRANGER = FileKey(b"\x32" * 32, protected=False)
AMO = 10**18
SEOUL = Area(lat=37.5665, lon=126.978, radius_m=30_000.0, inside=True)
OFFER = Bounty(
    buyer=BUYER.public,
    kinds=frozenset({"speed.vehicle", "position-fixed/1"}),
    levels=frozenset({2, 3}),
    price_mote=20 * AMO,
    count=3,
    expires_s=2_000,
    since_s=100,
    until_s=900,
    area=SEOUL,
)
SIGNED = sign_bounty(OFFER, BUYER)


def forged(**change: object) -> bytes:
    """Signed by the buyer all the same, as a program of somebody else's might."""
    fields = msgspec.structs.asdict(OFFER) | change
    for name in ("kinds", "levels"):
        if isinstance(fields[name], frozenset):
            fields[name] = sorted(fields[name])
    document = cbor.dump(fields)
    return BUYER.sign(DOMAIN + document) + document


def asked(**change: object) -> Request:
    request = Request(
        parcel_id="00000001" + "AB" * 32,
        buyer_address=address(BUYER.public),
        buyer_public=BUYER.public,
        payment_mote=20 * AMO,
        level=Level.LV2,
        kinds=frozenset({"position-fixed/1"}),
        since_ns=100 * 10**9,
        until_ns=900 * 10**9,
        places=lambda _area: Fit.ALL,
    )
    return msgspec.structs.replace(request, **change)


def test_what_was_signed_is_read() -> None:
    assert read_bounty(SIGNED) == OFFER
    assert forged() == SIGNED


@given(st.data())
def test_one_changed_byte_anywhere_is_refused(data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(SIGNED) - 1))
    flipped = SIGNED[place] ^ data.draw(st.integers(1, 255))
    with pytest.raises(MalformedInputError):
        read_bounty(SIGNED[:place] + bytes([flipped]) + SIGNED[place + 1 :])


@given(st.binary(max_size=300))
def test_any_bytes_are_refused_in_one_line(data: bytes) -> None:
    with pytest.raises(MalformedInputError) as refused:
        read_bounty(data)
    assert "\n" not in str(refused.value)


def test_a_high_s_is_refused() -> None:
    s = int.from_bytes(SIGNED[32:64], "big")
    high = SIGNED[:32] + (curve.ORDER - s).to_bytes(32, "big") + SIGNED[64:]
    with pytest.raises(MalformedInputError, match="signature"):
        read_bounty(high)


def test_nobody_signs_for_another_buyer() -> None:
    with pytest.raises(MalformedInputError, match="not that of its buyer"):
        sign_bounty(OFFER, STRANGER)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"levels": frozenset({1, 2})}, "cannot be read"),
        ({"levels": []}, "cannot be read"),
        ({"levels": [3, 2]}, "canonical"),
        ({"levels": [2, 2, 3]}, "canonical"),
        ({"kinds": frozenset({"speed"})}, "'speed' is no kind of data"),
        ({"price_mote": 0}, "price of 0 mote"),
        ({"price_mote": -1}, "price of -1 mote"),
        ({"price_mote": 2**256 - 1}, "outside"),
        ({"count": 0}, "cannot be read"),
        ({"until_s": 99}, "until_s = 99 is before since_s = 100"),
        ({"version": 2}, "cannot be read"),
        ({"area": {"lat": 91.0, "lon": 0.0, "radius_m": 5.0, "inside": True}}, "cannot be read"),
        ({"more": 1}, "cannot be read"),
        ({"buyer": b"\x04" + bytes(64)}, "not on P-256"),
        ({"kinds": frozenset({"can." + "x" * 190 + str(n) for n in range(100)})}, "at most"),
    ],
)
def test_what_no_bounty_can_be_is_refused_though_it_is_signed(
    change: dict[str, object], said: str
) -> None:
    with pytest.raises(MalformedInputError, match=said) as refused:
        read_bounty(forged(**change))
    assert "\n" not in str(refused.value)


def test_a_long_file_is_not_looked_at() -> None:
    with pytest.raises(MalformedInputError, match=f"at most {MAX_BYTES}"):
        read_bounty(SIGNED + bytes(MAX_BYTES))


def test_the_rule_is_for_that_buyer_and_within_all_limits_of_the_offer() -> None:
    assert rule_of(OFFER) == Rule(
        name=OFFER.name,
        verdict=Verdict.GRANTED,
        levels=frozenset({Level.LV2, Level.LV3}),
        buyers=frozenset({address(BUYER.public)}),
        kinds=OFFER.kinds,
        min_payment_mote=20 * AMO,
        since_ns=100 * 10**9,
        until_ns=900 * 10**9,
        area=SEOUL,
        expires_ns=2_000 * 10**9,
        count=3,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"payment_mote": 20 * AMO - 1},
        {"level": Level.LV1},
        {"level": Level.LV4},
        {"kinds": frozenset({"position-fixed/1", "gear"})},
        {"until_ns": 900 * 10**9 + 1},
        {"places": lambda _area: Fit.SOME},
        {"buyer_public": STRANGER.public, "buyer_address": address(STRANGER.public)},
    ],
)
def test_a_subscription_grants_the_offer_and_nothing_beside_it(change: dict[str, object]) -> None:
    policy = parse_policy(NO_RULES + text_of(rule_of(OFFER)))
    now = History(now_ns=1_000 * 10**9)
    assert decide(asked(), policy, now).by == OFFER.name
    assert decide(asked(**change), policy, now).verdict is Verdict.ASK


def test_a_subscription_ends_with_the_offer_and_with_its_count() -> None:
    policy = Policy((rule_of(OFFER),))
    late = History(now_ns=2_000 * 10**9)
    assert decide(asked(), policy, late).verdict is Verdict.ASK
    sold = History(now_ns=1_000 * 10**9, used={OFFER.name: Used(3, 0)})
    assert decide(asked(), policy, sold).verdict is Verdict.ASK


def test_the_name_is_that_of_the_offer_alone() -> None:
    dearer = msgspec.structs.replace(OFFER, price_mote=21 * AMO)
    assert read_bounty(SIGNED).name == OFFER.name != dearer.name


def test_the_example_of_the_documentation_is_this_offer() -> None:
    page = PAGE.read_text(encoding="utf-8")
    example = re.search(r"^    ((?:[0-9a-f]+\n *)+)", page, re.MULTILINE)
    assert example
    assert bytes.fromhex("".join(example[1].split())) == SIGNED
    assert f"`{OFFER.name}`" in page

"""A policy is taken as a whole or not at all, and says in one line what is wrong."""

import re
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.privacy import Level
from agent.wallet.areas import Area
from agent.wallet.consent import Policy, Rule, Verdict
from agent.wallet.policy import MAX_BYTES, NO_RULES, parse_policy, text_of

PAGE = Path(__file__).parents[2] / "docs" / "formats" / "policy.md"
BUYER = "80F0DE68E41B9E3C5C5AE29A2C8C8B4F0E6BFC9A"
GRANT = 'version = 1\n[[rule]]\nname = "r"\nverdict = "grant"\nlevels = [3]\n'
REFUSE = GRANT.replace("grant", "refuse")
DAY_NS = 86_400 * 10**9


def example() -> str:
    match = re.search(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert match
    return match[1]


def test_the_example_of_the_documentation_says_what_the_page_says() -> None:
    home, speeds = parse_policy(example()).rules
    area = Area(lat=37.5665, lon=126.978, radius_m=500, inside=True)
    levels = frozenset({Level.LV2, Level.LV3, Level.LV4})
    assert home == Rule(name="not near home", verdict=Verdict.REFUSED, levels=levels, area=area)
    assert speeds == Rule(
        name="speeds for the university",
        verdict=Verdict.GRANTED,
        levels=frozenset({Level.LV3, Level.LV4}),
        buyers=frozenset({BUYER}),
        kinds=frozenset({"speed.vehicle", "brake.pedal", "braked-hard/1"}),
        min_payment_mote=1_500_000_000_000_000_000,
        since_ns=20_454 * DAY_NS,
        until_ns=20_819 * DAY_NS - 10**9,
        expires_ns=20_849 * DAY_NS,
        count=500,
        per_day=10,
    )


def test_every_key_of_the_page_is_one_and_the_other_way_round() -> None:
    page = PAGE.read_text(encoding="utf-8")
    told = set(re.findall(r"^    (\w+)  ", page, re.MULTILINE))
    with pytest.raises(ConfigError, match="unknown field `nonsense`"):
        parse_policy(GRANT + "nonsense = 1\n")
    every = (
        f'buyers = ["{BUYER}"]\nkinds = ["gear"]\nmin_price = "1"\nmax_price = "2"\n'
        "since = 2026-01-01T00:00:00Z\nuntil = 2026-01-02T00:00:00Z\ncount = 1\nper_day = 1\n"
        "expires = 2026-01-02T00:00:00Z\narea = {lat = 1, lon = 1, radius_m = 1, inside = false}\n"
    )
    parse_policy(GRANT + every)
    assert told == set(tomllib.loads(GRANT + every)["rule"][0])


def test_a_policy_without_rules_is_one() -> None:
    assert parse_policy(NO_RULES) == Policy()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "policy: Object missing required field `version`"),
        ("version = 2", "policy: version = 2: Expected `int` <= 1"),
        ("version = 1\nrules = []", "policy: Object contains unknown field `rules`"),
        ("version 1", "policy: not TOML: "),
        (GRANT.replace("[3]", "[3, 1]"), "policy: rule[0].levels = [1, 3]: a rule grants 2 to 4"),
        (GRANT.replace("[3]", "[5]"), "policy: rule[0].levels[0] = 5: Expected `int` <= 4"),
        (GRANT.replace("[3]", "[]"), "policy: rule[0].levels = []: Expected `array` of length"),
        (GRANT.replace('"grant"', '"ask"'), "policy: rule[0].verdict = 'ask': Expected `str`"),
        (GRANT.replace('"r"', '"owner"'), "policy: rule[0].name = 'owner': the log says owner"),
        (GRANT.replace('"r"', '"a\\nb"'), "policy: rule[0].name = 'a\\nb': Expected `str`"),
        (GRANT.replace('"r"', '"a\\n"'), "policy: rule[0].name = 'a\\n': Expected `str`"),
        (GRANT + GRANT[12:], "policy: rule[1].name = 'r': it is rule[0] as well"),
        (GRANT + f'buyers = ["{BUYER.lower()}"]', "policy: rule[0].buyers[0] = '80f0"),
        (GRANT + f'buyers = ["{BUYER}\\n"]', "policy: rule[0].buyers[0] = '80F0"),
        (GRANT + "buyers = []", "policy: rule[0].buyers = []: "),
        (GRANT + 'kinds = ["speed.vehicel"]', "policy: rule[0].kinds = ['speed.vehicel']: "),
        (GRANT + "min_price = 1.5", "policy: rule[0].min_price = 1.5: Expected `str"),
        (GRANT + 'min_price = "1,5"', "policy: rule[0].min_price = '1,5': amount '1,5' is not"),
        (GRANT + 'min_price = "-1"', "policy: rule[0].min_price = '-1': amount '-1' is not"),
        (GRANT + 'min_price = "2"\nmax_price = "1"', "policy: rule[0].max_price = '1': below"),
        (GRANT + "since = 2026-01-01T00:00:00", "policy: rule[0].since = "),
        (
            GRANT + "since = 2026-01-02T00:00:00Z\nuntil = 2026-01-01T00:00:00Z",
            "policy: rule[0].until = 2026-01-01T00:00:00+00:00: below the other limit",
        ),
        (GRANT + "count = 0", "policy: rule[0].count = 0: Expected `int` >= 1"),
        (GRANT + "per_day = true", "policy: rule[0].per_day = True: Expected `int"),
        (REFUSE + "count = 1", "policy: rule[0].count = 1: only for grants"),
        (
            GRANT + "area = {lat = 91, lon = 0, radius_m = 1, inside = true}",
            "policy: rule[0].area.lat = 91: Expected `float` <= 90.0",
        ),
        (
            GRANT + "area = {lat = nan, lon = 0, radius_m = 1, inside = true}",
            "policy: rule[0].area.lat = nan: ",
        ),
        (
            GRANT + "area = {lat = 0, lon = 0, radius_m = inf, inside = true}",
            "policy: rule[0].area.radius_m = inf: ",
        ),
        (
            GRANT + "area = {lat = 0, lon = 0, radius_m = 1}",
            "policy: rule[0].area: Object missing required field `inside`",
        ),
        ("#" * (MAX_BYTES + 1), "policy: 65537 bytes, at most 65536"),
        ("#\udcff", "policy: not TOML: "),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_place_value_and_limit(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_policy(text)
    assert str(refused.value).startswith(said)
    assert "\n" not in str(refused.value)


def test_a_refusal_may_speak_of_lv1() -> None:
    (rule,) = parse_policy(REFUSE.replace("[3]", "[1]")).rules
    assert rule.levels == {Level.LV1}


def test_more_than_a_hundred_rules_are_no_policy() -> None:
    rules = [GRANT[12:].replace('"r"', f'"r{n}"') for n in range(101)]
    assert len(parse_policy("version = 1\n" + "".join(rules[:100])).rules) == 100
    with pytest.raises(ConfigError, match=r"rule.*100"):
        parse_policy("version = 1\n" + "".join(rules))


@given(st.text(max_size=200))
def test_any_text_is_a_policy_or_refused_in_words(text: str) -> None:
    for whole in (text, GRANT + text):
        said = ""
        try:
            grants = [r for r in parse_policy(whole).rules if r.verdict is Verdict.GRANTED]
        except ConfigError as error:
            said, grants = str(error), []
        assert "\n" not in said
        assert not any(Level.LV1 in rule.levels for rule in grants)


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)


@given(
    st.sampled_from(
        ["levels", "verdict", "buyers", "kinds", "min_price", "since", "area", "count"]
    ),
    _VALUES,
)
def test_no_value_of_any_key_makes_a_rule_that_grants_lv1(key: str, value: object) -> None:
    shown = repr(value).replace("True", "true").replace("False", "false").replace("None", '"none"')
    lines = [line for line in GRANT.splitlines() if not line.startswith(key)]
    try:
        (rule,) = parse_policy("\n".join([*lines, f"{key} = {shown}"])).rules
    except ConfigError:
        return
    assert rule.levels <= {Level.LV2, Level.LV3, Level.LV4} or rule.verdict is Verdict.REFUSED


RULES = st.builds(
    Rule,
    name=st.text("abc \"\\'#=~", min_size=1, max_size=20).filter(lambda n: n == n.strip()),
    verdict=st.just(Verdict.GRANTED),
    levels=st.frozensets(st.sampled_from([Level.LV2, Level.LV3, Level.LV4]), min_size=1),
    buyers=st.none() | st.just(frozenset({BUYER, "0" * 40})),
    kinds=st.none()
    | st.frozensets(st.sampled_from(["gear", "can.A\u0085.\u00e9", 'can."\\']), min_size=1),
    min_payment_mote=st.none() | st.integers(0, 2**256 - 2),
    since_ns=st.none() | st.integers(0, 2**51).map(lambda us: us * 1000),
    area=st.none()
    | st.builds(
        Area,
        lat=st.floats(-90, 90),
        lon=st.floats(-180, 180),
        radius_m=st.floats(1, 20_100_000),
        inside=st.booleans(),
    ),
    expires_ns=st.none() | st.integers(0, 2**51).map(lambda us: us * 1000),
    count=st.none() | st.integers(1, 1_000_000),
    per_day=st.none() | st.integers(1, 1_000_000),
)


@given(RULES, st.booleans())
def test_a_rule_written_as_text_is_read_as_it_was(rule: Rule, behind: bool) -> None:
    before = example() if behind else NO_RULES
    assert parse_policy(before + text_of(rule)).rules[-1] == rule

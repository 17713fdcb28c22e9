"""`wallet bounty` as buyer and owner meet it."""

import json
from pathlib import Path

import pytest

from agent.archive import archive
from agent.cli import COMMANDS, bounty
from agent.clock import ManualClock
from agent.eventstore.readmodel import ReadModel
from agent.rules import last_policy, set_policy
from agent.wallet import keyfile
from agent.wallet.address import address
from agent.wallet.consent import Policy, Verdict
from agent.wallet.keys import FileKey
from agent.wallet.policy import parse_policy
from tests.cli.conftest import Cli
from tests.conftest import START_NS

SCALAR = b"\x31" * 32
BUYER = address(FileKey(SCALAR, protected=False).public)
OFFER = (
    *("--kind", "speed.vehicle", "--kind", "position-fixed/1", "--level", "2", "--level", "3"),
    *("--price", "1.5", "--count", "4", "--expires", "2999-01-01", "--since", "2026-01-01"),
    *("--area", "37.5665", "126.978", "30000"),
)
REFUSES_HOME = """version = 1
[[rule]]
name = "home"
verdict = "refuse"
levels = [2, 3]
[rule.area]
lat = 37.5
lon = 127.0
radius_m = 500
inside = true
"""


@pytest.fixture(autouse=True)
def a_command_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that errors end as they do in the program."""
    monkeypatch.setitem(COMMANDS, "bounty", "")
    monkeypatch.setattr(bounty, "command", bounty.bounty, raising=False)


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True):
        return tmp_path / "state"


@pytest.fixture
def key(tmp_path: Path) -> Path:
    keyfile.write(tmp_path / "account.key", keyfile.encode("account", SCALAR, None))
    return tmp_path / "account.key"


@pytest.fixture
def file(cli: Cli, tmp_path: Path, key: Path) -> Path:
    made = cli("bounty", "make", tmp_path / "speeds.bounty", "--key", f"file:{key}", *OFFER)
    assert made.code == 0, made.err
    return tmp_path / "speeds.bounty"


def policy(state: Path) -> Policy:
    with (
        archive(state, ManualClock(START_NS), wait=True) as parts,
        ReadModel.in_memory() as model,
    ):
        parts.journal.flush()
        model.catch_up(parts.log)
        return parse_policy(last_policy(parts.log, model, parts.unsealer))


def test_an_offer_that_was_made_is_shown_with_all_it_gives_away(cli: Cli, file: Path) -> None:
    shown = cli("bounty", "show", file)
    assert shown.code == 0
    for word in (
        *(BUYER, "position-fixed/1, speed.vehicle", "Lv2, Lv3", "1.500000000000000000 AMO"),
        *("4 parcels, 6.000000000000000000 AMO", "from 2026-01-01", "2999-01-01"),
        *("inside 30,000 m round 37.566500, 126.978000", "cannot be recalled"),
    ):
        assert word in shown.out
    told = json.loads(cli("bounty", "show", file, "--json").out)
    assert (told["price_mote"], told["levels"]) == ("1500000000000000000", [2, 3])


def test_who_subscribes_gets_one_rule_behind_their_own(cli: Cli, state: Path, file: Path) -> None:
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        set_policy(REFUSES_HOME, parts.journal)
    subscribed = cli("bounty", "subscribe", file, "--state", state, "--yes")
    assert subscribed.code == 0, subscribed.err
    home, rule = policy(state).rules
    assert (home.name, home.verdict) == ("home", Verdict.REFUSED)
    assert (rule.verdict, rule.buyers, rule.count) == (Verdict.GRANTED, frozenset({BUYER}), 4)
    assert f"rule {rule.name!r}" in subscribed.out
    again = cli("bounty", "subscribe", file, "--state", state, "--yes")
    assert (again.code, "it is rule[1] as well" in again.complaint) == (2, True)
    assert len(policy(state).rules) == 2


def test_without_a_yes_and_a_terminal_nothing_is_given_away(
    cli: Cli, state: Path, file: Path
) -> None:
    asked = cli("bounty", "subscribe", file, "--state", state)
    assert (asked.code, "--yes" in asked.complaint) == (2, True)
    assert policy(state) == Policy()


def test_an_offer_that_is_over_is_not_taken(
    cli: Cli, state: Path, tmp_path: Path, key: Path
) -> None:
    over = [*OFFER, "--expires", "2026-02-01"]
    assert cli("bounty", "make", tmp_path / "old", "--key", f"file:{key}", *over).code == 0
    refused = cli("bounty", "subscribe", tmp_path / "old", "--state", state, "--yes")
    assert (refused.code, "ended at 2026-02-01" in refused.complaint) == (2, True)
    assert policy(state) == Policy()


def test_a_changed_offer_is_refused(cli: Cli, state: Path, file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    for call in (("show", file), ("subscribe", file, "--state", state, "--yes")):
        refused = cli("bounty", *call)
        assert (refused.code, "signature" in refused.complaint) == (2, True)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--kind", "speed"), "'speed' is no kind of data"),
        (("--price", "1,5"), "amount '1,5'"),
        (("--level", "1"), "--level"),
        (("--until", "2025-01-01"), "is before"),
        (("--area", "91", "0", "5"), "cannot be read"),
        (("--expires", "soon"), "--expires"),
    ],
)
def test_an_offer_that_none_could_take_is_not_made(
    cli: Cli, tmp_path: Path, key: Path, more: tuple[str, ...], said: str
) -> None:
    refused = cli("bounty", "make", tmp_path / "new", "--key", f"file:{key}", *OFFER, *more)
    assert refused.code == 2
    assert said in refused.complaint
    assert not (tmp_path / "new").exists()


def test_no_file_is_written_over(cli: Cli, file: Path, key: Path) -> None:
    before = file.read_bytes()
    assert cli("bounty", "make", file, "--key", f"file:{key}", *OFFER).code == 2
    assert file.read_bytes() == before


def test_outside_needs_an_area(cli: Cli, tmp_path: Path, key: Path) -> None:
    plain = OFFER[: OFFER.index("--area")]
    made = cli("bounty", "make", tmp_path / "n", "--key", f"file:{key}", *plain, "--outside")
    assert (made.code, "--area" in made.complaint) == (2, True)

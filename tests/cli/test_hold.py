"""`amo-agent log hold` and `log release`: set by time, ended by number, both in the log."""

import json
from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import ManualClock
from agent.events import DtcSet
from tests.cli.conftest import Cli
from tests.conftest import START_NS

DAY = ("--since", "2023-11-14", "--until", "2023-11-15")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(DtcSet("P0301", "7E8"))
    return tmp_path / "state"


def test_a_hold_is_set_shown_and_released(state: Path, cli: Cli) -> None:
    last = len(cli("log", "show", state).out.splitlines())
    held = json.loads(cli("log", "hold", *DAY, "--reason", "crash", state, "--json").out)
    shown = json.loads(cli("log", "show", state, "--kind", "range-held", "--json").out)
    released = cli("log", "release", held["no"], state)

    assert held == {**held, "outcome": "set", "first_seq": 1, "last_seq": last, "reason": "crash"}
    assert (shown["seq"], shown["first_seq"], shown["last_seq"]) == (held["no"], 1, last)
    assert released.code == 0
    assert released.out == f"released: hold {held['no']} (crash, events 1 to {last})\n"


def test_releasing_what_is_not_held_names_the_holds_there_are(state: Path, cli: Cli) -> None:
    held = json.loads(cli("log", "hold", *DAY, "--reason", "order", state, "--json").out)
    result = cli("log", "release", 1, state)
    assert result.code == 2
    assert f"no hold 1: hold {held['no']} (order" in result.complaint


def test_a_reason_in_somebodys_own_words_is_refused_since_it_would_stand_in_clear(
    state: Path, cli: Cli
) -> None:
    result = cli("log", "hold", *DAY, "--reason", "Kim hit Lee", state)
    assert result.code == 2


def test_a_time_without_events_is_refused(state: Path, cli: Cli) -> None:
    later = ("--since", "2033-01-01", "--until", "2033-01-02")
    result = cli("log", "hold", *later, "--reason", "claim", state)
    assert (result.code, "no event" in result.complaint) == (2, True)

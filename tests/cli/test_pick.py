"""`amo-agent log show`: which events are asked for."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.cli.replay import project
from agent.clock import SECOND
from agent.eventstore.reader import LogReader
from tests.cli.conftest import Cli
from tests.cli.driven import EAST_DEG, NORTH_DEG, START_NS, drive
from tests.cli.test_state import time


@pytest.fixture(scope="module", params=["with an index", "without"])
def state(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("driven") / "state"
    drive(state)
    if request.param == "with an index":
        project(state)
        drive(state)  # which the index does not know yet
    return state


def shown(cli: Cli, state: Path, *options: object) -> list[dict[str, Any]]:
    result = cli("log", "show", state, "--json", *options)
    assert (result.code, result.err) == (0, "")
    return [json.loads(line) for line in result.out.splitlines()]


def test_events_of_a_time_are_those_that_a_scan_finds(cli: Cli, state: Path) -> None:
    since_ns, until_ns = START_NS + 2 * SECOND, START_NS + 104 * SECOND
    with LogReader.open(state / "events.db") as log:
        expected = [e.seq for e in log.read() if since_ns <= e.t_ns <= until_ns]
    found = shown(cli, state, "--since", time(2), "--until", time(104))
    assert [line["seq"] for line in found] == expected
    assert len(expected) > 40


@pytest.mark.parametrize("kind", ["dtc", "agent-started/1", "bsm-m", "unheard-of", ""])
def test_events_of_a_kind_are_those_that_a_scan_finds(kind: str, cli: Cli, state: Path) -> None:
    with LogReader.open(state / "events.db") as log:
        expected = [e.seq for e in log.read() if e.kind.startswith(kind)]
    assert [line["seq"] for line in shown(cli, state, "--kind", kind)] == expected
    assert bool(expected) == (kind != "unheard-of")


def test_events_of_a_trip_are_those_of_one_start(cli: Cli, state: Path) -> None:
    found = shown(cli, state, "--trip", 2)
    assert {line["boot"] for line in found} == {2}
    assert [found[0]["kind"], found[-1]["kind"]] == ["log-checked/1", "log-sealed/1"]
    assert shown(cli, state, "--trip", 99) == []


def test_a_calendar_reaches_further_than_the_clock_of_events(cli: Cli, state: Path) -> None:
    everything = shown(cli, state)
    ends = "--since", "0001-01-01", "--until", "9999-12-31T23:59:59"
    assert shown(cli, state, *ends) == everything
    assert shown(cli, state, "--since", "2262-04-12") == []
    assert shown(cli, state, "--until", "1677-09-20") == []


@pytest.mark.parametrize(("option", "limit"), [("--trip", 2**32 - 1), ("--limit", 2**63 - 1)])
def test_number_over_its_limit_is_refused_with_the_limit(
    option: str, limit: int, cli: Cli, state: Path
) -> None:
    assert cli("log", "show", state, option, limit).code == 0
    refused = cli("log", "show", state, option, limit + 1)
    assert refused.code == 2
    assert str(limit) in refused.complaint


def test_events_of_a_trip_are_paged_by_sequence_number(cli: Cli, state: Path) -> None:
    whole = shown(cli, state, "--trip", 2, "--kind", "bsm")
    first = shown(cli, state, "--trip", 2, "--kind", "bsm", "--limit", 7)
    rest = shown(cli, state, "--trip", 2, "--kind", "bsm", "--after", first[-1]["seq"])
    assert first + rest == whole


def test_events_are_found_by_place_once_they_are_opened(cli: Cli, state: Path) -> None:
    south, north = NORTH_DEG + 0.0025, NORTH_DEG + 0.0055
    box = f"{south},{EAST_DEG - 1},{north},{EAST_DEG + 1}"
    found = shown(cli, state, "--trip", 1, "--open", "--within", box)
    kinds = [line["kind"] for line in found]
    assert kinds == ["position-fixed/1", "bsm-made/1"] * 3
    assert [line["latitude_deg"] for line in found[::2]] == [
        NORTH_DEG + second / 1_000 for second in (3, 4, 5)
    ]


def test_heard_messages_are_found_by_their_own_place(cli: Cli, state: Path) -> None:
    box = f"{NORTH_DEG + 0.09},{EAST_DEG - 1},{NORTH_DEG + 0.11},{EAST_DEG + 1}"
    found = shown(cli, state, "--trip", 1, "--open", "--within", box)
    assert [line["kind"] for line in found] == ["bsm-heard/1"] * 9


def test_place_without_the_key_is_refused(cli: Cli, state: Path) -> None:
    result = cli("log", "show", state, "--within", "48,11,49,12")
    assert result.code == 2
    assert "--open" in result.complaint


@pytest.mark.parametrize("box", ["48,11,49", "a,b,c,d", "49,11,48,12", "48,11,49,181", "nan,1,2,3"])
def test_box_that_is_none_is_refused_by_name(cli: Cli, state: Path, box: str) -> None:
    result = cli("log", "show", state, "--open", "--within", box)
    assert result.code == 2
    assert box in result.complaint


def test_rt_83_kind_that_looks_like_sql_finds_nothing_and_does_nothing(
    cli: Cli, state: Path
) -> None:
    assert shown(cli, state, "--since", time(0), "--kind", "x' OR 1=1; DROP TABLE trip; --") == []
    assert shown(cli, state, "--trip", 1) != []

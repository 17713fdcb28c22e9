"""`amo-agent log state`: any past state is a fold of the log up to an instant."""

import json
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.clock import SECOND
from tests.cli.conftest import Cli
from tests.cli.driven import EAST_DEG, NORTH_DEG, START_NS, drive


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("driven") / "state"
    drive(state)
    return state


def time(seconds: float) -> str:
    """So long after the start."""
    at = datetime.fromtimestamp(START_NS / SECOND + seconds, UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S.%f")


def at(cli: Cli, state: Path, seconds: float, *options: str) -> dict[str, Any]:
    result = cli("log", "state", state, "--at", time(seconds), "--json", *options)
    assert (result.code, result.err) == (0, "")
    found = json.loads(result.out)
    assert isinstance(found, dict)
    return found


def test_state_is_that_of_the_instant(cli: Cli, state: Path) -> None:
    assert at(cli, state, 3.5)["latest"]["speed.vehicle"]["value"] == 3.0
    assert at(cli, state, 4.0)["latest"]["speed.vehicle"]["value"] == 4.0
    assert [row["code"] for row in at(cli, state, 4)["dtcs"]] == ["P0301"]
    assert at(cli, state, 6)["dtcs"] == []


def test_consents_uploads_and_losses_are_those_of_the_instant(cli: Cli, state: Path) -> None:
    early, late = at(cli, state, 5), at(cli, state, 6)
    assert (early["losses"], early["upload"]) == ([], [])
    assert [row["state"] for row in early["consents"]] == ["requested"]
    assert late["losses"] == [{"what": "frames", "reason": "queue full", "count": 7}]
    assert late["upload"] == [{"level": 3, "last_seq": 9, "parcels": 1}]


def test_trip_goes_on_at_an_instant_within_it_and_is_over_after_it(cli: Cli, state: Path) -> None:
    trips = [at(cli, state, seconds)["trip"] for seconds in (5, 50, 105)]
    assert [(trip["boot"], trip["reason"]) for trip in trips] == [
        (1, None),
        (1, "finished"),
        (2, None),
    ]


def test_instant_before_the_log_has_no_state_and_one_after_it_has_the_last(
    cli: Cli, state: Path
) -> None:
    before, after = at(cli, state, -1), at(cli, state, 9_999)
    assert (before["seq"], before["trip"], before["latest"]) == (0, None, {})
    assert after == json.loads(cli("log", "state", state, "--json").out)


def test_sealed_values_are_shown_to_the_owner_who_opens_them_alone(cli: Cli, state: Path) -> None:
    assert {"position", "bsm"}.isdisjoint(at(cli, state, 4))
    found = at(cli, state, 4, "--open")
    assert found["position"]["latitude_deg"] == NORTH_DEG + 0.004
    assert found["bsm"]["si"]["msg_count"] == 4
    assert found["bsm"]["si"]["lat_deg"] == pytest.approx(NORTH_DEG + 0.004, abs=1e-7)
    assert found["bsm"]["on_air"] is True


def test_text_form_opens_the_same(cli: Cli, state: Path) -> None:
    out = cli("log", "state", state, "--at", time(4), "--open").out
    assert "name=speed.vehicle value=4.0" in out
    assert "code=P0301" in out
    assert "meaning=misfire, cylinder 1" in out
    assert f"longitude_deg={EAST_DEG}" in out
    assert "dead_letters: none" in out


def test_copied_log_has_the_same_state_without_its_directory(
    cli: Cli, state: Path, tmp_path: Path
) -> None:
    copy = shutil.copy(state / "events.db", tmp_path / "copy.db")
    shown = [cli("log", "state", path, "--json").out for path in (copy, state)]
    assert shown[0] == shown[1]


def test_nothing_is_written_beside_the_log(cli: Cli, state: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in state.rglob("*")}
    at(cli, state, 4, "--open")
    after = {path: path.stat().st_mtime_ns for path in state.rglob("*")}
    assert {p.name for p in after.keys() - before.keys()} <= {"events.db-shm", "events.db-wal"}
    assert state.joinpath("readmodel.db") not in after


def test_open_without_keys_is_refused(cli: Cli, state: Path, tmp_path: Path) -> None:
    copy = shutil.copy(state / "events.db", tmp_path / "copy.db")
    result = cli("log", "state", copy, "--open")
    assert result.code == 2
    assert "state directory" in result.complaint


@pytest.mark.parametrize("arguments", [["/nowhere"], ["--at", "yesterday"]])
def test_wrong_use_is_one_line_and_exit_code_2(cli: Cli, arguments: list[str]) -> None:
    result = cli("log", "state", *arguments)
    assert result.code == 2
    assert arguments[-1] in result.complaint

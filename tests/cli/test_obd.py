"""`amo-agent obd`: recorded answers to values, recorded buses to their files."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.obd.recordings import RAV4_LOG, TOYOTA_DBC, needs_recordings

SET = """{"commands": [
  {"hdr": "7E4", "rax": "7EC", "cmd": {"22": "0101"}, "signals": [
    {"id": "CHARGE", "fmt": {"bix": 0, "len": 8, "div": 2, "unit": "percent"}}]},
  {"hdr": "7E4", "cmd": {"22": "G"}, "signals": []}]}"""
GOOD = {"command_id": "7E4.7EC.220101|fc=1", "response": ["7EC0462010190"]}
SILENT = {"command_id": "7E4.7EC.220101|fc=1", "response": ["NO DATA"]}


@pytest.fixture
def signals(tmp_path: Path) -> Path:
    path = tmp_path / "car.json"
    path.write_text(SET, encoding="utf-8")
    return path


def test_each_answer_becomes_a_line_and_a_bad_one_says_why(
    cli: Cli, signals: Path, tmp_path: Path
) -> None:
    answers = tmp_path / "answers.jsonl"
    rows = [json.dumps(GOOD), json.dumps(SILENT), "{", "", json.dumps(GOOD)]
    answers.write_text("\n".join(rows), encoding="utf-8")
    result = cli("obd", "decode", "--signals", str(signals), str(answers))
    assert result.code == 1
    assert "commands[1]" in result.err
    first, silent, broken, last = map(json.loads, result.out.splitlines())
    assert first == last
    assert first == {
        "ok": True,
        "command_id": GOOD["command_id"],
        "values": {"CHARGE": 72.0},
        "ecus": {"7EC": {"CHARGE": 72.0}},
        "cut": [],
    }
    assert silent["ok"] is broken["ok"] is False
    assert "none is an answer" in silent["error"]


def test_a_set_without_a_usable_command_is_wrong_input(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "car.json"
    path.write_text('{"commands": [{"hdr": 5}]}', encoding="utf-8")
    result = cli("obd", "decode", "--signals", str(path), "-")
    assert result.code == 2
    assert "no command in it can be used" in result.err


@needs_recordings
def test_a_recording_is_told_its_file_and_its_profile_with_the_scores(cli: Cli) -> None:
    result = cli("obd", "car", str(RAV4_LOG), "--dbc", str(TOYOTA_DBC.parents[1]), "--json")
    assert result.code == 0
    first, *_ = map(json.loads, result.out.splitlines())
    assert (first["dbc"], first["profile"]) == (TOYOTA_DBC.stem, "Toyota")
    best, second, *_ = first["candidates"]
    assert best["dbc"] == TOYOTA_DBC.stem
    assert best["score"] >= 1.5 * second["score"]


@needs_recordings
def test_a_bus_of_another_car_has_no_file_and_says_what_was_nearest(
    cli: Cli, tmp_path: Path
) -> None:
    simcar = Path(__file__).parents[2] / "dbc" / "simcar.dbc"
    (tmp_path / "simcar.dbc").write_bytes(simcar.read_bytes())
    result = cli("obd", "car", str(RAV4_LOG), "--dbc", str(tmp_path))
    assert result.code == 1
    assert "no file fits: the best is simcar" in result.out

"""`amo-agent obd`: recorded answers to values."""

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

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

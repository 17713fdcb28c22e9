"""`amo-agent owner`: told by options, by a file, by answers; shown to the owner alone."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import ManualClock
from tests.cli.conftest import Cli
from tests.conftest import START_NS

ROOT = Path(__file__).parents[2]
KIM = {
    "name": "Kim Minjun",
    "contact": "kim@example.org",
    "age": 55,
    "sex": "male",
    "data_use": "research",
}
EVER = ("--since", "1970-01-01", "--until", "2100-01-01")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True):
        return tmp_path / "state"


def shown(cli: Cli, state: Path) -> dict[str, object]:
    result = cli("owner", "show", "--state", state, "--json")
    assert result.code == 0, result.err
    told: dict[str, object] = json.loads(result.out)
    return told


def test_options_are_told_and_shown(cli: Cli, state: Path) -> None:
    options = [part for k, v in KIM.items() for part in (f"--{k.replace('_', '-')}", v)]
    told = cli("owner", "set", "--state", state, *options)
    assert (told.code, told.out) == (0, f"in the log, sealed: {', '.join(KIM)}\n")
    assert shown(cli, state) == KIM
    assert "  age       55" in cli("owner", "show", "--state", state).out


def test_a_file_is_told_and_one_field_changed_or_taken_back(
    cli: Cli, state: Path, tmp_path: Path
) -> None:
    (tmp_path / "owner.json").write_text(json.dumps(KIM), encoding="utf-8")
    cli("owner", "set", "--state", state, "--from", tmp_path / "owner.json")
    cli("owner", "set", "--state", state, "--age", 0)
    cli("owner", "set", "--state", state, "--contact", "")
    assert shown(cli, state) == KIM | {"age": 0, "contact": None}


def test_a_log_that_was_told_nothing_shows_nothing(cli: Cli, state: Path) -> None:
    assert shown(cli, state) == dict.fromkeys(KIM)


def test_on_a_terminal_each_field_is_asked_for(cli: Cli, state: Path) -> None:
    ours, theirs = os.openpty()
    command = [sys.executable, "-m", "agent", "owner", "set", "--state", str(state)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=theirs, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as asking:
        os.write(ours, b"Kim Minjun\n\n55\nmale\n\n")
        out, err = asking.communicate(timeout=20)
    os.close(ours)
    os.close(theirs)
    assert (asking.returncode, out) == (0, b"in the log, sealed: name, age, sex\n"), err
    assert shown(cli, state) == KIM | {"contact": None, "data_use": None}


def test_without_a_field_and_a_terminal_it_says_how(cli: Cli, state: Path) -> None:
    result = cli("owner", "set", "--state", state)
    assert (result.code, "--from -" in result.complaint) == (2, True)


@pytest.mark.parametrize(
    "wrong",
    [("--age", "Kim55"), ("--age", "151"), ("--sex", "Kim"), ("--data-use", "Kim")],
)
def test_a_wrong_value_is_refused_with_its_limit_and_not_quoted(
    cli: Cli, state: Path, wrong: tuple[str, str]
) -> None:
    result = cli("owner", "set", "--state", state, *wrong)
    assert result.code == 2
    assert "Kim" not in result.complaint
    assert shown(cli, state) == dict.fromkeys(KIM)


def test_erasing_a_level_takes_what_the_owner_told_of_it(cli: Cli, state: Path) -> None:
    cli("owner", "set", "--state", state, "--name", "Kim", "--age", "55")
    erased = cli("log", "erase", "--level", 1, *EVER, state, "--yes")
    assert erased.code == 0, erased.err
    assert shown(cli, state) == dict.fromkeys(KIM) | {"age": 55}


def test_nobody_without_the_owners_key_is_shown_anything(cli: Cli, state: Path) -> None:
    cli("owner", "set", "--state", state, "--name", "Kim")
    shutil.move(state / "keys" / "owner.key", state.parent / "owner.key")
    result = cli("owner", "show", "--state", state)
    assert (result.code, "Kim" in result.out + result.err) == (1, False)
    assert "owner.key" in result.complaint


def test_where_there_is_no_log_there_is_no_owner(cli: Cli, tmp_path: Path) -> None:
    assert cli("owner", "set", "--state", tmp_path / "none", "--name", "Kim").code == 2
    assert cli("owner", "show", "--state", tmp_path / "none").code == 2

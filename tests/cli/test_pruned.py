"""A log whose bodies went is shown, verified, reported on and gone on with like any other."""

import asyncio
import json
from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import ManualClock
from agent.compose import retainer, uploader
from agent.privacy import Level
from tests.cli.conftest import Cli
from tests.conftest import START_NS
from tests.test_retain import drive
from tests.test_upload import Shelf


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Two drives, the first of them pruned."""
    clock, shelf = ManualClock(START_NS), Shelf()
    with archive(tmp_path / "state", clock, wait=True) as parts:
        outward = uploader(parts, shelf)
        drive(parts, clock)
        asyncio.run(outward.once([Level.LV2, Level.LV3]))
        assert asyncio.run(retainer(parts, shelf, outward, keep_days=0).once()) >= 5
        drive(parts, clock, blocks=2)
    return tmp_path / "state"


def test_it_is_intact(cli: Cli, state: Path) -> None:
    result = cli("log", "verify", state, "--json")
    assert (result.code, json.loads(result.out)["verdict"]) == (0, "intact")


def test_what_is_left_is_shown(cli: Cli, state: Path) -> None:
    lines = [
        json.loads(line)
        for line in cli("log", "show", state, "--open", "--json").out.split("\n")
        if line
    ]
    kinds = [line["kind"] for line in lines]
    assert kinds.count("dtc-set/1") == 2
    assert kinds.count("parcel-checked/1") == 2
    assert "bodies-pruned/1" in kinds
    seqs = [line["seq"] for line in lines]
    assert seqs == sorted(seqs)
    assert seqs[-1] > len(seqs)


def test_a_report_is_made_of_it(cli: Cli, state: Path, tmp_path: Path) -> None:
    assert cli("report", state, "--out", tmp_path / "drive.html").code == 0
    assert (tmp_path / "drive.html").stat().st_size > 1000


def test_a_recording_is_written_behind_it(cli: Cli, state: Path, tmp_path: Path) -> None:
    (tmp_path / "drive.log").write_text("(1700000600.000000) can0 0AA#1A6F1A6F1A6F1A6F\n")
    assert cli("replay", tmp_path / "drive.log", "--state", state, "--json").code == 0
    assert cli("log", "verify", state).code == 0

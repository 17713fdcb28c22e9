"""`amo-agent log erase`: the owner sees what would go, agrees, and is told what is out of reach."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import ManualClock
from agent.events import ConsentGranted, ParcelRegistered, VinRead
from agent.privacy import Level
from agent.wallet.segments import SEGMENT_NS
from tests.cli.conftest import Cli
from tests.conftest import START_NS

ROOT = Path(__file__).parents[2]
VIN = "KMHAMXAG0NU004711"
DAY = ("--since", "2023-11-14", "--until", "2023-11-15")
"""START_NS lies in it: 2023-11-14T22:13:20."""
SECOND_SEGMENT = ("--since", "2023-11-14T22:23:20", "--until", "2023-11-14T22:25:00")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Three segments with a VIN in each; the first two were sold in one parcel."""
    clock = ManualClock(START_NS)
    with archive(tmp_path / "state", clock, wait=True) as parts:
        for _ in range(3):
            parts.journal.write(VinRead(VIN, "obd"))
            clock.advance(SEGMENT_NS)
        receipt = ParcelRegistered("00AB", int(Level.LV1), 1, 3, 99, "CD", 7, b"", b"")
        parts.journal.write(receipt)
        parts.journal.write(ConsentGranted("00AB", "BUYER", "owner", "EF"))
    return tmp_path / "state"


def vins(cli: Cli, state: Path) -> list[str | None]:
    """The VINs that can be read, None where one was erased."""
    out = cli("log", "show", state, "--kind", "vin-read", "--open", "--json").out
    lines = [json.loads(line) for line in out.splitlines()]
    assert all(("vin" in line) != line.get("erased", False) for line in lines)
    return [line.get("vin") for line in lines]


def test_a_time_is_erased_and_the_rest_is_there_and_the_log_verifies(state: Path, cli: Cli) -> None:
    result = cli("log", "erase", "--level", 1, *SECOND_SEGMENT, state, "--yes")
    assert result.code == 0
    assert result.out.startswith("erased: 1 keys destroyed\n  segments 2 to 2: 1 events of Lv1")
    assert vins(cli, state) == [VIN, None, VIN]
    assert cli("log", "verify", state).code == 0


def test_the_report_has_the_range_that_really_went_and_who_may_have_opened_it(
    state: Path, cli: Cli
) -> None:
    result = cli("log", "erase", "--level", 1, *DAY, state, "--yes", "--json")
    report = json.loads(result.out)
    [run] = report["runs"]
    assert (report["outcome"], report["keys_destroyed"]) == ("erased", 3)
    assert (run["first_segment"], run["last_segment"], run["events"]) == (1, 3, 3)
    assert (run["since"], run["until"]) == (
        "2023-11-14T22:13:20+00:00",
        "2023-11-14T22:33:20+00:00",
    )
    assert report["parcels"] == [
        {"level": 1, "parcel_id": "00AB", "first_seq": 1, "last_seq": 3, "buyers": ["BUYER"]}
    ]
    assert "custody stays on the chain" in report["not_recalled"]


def test_erasing_twice_is_done_both_times(state: Path, cli: Cli) -> None:
    arguments = ("log", "erase", "--level", 1, *DAY, state, "--yes", "--json")
    assert cli(*arguments).code == 0
    second = cli(*arguments)
    assert second.code == 0
    assert json.loads(second.out)["outcome"] == "nothing to erase"


def test_without_a_terminal_and_without_yes_nothing_happens(state: Path, cli: Cli) -> None:
    result = cli("log", "erase", "--level", 1, *DAY, state)
    assert result.code == 2
    assert "--yes" in result.complaint
    assert vins(cli, state) == [VIN] * 3


@pytest.mark.parametrize(("answer", "code", "left"), [("y", 0, [None] * 3), ("n", 1, [VIN] * 3)])
def test_on_a_terminal_the_plan_is_shown_and_the_owner_decides(
    answer: str, code: int, left: list[str | None], state: Path, cli: Cli
) -> None:
    ours, theirs = pty.openpty()
    os.write(ours, f"{answer}\n".encode())
    arguments = [sys.executable, "-m", "agent", "log", "erase", "--level", "1", *DAY, str(state)]
    done = subprocess.run(
        arguments, cwd=ROOT, stdin=theirs, capture_output=True, text=True, check=False
    )
    os.close(ours)
    os.close(theirs)
    assert done.returncode == code
    assert "segments 1 to 3: 3 events" in done.stderr
    assert "opened perhaps by BUYER" in done.stderr
    assert vins(cli, state) == left


def test_rt_70_a_held_range_is_refused_with_the_name_of_the_hold(state: Path, cli: Cli) -> None:
    held = cli("log", "hold", *DAY, "--reason", "crash", state, "--json")
    number = json.loads(held.out)["no"]

    refused = cli("log", "erase", "--level", 1, *DAY, state, "--yes")

    assert refused.code == 1
    assert f"hold {number} (crash, events" in refused.complaint
    assert vins(cli, state) == [VIN] * 3


def test_while_the_agent_runs_erasing_is_refused_with_its_process(state: Path, cli: Cli) -> None:
    with archive(state, ManualClock(START_NS), wait=True):
        result = cli("log", "erase", "--level", 1, *DAY, state, "--yes")
    assert result.code == 2
    assert f"in use by process {os.getpid()}" in result.complaint


@pytest.mark.parametrize("level", [0, 3, 4])
def test_levels_without_keys_are_refused(level: int, state: Path, cli: Cli) -> None:
    result = cli("log", "erase", "--level", level, *DAY, state, "--yes")
    assert result.code == 2
    assert str(level) in result.complaint


def test_a_device_key_that_is_nowhere_is_refused(state: Path, cli: Cli) -> None:
    result = cli("log", "erase", "--level", 1, *DAY, state, "--yes", "--device", "tin:key")
    assert (result.code, "tin" in result.complaint) == (2, True)


def test_a_time_that_ends_before_it_begins_is_refused(state: Path, cli: Cli) -> None:
    turned = ("--since", "2023-11-15", "--until", "2023-11-14")
    result = cli("log", "erase", "--level", 1, *turned, state, "--yes")
    assert (result.code, "ends before" in result.complaint) == (2, True)


@pytest.mark.parametrize(
    "command", [("erase", "--level", 1, "--yes"), ("hold", "--reason", "claim")]
)
def test_a_state_that_is_not_there_is_not_made(
    command: tuple[object, ...], cli: Cli, tmp_path: Path
) -> None:
    result = cli("log", *command, *DAY, tmp_path / "nowhere")
    assert result.code == 2
    assert "nowhere" in result.complaint
    assert not (tmp_path / "nowhere").exists()


def test_the_read_model_is_there_afterwards(state: Path, cli: Cli) -> None:
    cli("log", "erase", "--level", 1, *DAY, state, "--yes")
    assert (state / "readmodel.db").stat().st_size > 0

"""`amo-agent demo`: the main job, end to end, nothing in it pretended."""

import json
from pathlib import Path

import pytest

from agent.cli.demo import VIN
from tests.cli.conftest import Cli, Result
from tests.shared import RAV4, TOYOTA_DBC, needs_shared

KEYS = {
    "frames",
    "frames_lost",
    "signals",
    "bsms_sent",
    "bsms_heard",
    "bsm_lateness_ms_max",
    "bsm_ticks_late",
    "bsm_ticks_skipped",
    "events",
    "blocks",
    "parcels_registered",
    "bytes_uploaded",
    "grant_opened",
    "chain_intact",
    "peak_memory_bytes",
}


class Demo:
    """One short drive, looked at by all tests of this file."""

    def __init__(self, result: Result, state: Path, page: Path) -> None:
        self.result = result
        self.summary = json.loads(result.out)
        self.state = state
        self.page = page.read_text(encoding="utf-8")


_MADE: list[Demo] = []


@pytest.fixture
def demo(cli: Cli, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    if not _MADE:
        folder = tmp_path_factory.mktemp("demo")
        state, page = folder / "state", folder / "drive.html"
        result = cli("demo", "--seconds", 3, "--state", state, "--report", page, "--json")
        _MADE.append(Demo(result, state, page))
    return _MADE[0]


def test_everything_holds_and_the_exit_code_says_so(demo: Demo) -> None:
    assert (demo.result.code, demo.result.err) == (0, "")


def test_summary_has_the_promised_keys(demo: Demo) -> None:
    assert set(demo.summary) >= KEYS


def test_a_real_cars_frame_rate_passes_without_a_loss(demo: Demo) -> None:
    assert demo.summary["frames"] >= 3 * 1_600
    assert demo.summary["frames_lost"] == 0


def test_messages_go_out_and_are_heard_ten_times_a_second(demo: Demo) -> None:
    assert demo.summary["bsms_sent"] >= 25
    assert demo.summary["bsms_heard"] >= 25


def test_a_parcel_of_each_level_is_registered(demo: Demo) -> None:
    assert demo.summary["parcels_registered"] == 3


def test_the_buyer_opens_what_was_recorded(demo: Demo) -> None:
    assert demo.summary["grant_opened"] is True
    assert demo.summary["records_opened"] > 5_000


def test_the_chain_holds_when_looked_at_again(demo: Demo, cli: Cli) -> None:
    assert cli("log", "verify", demo.state).code == 0


def test_the_vin_is_in_the_log_for_the_owner_alone(demo: Demo, cli: Cli) -> None:
    sealed = cli("log", "show", demo.state, "--kind", "vin-read", "--json").out
    opened = cli("log", "show", demo.state, "--kind", "vin-read", "--json", "--open").out
    assert VIN not in sealed
    assert VIN in opened


def test_nothing_personal_is_in_clear_in_the_state_directory(demo: Demo) -> None:
    files = [path for path in demo.state.rglob("*") if path.is_file()]
    assert files
    assert not [path for path in files if VIN.encode() in path.read_bytes()]


def test_nothing_waits_in_the_outbox_once_it_was_sent(demo: Demo) -> None:
    assert list((demo.state / "outbox").iterdir()) == []


def test_the_report_is_one_page_that_loads_nothing(demo: Demo) -> None:
    assert demo.page.startswith("<!doctype html>")
    assert "<polyline" in demo.page
    assert "intact" in demo.page
    assert not [word for word in ("http://", "https://", "<script", "src=") if word in demo.page]


@needs_shared
def test_a_recorded_drive_takes_the_cars_place(cli: Cli) -> None:
    log = RAV4 / "can.log.gz"

    result = cli("demo", "--log", log, "--dbc", TOYOTA_DBC, "--seconds", 2, "--json")

    summary = json.loads(result.out)
    assert result.code == 0, result.err
    assert summary["frames"] > 2_500
    assert (summary["frames_lost"], summary["grant_opened"]) == (0, True)

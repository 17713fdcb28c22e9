"""`amo-agent report`: what a person reads of a drive."""

from pathlib import Path

from agent.archive import archive
from agent.clock import SECOND, ManualClock
from agent.events import DtcCleared, DtcSet, FreezeFrameRead
from tests.cli.conftest import Cli

START_NS = 1_795_000_000 * SECOND


def test_codes_are_told_with_their_meaning(cli: Cli, tmp_path: Path) -> None:
    state, page = tmp_path / "state", tmp_path / "drive.html"
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        write = parts.journal.write
        write(DtcSet("P0301", "7E8", "pending"))
        write(DtcSet("P1234", "7E8"))
        write(FreezeFrameRead("7E8", "P0301", {"speed.vehicle": 12.5}))
        write(DtcCleared("P0420-00", "18DAF110", "confirmed"))
    assert cli("report", state, "--out", page).code == 0
    text = page.read_text(encoding="utf-8")
    for words in (
        "P0301 (misfire, cylinder 1), pending in 7E8",
        "P1234, stored in 7E8",
        "P0301 (misfire, cylinder 1) in 7E8: speed.vehicle 12.5",
        "P0420-00 (catalyst, bank 1: efficiency too low), confirmed in 18DAF110",
    ):
        assert words in text
    shown = cli("log", "show", state, "--kind", "dtc-set").out
    assert "code=P0301 ecu=7E8 memory=pending meaning=misfire, cylinder 1" in shown
    assert "meaning" not in next(line for line in shown.splitlines() if "P1234" in line)

"""`amo-agent log export`: what is in the log is in the file, and nothing that was sealed."""

import csv
import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import asammdf
import pytest
from pyarrow import parquet as pq

from agent.archive import SEGMENTS, archive
from agent.clock import MS, ClockQuality, ManualClock
from agent.events import (
    AgentStopped,
    CapturedFrame,
    DtcSet,
    FramesCaptured,
    SignalsSampled,
    VinRead,
)
from agent.eventstore.log import Draft
from agent.obd.logfile import LogFile
from agent.privacy import Level
from agent.wallet.segments import SegmentStore
from tests.cli.conftest import Cli
from tests.conftest import START_NS

ROOT = Path(__file__).parents[2]
VIN = "JF1VA1A60G9812345"
FORMATS = ["csv", "jsonl", "parquet", "candump", "mf4"]
TICKS = 40


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Four seconds of a car: clear and sealed samples, a VIN, a fault and raw frames."""
    clock = ManualClock(START_NS)
    with archive(tmp_path / "state", clock, wait=True) as parts:
        write = parts.journal.write
        write(VinRead(VIN, "obd"))
        for tick in range(TICKS):
            now_ns = clock.now_ns()
            speed = {"speed.vehicle": ([0, 50 * MS], [tick / 2, tick / 2 + 0.25])}
            write(SignalsSampled("can0", now_ns, speed), level=Level.LV3)
            write(SignalsSampled("can0", now_ns, {"can.Seat.heat": ([0], [1.0])}))
            write(FramesCaptured("can0", now_ns, [CapturedFrame(9_000, 0x7E8, 0, bytes(8))]))
            clock.advance(100 * MS)
        write(DtcSet("P0301", "7E8"))
    return tmp_path / "state"


def strange(state: Path, payload: bytes) -> None:
    """An event of a kind that this version does not know."""
    clock = ManualClock(START_NS)
    with archive(state, clock, wait=True) as parts:
        parts.log.append([Draft("=1+1/9", Level.LV3, START_NS, 0, ClockQuality.FREE, payload)])


def run(
    *arguments: object, stdout: int | None = None, stderr: int | None = None
) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "agent", "log", "export", *map(str, arguments)]
    return subprocess.run(command, stdout=stdout, stderr=stderr, check=False, cwd=ROOT, text=True)


def test_json_lines_are_what_show_prints(state: Path, cli: Cli) -> None:
    some = ["--kind", "signals", "--limit", 5], ["--after", 30, "--until", "2023-11-14T22:13:21"]
    for options in ([], ["--open"], *some):
        shown = cli("log", "show", state, "--json", *options).out
        assert shown
        assert cli("log", "export", state, "--format", "jsonl", *options).out == shown


def test_every_sample_is_a_row_of_csv_and_of_parquet(state: Path, cli: Cli, tmp_path: Path) -> None:
    where = ["log", "export", state, "--kind", "signals", "--open", "--out"]
    assert cli(*where, tmp_path / "drive.csv", "--format", "csv").code == 0
    assert cli(*where, tmp_path / "drive.parquet", "--format", "parquet").code == 0

    text = (tmp_path / "drive.csv").read_text(encoding="utf-8")
    commas = list(csv.DictReader(io.StringIO(text, newline=""), strict=True))
    columns = pq.read_table(tmp_path / "drive.parquet").to_pylist()

    assert len(commas) == 3 * TICKS
    assert [(row["name"], float(row["value"])) for row in commas] == [
        (row["name"], row["value"]) for row in columns
    ]
    assert {row["t_ns"] - START_NS for row in columns if row["name"] == "speed.vehicle"} == {
        50 * MS * n for n in range(2 * TICKS)
    }


def test_frames_are_read_back_from_candump(state: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("log", "export", state, "--format", "candump", "--out", tmp_path / "f.log").code == 0
    frames = list(LogFile(tmp_path / "f.log"))
    assert [frame.t_ns for frame in frames] == [START_NS + 9_000 + 100 * MS * n for n in range(40)]
    assert {(frame.can_id, frame.data, frame.channel) for frame in frames} == {
        (0x7E8, bytes(8), "can0")
    }


def test_samples_are_read_back_from_mf4(state: Path, cli: Cli, tmp_path: Path) -> None:
    assert cli("log", "export", state, "--format", "mf4", "--out", tmp_path / "d.mf4").code == 0
    signal = asammdf.MDF(tmp_path / "d.mf4").get("speed.vehicle")
    assert (len(signal), signal.unit, signal.samples[-1]) == (2 * TICKS, "m/s", 19.75)


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_sealed_is_in_the_file_unless_it_is_opened(
    form: str, state: Path, cli: Cli, tmp_path: Path
) -> None:
    closed, opened = tmp_path / "closed", tmp_path / "opened"
    said = cli("log", "export", state, "--format", form, "--out", closed)
    assert said.code == 0
    assert cli("log", "export", state, "--format", form, "--out", opened, "--open").code == 0
    personal = [VIN.encode(), b"can.Seat.heat"]
    assert not any(word in closed.read_bytes() for word in personal)
    if form in {"csv", "jsonl"}:
        assert all(word in opened.read_bytes() for word in personal)
        assert f"{TICKS + 1} of them sealed" in said.out
    if form == "mf4":
        assert personal[1] in opened.read_bytes()
        assert f"{TICKS} of them sealed" in said.out


def test_an_event_that_is_not_understood_is_counted_and_the_rest_is_there(
    state: Path, cli: Cli, tmp_path: Path
) -> None:
    strange(state, b"?")
    result = cli("log", "export", state, "--format", "jsonl", "--out", tmp_path / "all.jsonl")
    lines = (tmp_path / "all.jsonl").read_text().splitlines()
    assert result.code == 1
    assert "1 of them not to be opened or understood" in result.out
    assert len(lines) == json.loads(lines[-1])["seq"]
    assert sum("unknown" in json.loads(line) for line in lines) == 1


def test_what_was_erased_stays_sealed_and_the_rest_is_opened(state: Path, cli: Cli) -> None:
    with closing(SegmentStore(state / "keys" / SEGMENTS)) as keys:
        assert keys.destroy(1, keys.newest(), Level.LV1)
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(VinRead(VIN, "can0"))

    result = cli("log", "export", state, "--format", "jsonl", "--open")

    events = [json.loads(line) for line in result.out.splitlines()]
    assert [event["vin"] for event in events if "vin" in event] == [VIN]
    assert sum(event.get("erased", False) for event in events) == TICKS + 1
    assert (result.code, f"{TICKS + 1} of them erased" in result.err) == (0, True)


def test_rt_81_a_log_made_by_an_attacker_puts_no_formula_into_a_cell(
    cli: Cli, tmp_path: Path
) -> None:
    bus = "=cmd|'/C_calc'!A0"
    log = tmp_path / "drive.log"
    log.write_text(f"(1000000000.000000) {bus} 0AA#1A6F1A6F1A6F1A6F\n" * 9)
    dbc = ROOT / "dbc" / "simcar.dbc"
    assert cli("replay", log, "--dbc", dbc, "--state", tmp_path / "state").code == 0
    strange(tmp_path / "state", b"=1+1")

    out = cli("log", "export", tmp_path / "state", "--format", "csv", "--open").out

    rows = list(csv.reader(io.StringIO(out, newline=""), strict=True))
    assert f"'{bus}" in {row[5] for row in rows}
    assert "'=1+1/9" in {row[3] for row in rows}
    assert not [cell for row in rows for cell in row if cell.startswith(tuple("=+-@\t\r"))]


@pytest.mark.parametrize("form", ["jsonl", "csv", "candump", "parquet"])
def test_a_reader_that_has_seen_enough_is_no_failure(form: str, state: Path) -> None:
    nobody, pipe = os.pipe()
    os.close(nobody)
    done = run(state, "--format", form, stdout=pipe, stderr=subprocess.PIPE)
    os.close(pipe)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("form", ["parquet", "mf4"])
def test_binary_forms_are_not_written_to_a_terminal(form: str, state: Path) -> None:
    with _terminal() as (ours, theirs):
        done = run(state, "--format", form, stdout=theirs, stderr=subprocess.PIPE)
        os.set_blocking(ours, False)
        with pytest.raises(BlockingIOError):
            os.read(ours, 1)
    assert done.returncode == 2
    assert "--out FILE" in done.stderr


def test_a_terminal_shows_how_far_it_is(state: Path, tmp_path: Path) -> None:
    with _terminal() as (ours, theirs):
        done = run(state, "--format", "csv", "--out", tmp_path / "d.csv", stderr=theirs)
        assert b"exporting" in os.read(ours, 4096)
    assert done.returncode == 0


def test_an_export_that_does_not_fit_leaves_nothing_behind(state: Path, tmp_path: Path) -> None:
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(AgentStopped("x" * 60_000))
    place = tmp_path / "out" / "d.jsonl"
    place.parent.mkdir()
    command = f"{sys.executable} -m agent log export {state} --format jsonl --out {place}"
    limited = ["bash", "-c", f"ulimit -f 50; {command}"]
    done = subprocess.run(limited, capture_output=True, check=False, cwd=ROOT, text=True)
    assert (done.returncode, done.stderr) == (2, f"amo-agent: {place}: File too large\n")
    assert list(place.parent.iterdir()) == []


def test_the_log_and_its_directory_are_no_place_for_an_export(
    state: Path, cli: Cli, tmp_path: Path
) -> None:
    before = (state / "events.db").read_bytes()
    for out in (state / "d.csv", state / "keys" / "d.csv", state / "events.db"):
        result = cli("log", "export", state, "--format", "csv", "--out", out)
        assert result.code == 2
        assert str(out) in result.complaint
    (tmp_path / "copy.db").write_bytes(before)
    copy = tmp_path / "copy.db"
    assert cli("log", "export", copy, "--format", "csv", "--out", copy).code == 2
    assert (copy.read_bytes(), (state / "events.db").read_bytes()) == (before, before)


def test_a_missing_library_is_named_with_what_to_install(
    state: Path, cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "agent.export.parquet", raising=False)
    result = cli("log", "export", state, "--format", "parquet", "--out", tmp_path / "d.parquet")
    assert result.code == 2
    assert "pyarrow" in result.complaint
    assert "amo-agent[export]" in result.complaint
    assert not (tmp_path / "d.parquet").exists()


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--format", "xml"], "xml"),
        (["--format", "mf4"], "--out FILE"),
        (["--format", "csv", "--out", "/nowhere/d.csv"], "/nowhere/d.csv"),
        (["--format", "csv", "--limit", "0"], "0"),
        ([], "--format"),
    ],
)
def test_wrong_options_are_refused_by_name(
    options: list[str], named: str, state: Path, cli: Cli
) -> None:
    result = cli("log", "export", state, *options)
    assert result.code == 2
    assert named in result.complaint


@contextmanager
def _terminal() -> Iterator[tuple[int, int]]:
    """(our end, the end of the program)."""
    ends = pty.openpty()
    try:
        yield ends
    finally:
        for end in ends:
            os.close(end)

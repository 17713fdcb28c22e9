"""`amo-agent replay`: every recorded form passes, broken lines cost themselves."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from agent.events import SignalsSampled, decode
from agent.eventstore.reader import LogReader
from agent.privacy import Level
from tests.cli.conftest import Cli
from tests.shared import RAV4, SHARED, TOYOTA_DBC, needs_shared

SIMCAR = Path(__file__).parents[2] / "dbc" / "simcar.dbc"
LINES = "".join(
    f"(1000000000.{n:06d}) can0 0AA#1A6F1A6F1A6F1A6F\n" for n in range(0, 300_000, 10_000)
)


def recordings() -> list[Path]:
    """Every recorded log that lies beside the project."""
    found = (SHARED / "data" / "can").rglob("*")
    rest = {"LICENSE", "LICENSE.txt"}
    forms = (".log", ".asc", ".blf", ".trc", ".csv", ".txt")
    logs = [p for p in found if p.name not in rest and p.name.removesuffix(".gz").endswith(forms)]
    truth = ("truth_", "gnss_", "imu_", "obd-scan-report")
    return sorted(path for path in logs if not path.name.startswith(truth))


@needs_shared
def test_there_are_recordings_of_every_form_to_read() -> None:
    assert len(recordings()) >= 25


@pytest.mark.parametrize("path", recordings(), ids=lambda path: path.name)
def test_recorded_log_passes_through_the_whole_pipeline(path: Path, cli: Cli) -> None:
    result = cli("replay", path, "--json")

    summary = json.loads(result.out)
    assert result.code == 0
    assert summary["chain_intact"] is True
    assert summary["frames_lost"] == 0
    assert summary["frames"] + summary["frames_without_data"] > 0


@needs_shared
def test_rav4_drive_is_read_whole_and_its_state_is_kept(cli: Cli, tmp_path: Path) -> None:
    state = tmp_path / "drive"
    log = RAV4 / "can.log.gz"

    result = cli("replay", log, "--dbc", TOYOTA_DBC, "--state", state, "--json")

    summary = json.loads(result.out)
    assert summary["frames"] == 65_879
    assert summary["signals"] > 100_000
    assert cli("log", "verify", state).code == 0


def test_broken_line_is_named_and_costs_only_itself(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "drive.log"
    log.write_text(LINES[: len(LINES) // 2] + "(nonsense) can0 zz#\n" + LINES[len(LINES) // 2 :])

    result = cli("replay", log, "--json")

    summary = json.loads(result.out)
    assert (result.code, summary["lines_broken"]) == (0, 1)
    assert summary["frames"] == 30
    assert "line 16" in result.err


def test_a_second_replay_goes_on_in_the_same_log(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "drive.log"
    log.write_text(LINES)
    state = tmp_path / "state"
    first = json.loads(cli("replay", log, "--state", state, "--json").out)

    second = json.loads(cli("replay", log, "--state", state, "--json").out)

    assert second["events"] > first["events"]
    assert second["chain_intact"] is True


def test_a_log_at_a_given_speed_gives_the_same_frames(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "drive.log.gz"
    log.write_bytes(gzip.compress(LINES.encode()))

    summary = json.loads(cli("replay", log, "--speed", "10", "--json").out)

    assert (summary["frames"], summary["frames_lost"]) == (30, 0)


def test_frames_that_all_carry_one_time_are_written_in_pieces(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "drive.log"
    log.write_text("(166.000000) can0 0B4#000000001D0B7A5E\n" * 9_000)

    summary = json.loads(cli("replay", log, "--dbc", SIMCAR, "--json").out)

    assert (summary["frames"], summary["frames_lost"]) == (9_000, 0)


def test_times_that_go_back_and_long_gaps_lose_nothing(cli: Cli, tmp_path: Path) -> None:
    times = ("1000.0", "1000.1", "940.0", "940.2", "4000000.0", "4000000.1", "0.0")
    log = tmp_path / "drive.log"
    log.write_text("".join(f"({t}00000) can0 0AA#00\n" for t in times))

    summary = json.loads(cli("replay", log, "--json").out)

    assert (summary["frames"], summary["chain_intact"]) == (7, True)


def test_standard_input_is_read_as_a_log() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "agent", "replay", "-", "--json"],
        input=gzip.compress(LINES.encode()),
        capture_output=True,
        check=False,
        cwd=SIMCAR.parents[1],
    )
    assert (done.returncode, json.loads(done.stdout)["frames"]) == (0, 30)


def test_a_time_no_clock_can_show_costs_its_frame_alone(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "drive.log"
    log.write_text(LINES + "(9223372036.800000) can0 0AA#00\n")

    summary = json.loads(cli("replay", log, "--json").out)

    assert (summary["frames"], summary["lines_broken"]) == (30, 1)


def test_messages_are_made_where_the_recording_has_positions(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "drive.log").write_text(LINES)
    body = "GPRMC,014640.{:03d},A,3724.000,N,12706.000,E,027.2,090.0,090901,,,A"
    lines = []
    for ms in range(0, 300, 100):
        text = body.format(ms)
        check = 0
        for character in text:
            check ^= ord(character)
        lines.append(f"${text}*{check:02X}\r\n")
    (tmp_path / "drive.nmea").write_text("".join(lines))

    result = cli("replay", tmp_path / "drive.log", "--nmea", tmp_path / "drive.nmea", "--json")

    assert json.loads(result.out)["bsms_made"] > 0


def test_a_speed_that_is_no_number_is_refused(cli: Cli, tmp_path: Path) -> None:
    log = tmp_path / "drive.log"
    log.write_text(LINES)
    result = cli("replay", log, "--speed", "fast")
    assert result.code == 2
    assert "fast" in result.complaint


@needs_shared
@pytest.mark.parametrize(("factor", "doubted"), [("(0.15, 0)", 0), ("(-0.15, 0)", 1)])
def test_an_acceleration_of_the_wrong_sign_is_told_in_one_line(
    cli: Cli, tmp_path: Path, factor: str, doubted: int
) -> None:
    drive = SHARED / "data" / "can" / "subaru-wrx-sti"
    text = (drive / "sample_can_spec.dbc").read_text(encoding="utf-8")
    dbc = tmp_path / "car.dbc"
    dbc.write_text(text.replace("56|8@1- (0.15, 0)", f"56|8@1- {factor}"), encoding="utf-8")

    result = cli("replay", drive / "can_sample.first30s.log.gz", "--dbc", dbc)

    lines = [line for line in result.err.splitlines() if "doubted" in line]
    assert len(lines) == doubted
    assert all(line.startswith("acceleration.longitudinal is doubted") for line in lines)
    assert result.code == 0


def odd_log() -> str:
    """Of a recorder whose clock has whole seconds, was set back, and which slept for a minute."""
    lines = []
    second = 1_600_000_000
    for number in range(300):
        lines.append(f"({second}) can0 0A1#{number.to_bytes(8, 'little').hex()}\n")
        second += number % 10 == 9
        second += {100: -3600, 150: 61}.get(number, 0)
    lines[200:200] = [
        f"({second}) can0 123#R\n",
        f"({second}) can0 20000004#0010000000000000\n",
        f"({second}) can0 20000040#0000000000000000\n",
        f"({second}) can0 20000100#0000000000000000\n",
    ]
    return "".join(lines)


def test_odd_times_are_counted_and_the_order_is_that_of_the_recording(
    cli: Cli, tmp_path: Path
) -> None:
    log, state = tmp_path / "odd.log", tmp_path / "state"
    log.write_text(odd_log())

    result = cli("replay", log, "--dbc", SIMCAR, "--state", state, "--json")

    summary = json.loads(result.out)
    assert result.code == 0
    assert {name: summary[name] for name in summary if name.startswith("times_")} == {
        "times_back": 1,
        "times_back_s_max": 3600.0,
        "times_gaps": 1,
        "times_gap_s_max": 61.0,
        "times_whole_seconds": True,
    }
    assert (summary["frames"], summary["frames_lost"], summary["frames_remote"]) == (300, 0, 1)
    assert summary["error_frames"] == {"error passive": 1, "bus off": 1, "restarted": 1}
    kmh = [raw / 100 for raw in range(300)]
    assert recorded_values(state, "speed.vehicle") == pytest.approx([v / 3.6 for v in kmh])


def recorded_values(state: Path, name: str) -> list[float]:
    """Of one signal, in the order of the log."""
    with LogReader.open(state / "events.db") as log:
        events = [decode(one.kind, one.payload) for one in log.read() if one.level == Level.LV3]
    sampled = [event for event in events if isinstance(event, SignalsSampled)]
    return [v for event in sampled for v in event.series.get(name, ([], []))[1]]


def test_log_answers_what_became_of_every_frame(cli: Cli, tmp_path: Path) -> None:
    log, state = tmp_path / "odd.log", tmp_path / "state"
    log.write_text(odd_log() + "(1600000000) can0 7FF#00\n(1600000000) can0 0A1#0\n")
    cli("replay", log, "--dbc", SIMCAR, "--state", state)

    inputs = json.loads(cli("log", "state", state, "--json").out)["inputs"]

    assert {row["fate"]: row["count"] for row in inputs} == {
        "decoded": 300,
        "undescribed": 1,
        "broken": 1,
        "remote": 1,
        "error: error passive": 1,
        "error: bus off": 1,
        "error: restarted": 1,
    }
    assert {row["uri"] for row in inputs} == {"replay:odd.log"}
    assert sum(row["count"] for row in inputs) == len(log.read_text().splitlines())

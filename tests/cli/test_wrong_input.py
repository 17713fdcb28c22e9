"""Wrong input ends in one line on stderr that names it, and exit code 2; a configuration in 78."""

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli

FRAME = "(1000000000.000000) can0 0AA#1A6F1A6F1A6F1A6F\n"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "drive.log"
    path.write_text(FRAME)
    return path


@pytest.mark.parametrize("command", [["replay"], ["demo", "--log"]])
def test_a_log_that_is_not_there_is_refused_by_name(command: list[str], cli: Cli) -> None:
    result = cli(*command, "/nowhere/drive.log")
    assert result.code == 2
    assert "/nowhere/drive.log" in result.complaint


@pytest.mark.parametrize("command", [["replay"], ["demo", "--log"]])
def test_an_empty_log_is_refused_by_name(command: list[str], cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "empty.log").touch()
    result = cli(*command, tmp_path / "empty.log")
    assert result.code == 2
    assert "empty.log" in result.complaint


def test_a_log_of_noise_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "noise.log").write_bytes(os.urandom(4096))
    result = cli("replay", tmp_path / "noise.log")
    assert result.code == 2
    assert "noise.log" in result.complaint


def test_a_dbc_that_is_not_one_is_refused(cli: Cli, log: Path, tmp_path: Path) -> None:
    (tmp_path / "car.dbc").write_text("these are not the messages you look for\n")
    result = cli("replay", log, "--dbc", tmp_path / "car.dbc")
    assert result.code == 2
    assert "car.dbc" in result.complaint


def test_a_dbc_that_is_not_there_is_refused(cli: Cli, log: Path) -> None:
    result = cli("replay", log, "--dbc", "/nowhere/car.dbc")
    assert result.code == 2
    assert "/nowhere/car.dbc" in result.complaint


def test_a_receiver_log_without_a_position_sentence_is_refused(cli: Cli, log: Path) -> None:
    result = cli("replay", log, "--nmea", log)
    assert result.code == 2
    assert log.name in result.complaint


def test_a_state_directory_of_another_program_is_left_alone(
    cli: Cli, log: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "wallet.dat").write_text("not yours")

    result = cli("replay", log, "--state", other)

    assert result.code == 2
    assert "wallet.dat" in result.complaint
    assert [path.name for path in other.iterdir()] == ["wallet.dat"]


def test_another_programs_database_is_left_alone(cli: Cli, log: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir(mode=0o700)
    with sqlite3.connect(other / "events.db") as database:
        database.execute("CREATE TABLE theirs(x)")
    database.close()
    before = (other / "events.db").read_bytes()

    result = cli("replay", log, "--state", other)

    assert result.code == 2
    assert "events.db" in result.complaint
    assert (other / "events.db").read_bytes() == before


def test_a_file_in_place_of_the_state_directory_is_refused(cli: Cli, log: Path) -> None:
    result = cli("replay", log, "--state", log)
    assert result.code == 2
    assert log.name in result.complaint


def test_a_state_directory_whose_name_sqlite_cannot_take_is_refused(
    cli: Cli, log: Path, tmp_path: Path
) -> None:
    state = tmp_path / os.fsdecode(b"st\xff")
    assert "UTF-8" in cli("replay", log, "--state", state).complaint
    assert not state.exists()
    state.mkdir()
    (state / "events.db").touch()
    for command in ("verify", "show", "state"):
        result = cli("log", command, state)
        assert (result.code, "UTF-8" in result.complaint) == (2, True)


def test_a_read_only_disk_is_refused(log: Path, tmp_path: Path) -> None:
    """In a mount namespace of its own, since root may write wherever it is not mounted ro."""
    place = tmp_path / "disk"
    place.mkdir()
    if shutil.which("unshare") is None:
        pytest.skip("unshare is not installed")
    command = f"{sys.executable} -m agent replay {log} --state {place}/state"
    script = f"mount -t tmpfs -o ro none {place} && exec {command}"
    unshare = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    if subprocess.run([*unshare, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this machine does not let us make a mount namespace")

    done = subprocess.run([*unshare, script], check=False, capture_output=True, text=True)

    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "Read-only file system" in done.stderr


def test_a_port_in_use_is_refused_by_number(cli: Cli) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = cli("devnode", "--port", port, "--storage-port", 0)
    assert result.code == 2
    assert str(port) in result.complaint


def test_an_unknown_command_is_refused_by_name(cli: Cli) -> None:
    result = cli("fly")
    assert result.code == 2
    assert "fly" in result.complaint


def test_an_unknown_option_is_refused_by_name(cli: Cli) -> None:
    result = cli("demo", "--fly")
    assert result.code == 2
    assert "--fly" in result.complaint


def test_a_number_over_its_limit_is_refused_with_the_limit(cli: Cli) -> None:
    result = cli("demo", "--seconds", "0")
    assert result.code == 2
    assert "1" in result.complaint


@pytest.mark.parametrize("number", ["nan", "inf", "-1", "1000000", "x"])
def test_seconds_that_no_drive_can_last_are_refused(number: str, cli: Cli) -> None:
    result = cli("demo", "--seconds", number)
    assert result.code == 2
    assert number in result.complaint


def test_a_directory_in_place_of_the_report_is_refused_before_the_drive(
    cli: Cli, tmp_path: Path
) -> None:
    result = cli("demo", "--report", tmp_path)
    assert result.code == 2
    assert tmp_path.name in result.complaint


def test_both_forms_of_dbc_at_once_are_refused(cli: Cli, log: Path) -> None:
    simcar = Path(__file__).parents[2] / "dbc" / "simcar.dbc"
    result = cli("replay", log, "--dbc", simcar, "--dbc", f"can0={simcar}")
    assert result.code == 2
    assert "CHANNEL=FILE" in result.complaint


def test_output_that_cannot_be_written_is_told(log: Path) -> None:
    command = f"{sys.executable} -m agent replay {log} --json > /dev/full"
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert done.returncode == 2
    assert "No space left" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_log_to_verify_that_is_not_there_is_refused(cli: Cli, tmp_path: Path) -> None:
    result = cli("log", "verify", tmp_path / "nothing")
    assert result.code == 2
    assert "nothing" in result.complaint


def test_a_report_that_cannot_be_written_is_refused(cli: Cli, log: Path, tmp_path: Path) -> None:
    state = tmp_path / "state"
    cli("replay", log, "--state", state)
    result = cli("report", state, "--out", "/nowhere/drive.html")
    assert result.code == 2
    assert "/nowhere/drive.html" in result.complaint


@pytest.mark.parametrize("command", [["report"], ["log", "prove", "1"]])
@pytest.mark.parametrize("name", ["events.db", "page.html", "keys/owner.key"])
def test_a_result_never_takes_a_place_in_the_state_directory(
    command: list[str], name: str, cli: Cli, log: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    cli("replay", log, "--state", state)
    before = {path: path.read_bytes() for path in state.glob("**/*.[dhk]*")}

    result = cli(*command, state, "--out", state / name)

    assert result.code == 2
    assert name in result.complaint
    assert {path: path.read_bytes() for path in before} == before
    assert (state / name in before) is (state / name).exists()


@pytest.mark.parametrize("stream", [0, 1, 2])
@pytest.mark.parametrize(
    "command", ["log verify {state}", "log prove 1 {state}", "log erase {erase} {state}"]
)
def test_a_stream_that_comes_closed_is_as_one_that_leads_nowhere(
    command: str, stream: int, cli: Cli, log: Path, tmp_path: Path
) -> None:
    cli("replay", log, "--state", tmp_path / "state")
    erase = "--level 1 --since 2001-09-09 --until 2001-09-10"
    words = command.format(state=tmp_path / "state", erase=erase)
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m agent {words} {stream}>&-"],
        input="",
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    assert "Traceback" not in done.stderr
    assert done.returncode == (2 if "erase" in command else 0), "nobody is there to ask"


def test_an_unusable_configuration_has_an_exit_code_of_its_own(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text("[[bus]]\nuri = 5\n")
    result = cli("run", "--config", tmp_path / "agent.toml")
    assert result.code == 78
    assert "bus[0].uri = 5" in result.complaint


@pytest.mark.parametrize(
    "command",
    [
        ["demo"],
        ["replay"],
        ["run"],
        ["log"],
        ["log", "verify"],
        ["log", "show"],
        ["log", "export"],
        ["report"],
        ["devnode"],
    ],
)
def test_every_command_explains_itself_with_an_example(command: list[str], cli: Cli) -> None:
    result = cli(*command, "--help")
    assert result.code == 0
    assert "Example: amo-agent" in result.out

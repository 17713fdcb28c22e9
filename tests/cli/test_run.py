"""`amo-agent run`: the service as systemd starts and stops it."""

import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.control import name_of
from agent.wallet.token import create_key
from tests.cli.conftest import Cli
from tests.tokens import SwTpm

ROOT = Path(__file__).parents[2]
SIMCAR = ROOT / "dbc" / "simcar.dbc"
LINES = "".join(
    f"(1000000000.{n:06d}) can0 0AA#1A6F1A6F1A6F1A6F\n" for n in range(0, 300_000, 10_000)
)


class Supervisor:
    """What systemd is to the agent: it starts it, listens to its notifications, stops it."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.config = folder / "agent.toml"
        self._address = str(folder / "notify")
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self._address)
        self._socket.settimeout(20)
        self.agent: subprocess.Popen[str] | None = None

    def start(self, bus: str, more: str = "", *options: str) -> None:
        self.config.write_text(f'state = "{self.state}"\n[[bus]]\nuri = "{bus}"\n{more}')
        self.agent = subprocess.Popen(
            [sys.executable, "-m", "agent", "run", "--config", str(self.config), *options],
            env={"NOTIFY_SOCKET": self._address, "PATH": "/usr/bin:/bin"},
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )

    def told(self) -> str:
        return self._socket.recv(100).decode()

    def stop(self, number: int = signal.SIGTERM) -> int:
        assert self.agent is not None
        self.agent.send_signal(number)
        return self.agent.wait(5)

    def close(self) -> None:
        if self.agent is not None:
            self.agent.kill()
            self.agent.communicate()
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path)
    yield made
    made.close()


def shown(cli: Cli, state: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in cli("log", "show", state, "--json").out.splitlines()]


def test_service_tells_that_it_is_ready_and_that_it_lives(supervisor: Supervisor) -> None:
    supervisor.start("virtual:test-run")
    assert supervisor.told() == "READY=1"
    assert supervisor.told() == "WATCHDOG=1"


def test_sigterm_ends_it_within_five_seconds_with_the_open_block_written(
    supervisor: Supervisor, cli: Cli
) -> None:
    supervisor.start("virtual:test-stop")
    supervisor.told()

    assert supervisor.stop() == 0

    events = shown(cli, supervisor.state)
    last = ["input-closed/1", "agent-stopped/1", "log-sealed/1"]
    assert [event["kind"] for event in events[-3:]] == last
    assert cli("log", "verify", supervisor.state).code == 0


def test_rt_49_killed_service_leaves_no_lock_and_a_log_that_holds(
    supervisor: Supervisor, cli: Cli
) -> None:
    supervisor.start("virtual:test-kill")
    supervisor.told()

    supervisor.stop(signal.SIGKILL)

    assert supervisor.agent is not None
    supervisor.agent.communicate()
    assert cli("log", "verify", supervisor.state).code == 0
    supervisor.start("virtual:test-kill")
    while supervisor.told() != "READY=1":
        pass  # what the killed one had still said
    assert supervisor.stop() == 0


def test_rt_49_a_second_instance_on_the_same_state_is_refused(
    supervisor: Supervisor, cli: Cli
) -> None:
    supervisor.start("virtual:test-second")
    supervisor.told()

    result = cli("run", "--config", supervisor.config)

    assert result.code == 2
    assert str(supervisor.state) in result.complaint
    assert supervisor.stop() == 0


def test_who_takes_the_name_of_its_socket_keeps_commands_away_and_not_the_recording(
    supervisor: Supervisor,
) -> None:
    with socket.socket(socket.AF_UNIX) as taken:
        taken.bind(name_of(supervisor.state))
        nobody = 'rpc = ["http://127.0.0.1:9"]\nstorage = "http://127.0.0.1:9"\n'
        supervisor.start("virtual:test-taken", f"[upload]\n{nobody}")
        assert supervisor.told() == "READY=1"
        assert supervisor.stop() == 0
    assert supervisor.agent is not None
    assert supervisor.agent.stderr is not None
    assert "takes no commands" in supervisor.agent.stderr.read()


def test_recorded_bus_is_read_to_its_end_and_ends_the_service(
    supervisor: Supervisor, cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "drive.log").write_text(LINES)
    supervisor.start(f"replay:{tmp_path / 'drive.log'}", f'dbc = ["{SIMCAR}"]\n')
    assert supervisor.agent is not None

    assert supervisor.agent.wait(20) == 0

    closed = [e for e in shown(cli, supervisor.state) if e["kind"] == "input-closed/1"]
    assert [(e["taken"], e["reason"]) for e in closed] == [(30, "ended")]


def test_a_bus_that_is_not_there_is_tried_again_and_stops_nothing(
    supervisor: Supervisor,
) -> None:
    supervisor.start("can:amo-nowhere0")
    assert supervisor.told() == "READY=1"
    assert supervisor.stop() == 0
    assert supervisor.agent is not None
    assert supervisor.agent.stderr is not None
    assert "source lost" in supervisor.agent.stderr.read()


@pytest.mark.parametrize(
    ("bus", "more", "named"),
    [
        ("tin:can0", "", "tin:can0"),
        ("virtual:x", 'dbc = ["/nowhere/car.dbc"]\n', "/nowhere/car.dbc"),
        ("virtual:x", '[gnss]\nuri = "nmea:/nowhere/x.nmea"\n', "/nowhere/x.nmea"),
        ("slcan:/dev/null@500000", "queries = true\n", "bus.queries"),
        ("elm:/dev/ttyUSB0@38400", "", "it needs queries = true"),
        ("elm:tcp:adapter", "queries = true\n", "elm:tcp:HOST:PORT"),
        ("virtual:x", '[keys]\ndevice = "dev:1"\n', "keys.device: key 'dev': no such scheme"),
        ("virtual:x", '[keys]\ndevice = "pkcs11:object=a"\n', "keys.device: pkcs11:object=a: mod"),
    ],
)
def test_configuration_that_cannot_work_ends_with_its_own_code(
    bus: str, more: str, named: str, supervisor: Supervisor
) -> None:
    supervisor.start(bus, more)
    assert supervisor.agent is not None

    _, complaint = supervisor.agent.communicate(timeout=20)

    assert supervisor.agent.returncode == 78
    [refusal] = complaint.splitlines()
    assert refusal.startswith("amo-agent: ")
    assert named in refusal
    assert "Traceback" not in complaint


def test_the_service_starts_with_the_device_key_of_a_tpm_and_writes_none_of_its_own(
    supervisor: Supervisor, swtpm: SwTpm, cli: Cli
) -> None:
    uri = swtpm.uri(swtpm.handle())
    create_key(uri)
    supervisor.start("virtual:tpm", f'[keys]\ndevice = "{uri}"\n')
    assert "READY=1" in supervisor.told()

    assert supervisor.stop() == 0

    assert {file.name for file in (supervisor.state / "keys").glob("*.key")} == {
        "account.key",
        "owner.key",
        "seal.key",
    }
    assert cli("log", "verify", supervisor.state).code == 0


def test_the_service_opens_key_files_with_a_passphrase_from_a_file_alone(
    cli: Cli, supervisor: Supervisor, tmp_path: Path
) -> None:
    guard, words = tmp_path / "guard", tmp_path / "words"
    guard.touch(mode=0o600)
    guard.write_text("open sesame\n")
    with_guard = ("--passphrase-file", str(guard))
    where = ("--state", supervisor.state, "--phrase-out", words)
    assert cli("wallet", "create", *where, *with_guard).code == 0
    supervisor.start("virtual:nobody", "", *with_guard)
    assert supervisor.told().startswith("READY=1")
    assert supervisor.stop() == 0
    assert supervisor.agent is not None
    _, told = supervisor.agent.communicate()
    assert "not protected" not in told
    assert "sesame" not in told
    supervisor.start("virtual:nobody")
    assert "none was given" in supervisor.agent.communicate(timeout=20)[1]
    assert supervisor.agent.returncode == 1

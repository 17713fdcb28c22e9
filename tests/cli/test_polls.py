"""`amo-agent polls` as a person meets it."""

import json
from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import ManualClock
from agent.compose import configured
from agent.config import BusConfig, Config
from tests.cli.conftest import Cli

TEXT = """version = 1
serial = {serial}
[[signal]]
name = "engine.speed"
period_s = 0.5
dead_band = 1
[[signal]]
name = "lights.low_beam"
dead_band = 0
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    with archive(tmp_path / "state", ManualClock(1), wait=True):
        pass
    return tmp_path / "state"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "polls.toml"
    written.write_text(TEXT.format(serial=2))
    return written


def use(state: Path, file: Path) -> None:
    with archive(state, ManualClock(2), wait=True) as parts:
        bus = BusConfig(uri="virtual:polls", queries=True)
        configured(Config(bus=(bus,), polls=str(file)), parts, None)


def test_one_command_signs_and_another_tells_what_is_asked(
    cli: Cli, state: Path, file: Path
) -> None:
    assert cli("polls", "sign", file, "--state", state).out == f"{file}.sig: serial 2, 2 signals\n"
    checked = cli("polls", "check", file, "--state", state)
    assert checked.code == 0
    assert (
        "engine.speed: asked every 0.5 s, 0.5 s late at most, priority 0; recorded" in checked.out
    )
    assert "lights.low_beam: not asked; recorded when 0 from the last one" in checked.out
    told = json.loads(cli("polls", "check", file, "--state", state, "--json").out)
    assert (told["ok"], told["serial"], told["last_serial"]) == (True, 2, None)
    assert told["asked"] == {"engine.speed": 0.5}
    assert 2 < told["questions_per_s"] < 3
    use(state, file)
    told = json.loads(cli("polls", "check", file, "--state", state, "--json").out)
    assert (told["serial"], told["last_serial"]) == (2, 2)


def test_what_the_agent_would_refuse_exits_1(cli: Cli, state: Path, file: Path) -> None:
    unsigned = cli("polls", "check", file, "--state", state)
    assert (unsigned.code, unsigned.out) == (1, "")
    assert f"{file}: not signed, polls.toml.sig is missing" in unsigned.complaint
    cli("polls", "sign", file, "--state", state)
    use(state, file)
    file.write_text(TEXT.format(serial=1))
    changed = cli("polls", "check", file, "--state", state, "--json")
    assert changed.code == 1
    assert json.loads(changed.out)["ok"] is False
    cli("polls", "sign", file, "--state", state)
    assert "serial = 1: it is older" in cli("polls", "check", file, "--state", state).complaint


def test_a_key_off_the_car_signs_for_it(cli: Cli, tmp_path: Path, file: Path) -> None:
    made = cli("polls", "key", tmp_path / "fleet.key")
    assert made.code == 0
    public = made.out.strip()
    assert cli("polls", "sign", file, "--key", f"file:{tmp_path / 'fleet.key'}").code == 0
    empty = tmp_path / "none"
    assert cli("polls", "check", file, "--state", empty, "--key", public).code == 0
    other = cli("polls", "key", tmp_path / "other.key").out.strip()
    assert cli("polls", "check", file, "--state", empty, "--key", other).code == 1


def test_a_key_is_never_written_over(cli: Cli, tmp_path: Path) -> None:
    cli("polls", "key", tmp_path / "fleet.key")
    before = (tmp_path / "fleet.key").read_bytes()
    assert cli("polls", "key", tmp_path / "fleet.key").code == 1
    assert (tmp_path / "fleet.key").read_bytes() == before


def test_what_cannot_be_used_is_not_signed(cli: Cli, state: Path, file: Path) -> None:
    file.write_text(TEXT.format(serial=1).replace("period_s = 0.5", "period_s = 0"))
    refused = cli("polls", "sign", file, "--state", state)
    assert refused.code == 2
    assert "signal[0].period_s = 0" in refused.complaint
    assert not file.with_name("polls.toml.sig").exists()


def test_without_a_file_or_a_key_there_is_nothing_to_check(
    cli: Cli, tmp_path: Path, file: Path
) -> None:
    assert cli("polls", "check", tmp_path / "nowhere.toml").code == 2
    missing = cli("polls", "check", file, "--state", tmp_path / "nowhere")
    assert missing.code == 2
    assert "--key takes one" in missing.complaint
    assert cli("polls", "check", file, "--key", "02ff").code == 2

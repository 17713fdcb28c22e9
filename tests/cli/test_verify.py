"""`amo-agent log verify`: what it knows of a log besides the log."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import SystemClock
from agent.events import DtcSet
from agent.eventstore.anchor import last_anchor
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import ReadModel
from agent.wallet import curve
from tests.cli.conftest import Cli
from tests.eventstore.conftest import tampering


def run(state: Path, codes: int) -> bytes:
    """The public key of the device that sealed it."""
    with archive(state, SystemClock(), wait=True) as parts:
        for number in range(codes):
            parts.journal.write(DtcSet(f"P{number:04d}", "7E8"))
        device = parts.keys.device.public
    with (
        archive(state, SystemClock(), wait=True) as parts,
        ReadModel.open(state / "readmodel.db") as model,
    ):
        model.catch_up(parts.log)
    return device


@pytest.fixture
def state(tmp_path: Path) -> Path:
    run(tmp_path / "state", 5)
    return tmp_path / "state"


def verdict(cli: Cli, *arguments: object, code: int) -> dict[str, object]:
    found = cli("log", "verify", *arguments, "--json")
    assert found.code == code, found
    told: dict[str, object] = json.loads(found.out)
    assert told["intact"] is (code == 0)
    return told


def test_seals_floor_and_key_of_a_state_directory_are_checked(state: Path, cli: Cli) -> None:
    told = verdict(cli, state, code=0)
    assert (told["seals"], told["pinned"]) == (2, False)
    assert verdict(cli, state, "--device", told["device"], code=0)["pinned"] is True
    shown = cli("log", "verify", state).out
    assert "seals" in shown
    assert "(not compared)" in shown


def test_seals_of_another_car_are_refused_where_the_key_is_named(state: Path, cli: Cli) -> None:
    other = curve.public_bytes(curve.load_private(curve.new_scalar())).hex()
    told = verdict(cli, state, "--device", other, code=1)
    assert "device" in str(told["reason"])
    assert cli("log", "verify", state, "--device", "04").code == 2


def test_rt_09_a_tail_behind_the_last_seal_is_missed_by_the_floor_alone(
    state: Path, cli: Cli, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(state, tmp_path / "copy"))
    with tampering(copy / "events.db") as connection:
        last = connection.execute("SELECT max(no) FROM block").get
        for table in ("block", "body"):
            connection.execute(f"DELETE FROM {table} WHERE no = ?", (last,))
    assert verdict(cli, copy, code=1)["verdict"] == "truncated"
    verdict(cli, copy / "events.db", code=0)
    named = verdict(cli, copy / "events.db", "--floor", state / "floor", code=1)
    assert named["verdict"] == "truncated"


def test_rt_11_anchor_on_the_command_line_tells_of_a_log_that_was_cut(
    state: Path, cli: Cli, tmp_path: Path
) -> None:
    with LogReader.open(state / "events.db") as reader:
        anchor = last_anchor(reader)
    verdict(cli, state, "--anchor", anchor, code=0)
    run(tmp_path / "other", 5)
    found = verdict(cli, tmp_path / "other", "--anchor", anchor, code=1)
    assert found["verdict"] == "tampered"
    wrong = cli("log", "verify", state, "--anchor", "7")
    assert (wrong.code, "NO:DIGEST" in wrong.err) == (2, True)


def test_a_floor_that_is_none_is_wrong_input(state: Path, cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "none").write_bytes(b"AMOF")
    for name in ("none", "missing"):
        found = cli("log", "verify", state, "--floor", tmp_path / name)
        assert (found.code, found.err.count("\n")) == (2, 1)

    elsewhere = cli("log", "verify", state, "--floor", tmp_path)
    assert elsewhere.code == 2
    assert str(tmp_path) in elsewhere.complaint
    (state / "floor").unlink()
    (state / "floor").mkdir()
    assert cli("log", "verify", state).code == 2, "a floor that cannot be read says nothing"


def test_rt_09_a_log_put_back_without_its_floor_is_missed_by_the_next_seal_key(
    state: Path, cli: Cli, tmp_path: Path
) -> None:
    before = Path(shutil.copytree(state, tmp_path / "before"))
    run(state, 1)
    (state / "floor").unlink()
    told = verdict(cli, state, code=0)
    assert told["floor"] is None
    assert "none" in cli("log", "verify", state).out

    shutil.copy(before / "events.db", state / "events.db")

    found = verdict(cli, state, code=1)
    assert found["verdict"] == "truncated"
    assert "next key" in str(found["reason"])


def test_the_floor_that_was_compared_is_told(state: Path, cli: Cli) -> None:
    told = verdict(cli, state, code=0)
    assert told["floor"] == told["events"]
    assert f"at event {told['events']}" in cli("log", "verify", state).out


def test_an_anchor_beyond_any_number_of_seals_is_wrong_input(state: Path, cli: Cli) -> None:
    anchor = f"{2**63}:{'00' * 64}"
    assert "NO:DIGEST" in cli("log", "verify", state, "--anchor", anchor).complaint


def test_rt_14_a_mac_that_the_owners_key_does_not_give_is_named(state: Path, cli: Cli) -> None:
    with tampering(state / "events.db") as connection:
        connection.execute("UPDATE seal SET mac = zeroblob(64) WHERE no = 2")
    assert "seal 2" in str(verdict(cli, state, code=1)["reason"])
    verdict(cli, state / "events.db", code=0)  # without the owner's key nobody can tell


def test_rt_23_a_forged_row_of_the_read_model_is_found(state: Path, cli: Cli) -> None:
    assert verdict(cli, state, "--projection", code=0)["read_model"] == []
    with sqlite3.connect(state / "readmodel.db") as model:
        model.execute("UPDATE dtc SET code = 'P9999' WHERE seq = (SELECT max(seq) FROM dtc)")
    model.close()
    told = verdict(cli, state, "--projection", code=1)
    assert told["verdict"] == "intact"
    assert "dtc" in str(told["read_model"])
    verdict(cli, state, code=0)

"""`amo-agent log prove` and `log check-proof`: a proof is written, carried away, checked alone."""

import io
import json
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from agent.archive import archive
from agent.clock import ManualClock
from agent.events import DtcSet, VinRead
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.wallet.keys import load_keys
from tests.cli.conftest import Cli
from tests.eventstore.conftest import fill
from tests.eventstore.sealing import CAR, Device, seal

VIN = "KLATEST00CAR00042"


def seal_all(state: Path) -> str:
    """A seal over everything, by the device key of the state directory; its public half in hex."""
    device = load_keys(state / "keys").device
    with SqliteLog.open(state, create=False) as log:
        seal(log, state, device)
    return device.public.hex()


@pytest.fixture
def car(tmp_path: Path, clock: ManualClock) -> Path:
    """A state directory with a sealed VIN, a trouble code, and everything under seals."""
    state = tmp_path / "car"
    with archive(state, clock, wait=True) as parts:
        parts.journal.write(VinRead(VIN, "obd"))
        parts.journal.write(DtcSet("P0301", "7E8"))
    seal_all(state)
    return state


@pytest.fixture
def device(car: Path) -> str:
    return load_keys(car / "keys").device.public.hex()


def seq_of(state: Path, kind: str) -> int:
    with LogReader.open(state / "events.db") as reader:
        return next(event.seq for event in reader.read() if event.kind == kind)


def proved(cli: Cli, state: Path, kind: str, out: Path, *options: str) -> Path:
    """A proof of the first event of this kind, in a file."""
    result = cli("log", "prove", seq_of(state, kind), state, "--out", out, *options)
    assert (result.code, result.err) == (0, "")
    return out


def checked(cli: Cli, *arguments: object) -> tuple[int, dict[str, Any]]:
    result = cli("log", "check-proof", *arguments, "--json")
    return result.code, json.loads(result.out)


def test_proof_holds_on_another_computer_with_the_file_alone(
    car: Path, device: str, cli: Cli, tmp_path: Path
) -> None:
    file = proved(cli, car, "dtc-set/1", tmp_path / "event.json")
    seq = seq_of(car, "dtc-set/1")
    shutil.rmtree(car)

    code, told = checked(cli, file, "--device", device)

    assert code == 0
    assert (told["holds"], told["pinned"]) == (True, True)
    assert told["event"]["seq"] == seq
    assert (told["event"]["code"], told["event"]["ecu"]) == ("P0301", "7E8")
    assert told["seals"][0]["device"] == device


def test_proof_goes_to_standard_output_and_comes_from_standard_input(
    car: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    written = cli("log", "prove", 1, car)
    assert json.loads(written.out)["proof"] == "amo-agent event 1"
    stdin = io.TextIOWrapper(io.BytesIO(written.out.encode()))
    monkeypatch.setattr(sys, "stdin", stdin)
    assert checked(cli, "-")[0] == 0


def test_person_is_told_what_holds_and_that_no_key_was_pinned(
    car: Path, device: str, cli: Cli, tmp_path: Path
) -> None:
    file = proved(cli, car, "dtc-set/1", tmp_path / "event.json")
    seen = cli("log", "check-proof", file)
    assert seen.code == 0
    assert f"holds: event {seq_of(car, 'dtc-set/1')} stood in this log" in seen.out
    assert "Nothing is said of the events beside it" in seen.out
    assert "P0301" in seen.out
    assert "anybody can make one" in seen.out
    pinned = cli("log", "check-proof", file, "--device", device).out
    assert "anybody" not in pinned
    assert "signed by the device that was named" in pinned


def test_sealed_event_stays_sealed_without_its_key(car: Path, cli: Cli, tmp_path: Path) -> None:
    file = proved(cli, car, "vin-read/1", tmp_path / "vin.json")
    code, told = checked(cli, file)
    assert (code, told["event"]["sealed"]) == (0, True)
    assert VIN not in file.read_text()
    assert VIN not in cli("log", "check-proof", file).out


def test_key_opens_this_one_event_and_lies_in_a_private_file(
    car: Path, cli: Cli, tmp_path: Path
) -> None:
    file = proved(cli, car, "vin-read/1", tmp_path / "vin.json", "--key")
    shutil.rmtree(car)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert VIN not in file.read_text()
    code, told = checked(cli, file)
    assert (code, told["event"]["vin"]) == (0, VIN)
    assert VIN in cli("log", "check-proof", file).out


def test_key_of_another_event_opens_nothing(car: Path, cli: Cli, tmp_path: Path) -> None:
    file = proved(cli, car, "vin-read/1", tmp_path / "vin.json", "--key")
    content = json.loads(file.read_text())
    file.write_text(json.dumps(content | {"key": "00" * 32}))
    code, told = checked(cli, file)
    assert (code, told["holds"], told["event"]) == (1, False, None)
    assert "does not open" in told["reason"]
    assert "does not hold" in cli("log", "check-proof", file).out


def test_key_of_a_clear_event_is_refused_on_both_sides(car: Path, cli: Cli, tmp_path: Path) -> None:
    refused = cli("log", "prove", seq_of(car, "dtc-set/1"), car, "--key")
    assert refused.code == 2
    assert "Lv3, which is not sealed" in refused.complaint
    file = proved(cli, car, "dtc-set/1", tmp_path / "event.json")
    file.write_text(json.dumps(json.loads(file.read_text()) | {"key": "00" * 32}))
    code, told = checked(cli, file)
    assert code == 1
    assert "is not sealed" in told["reason"]


def test_key_needs_the_keys_beside_the_log(car: Path, cli: Cli, tmp_path: Path) -> None:
    seq = seq_of(car, "vin-read/1")
    shutil.copy(car / "events.db", tmp_path / "copy.db")
    refused = cli("log", "prove", seq, tmp_path / "copy.db", "--key")
    assert refused.code == 2
    assert "a state directory with its keys" in refused.complaint
    assert cli("log", "prove", seq, tmp_path / "copy.db").code == 0


def test_key_is_not_given_without_the_owners_key(car: Path, cli: Cli) -> None:
    seq = seq_of(car, "vin-read/1")
    (car / "keys" / "owner.key").unlink()
    refused = cli("log", "prove", seq, car, "--key")
    assert refused.code == 1
    assert "owner.key" in refused.complaint


def test_every_changed_member_makes_the_proof_not_hold(car: Path, cli: Cli, tmp_path: Path) -> None:
    file = proved(cli, car, "dtc-set/1", tmp_path / "event.json")
    honest = json.loads(file.read_text())
    seal_of = honest["seal"]
    changes: list[dict[str, Any]] = [
        {"event": honest["event"][:-2] + "00"},
        {"before": "00" * 64},
        {"path": honest["path"][:-1]},
        {"seal": seal_of | {"signature": "00" * 64}},
        {"seal": seal_of | {"note": seal_of["note"] + "00"}},
    ]
    for change in changes:
        file.write_text(json.dumps(honest | change))
        code, told = checked(cli, file)
        assert (code, told["holds"], told["event"], told["seals"]) == (1, False, None, []), change
        seen = cli("log", "check-proof", file)
        assert seen.code == 1
        assert seen.out == f"does not hold: {told['reason']}\n"


def test_rt_31_proof_by_another_device_than_the_pinned_one_does_not_hold(
    car: Path, cli: Cli, tmp_path: Path
) -> None:
    file = proved(cli, car, "dtc-set/1", tmp_path / "event.json")
    code, told = checked(cli, file, "--device", CAR.public.hex())
    assert (code, told["holds"]) == (1, False)
    assert "by another device" in told["reason"]


@pytest.mark.parametrize("digits", ["", "zz", "04", "00" * 33, "04" * 66])
def test_device_that_is_no_key_is_wrong_usage(digits: str, car: Path, cli: Cli) -> None:
    del car
    refused = cli("log", "check-proof", "-", "--device", digits)
    assert refused.code == 2
    assert "--device" in refused.complaint


@pytest.mark.parametrize(
    "content", [b"", b"hello", b"{}", b"[" * 300_000, b"\xff\xfe", b'{"proof": "\\n\\u001b[2J"}']
)
def test_what_is_no_proof_is_wrong_input_in_one_line(
    content: bytes, cli: Cli, tmp_path: Path
) -> None:
    (tmp_path / "no.json").write_bytes(content)
    refused = cli("log", "check-proof", tmp_path / "no.json")
    assert refused.code == 2
    assert "no.json" in refused.complaint
    assert refused.complaint.isprintable()
    assert len(refused.complaint) < 300


def test_missing_file_or_directory_is_wrong_input(cli: Cli, tmp_path: Path) -> None:
    assert "missing.json" in cli("log", "check-proof", tmp_path / "missing.json").complaint
    assert cli("log", "check-proof", tmp_path).code == 2
    assert cli("log", "prove", 1, tmp_path / "nothing").code == 2
    assert cli("log", "prove", 1, tmp_path).code == 2


def test_event_that_is_not_sealed_yet_is_said_so_in_one_line(cli: Cli, tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "state", create=True) as log:
        fill(log, 3)
    refused = cli("log", "prove", 2, tmp_path / "state")
    assert refused.code == 1
    assert "event 2 is not sealed yet" in refused.complaint


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([], "which event?"),
        (["x"], "'x' is no number"),
        (["0"], "event 0; the log has 1 to"),
        (["99999"], "event 99999; the log has 1 to"),
        (["9" * 5000], "is no number"),
        (["--seals", "1", "99"], "seals 1 and 99; the log has 1 to"),
        (["--seals", "0", "1"], "0 is not in the range"),
        (["--seals", "1", "1", "--key"], "takes STATE alone"),
    ],
)
def test_wrong_usage_is_named(arguments: list[str], says: str, car: Path, cli: Cli) -> None:
    place = [] if not arguments else [str(car)]
    refused = cli("log", "prove", *arguments, *place)
    assert refused.code == 2
    assert says in refused.complaint


def test_two_seals_are_proved_and_told_of(car: Path, device: str, cli: Cli, tmp_path: Path) -> None:
    with LogReader.open(car / "events.db") as reader:
        before = [each.no for each in reader.seals()]
    with SqliteLog.open(car, create=False) as log:
        fill(log, 40)
    seal_all(car)
    first, last = before[0], before[-1] + 1
    out = tmp_path / "seals.json"

    written = cli("log", "prove", "--seals", first, last, car, "--out", out, "--json")

    assert written.code == 0
    told = json.loads(written.out)
    assert (told["file"], told["seals"], told["device"]) == (str(out), [first, last], device)
    assert told["bytes"] == out.stat().st_size
    code, found = checked(cli, out, "--device", device)
    assert (code, found["holds"], found["event"]) == (0, True, None)
    assert [each["no"] for each in found["seals"]] == [first, last]
    assert f"under seal {first} are, unchanged, the first" in cli("log", "check-proof", out).out
    turned = json.loads(out.read_text())
    turned["first"], turned["second"] = turned["second"], turned["first"]
    out.write_text(json.dumps(turned))
    assert checked(cli, out)[0] == 1


def test_text_of_a_stranger_does_not_move_the_cursor(cli: Cli, tmp_path: Path) -> None:
    """Who has a key of his own can sign any text as the version of his firmware."""
    state = tmp_path / "foreign"
    with SqliteLog.open(state, create=True) as log:
        fill(log, 1)
        seal(log, state, Device(5), firmware="\x1b[2J\nholds: everything")
    out = tmp_path / "event.json"
    assert cli("log", "prove", 1, state, "--out", out).code == 0
    seen = cli("log", "check-proof", out)
    assert seen.code == 0
    assert "\x1b" not in seen.out
    assert "\nholds: everything" not in seen.out


def test_proof_that_cannot_be_written_is_one_line(car: Path, cli: Cli, tmp_path: Path) -> None:
    refused = cli("log", "prove", 1, car, "--out", tmp_path / "nowhere" / "event.json")
    assert refused.code == 2
    assert "event.json" in refused.complaint

"""`amo-agent log`: what was changed is named, what was not is shown."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Cli
from tests.eventstore.conftest import body_of, put_body, rows, tampering

LINES = "".join(
    f"(1000000000.{n:06d}) can0 0AA#1A6F1A6F1A6F1A6F\n" for n in range(0, 900_000, 10_000)
)
SIMCAR = Path(__file__).parents[2] / "dbc" / "simcar.dbc"


@pytest.fixture
def state(cli: Cli, tmp_path: Path) -> Path:
    log = tmp_path / "drive.log"
    log.write_text(LINES)
    assert cli("replay", log, "--dbc", SIMCAR, "--state", tmp_path / "state").code == 0
    return tmp_path / "state"


def changed(state: Path, at: int) -> int:
    """Flip one byte of the block bodies, counted through all of them; the seq it belongs to."""
    for side in ("-wal", "-shm"):
        state.joinpath(f"events.db{side}").unlink(missing_ok=True)
    with tampering(state / "events.db") as connection:
        for no, first_seq in rows(connection, "SELECT no, first_seq FROM block ORDER BY no"):
            body = body_of(connection, no)
            if at < len(body):
                broken = bytearray(body)
                broken[at] ^= 0x01
                put_body(connection, no, bytes(broken))
                return _seq_at(first_seq, body, at)
            at -= len(body)
    raise AssertionError("there are not so many bytes")


def _seq_at(seq: int, body: bytes, at: int) -> int:
    """Which event of a body a byte belongs to: u32 length, 4 bytes of check, event."""
    offset = 0
    while True:
        size = 8 + int.from_bytes(body[offset : offset + 4], "big")
        if at < offset + size:
            return seq
        offset += size
        seq += 1


def test_an_untouched_log_is_intact(state: Path, cli: Cli) -> None:
    result = cli("log", "verify", state, "--json")
    assert result.code == 0
    assert json.loads(result.out)["intact"] is True


@pytest.mark.parametrize("at", [8, 21, 60, 300, 777])
def test_one_flipped_byte_of_an_event_is_named_with_its_sequence_number(
    at: int, state: Path, cli: Cli, tmp_path: Path
) -> None:
    shutil.copytree(state, tmp_path / "copy")
    seq = changed(tmp_path / "copy", at)

    result = cli("log", "verify", tmp_path / "copy", "--json")

    verdict = json.loads(result.out)
    assert result.code == 1
    assert verdict["first_bad_seq"] == seq
    assert f"sequence {seq}" in cli("log", "verify", tmp_path / "copy").out


def test_a_copied_file_verifies_without_its_directory(
    state: Path, cli: Cli, tmp_path: Path
) -> None:
    shutil.copy(state / "events.db", tmp_path / "copy.db")
    assert cli("log", "verify", tmp_path / "copy.db").code == 0


def test_events_are_shown_in_order_with_their_kind(state: Path, cli: Cli) -> None:
    lines = [json.loads(line) for line in cli("log", "show", state, "--json").out.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["kind"] for line in lines[:2]] == ["log-checked/1", "agent-started/1"]


def test_events_are_shown_by_kind_and_up_to_a_limit(state: Path, cli: Cli) -> None:
    shown = cli("log", "show", state, "--kind", "signals-sampled", "--limit", 2, "--json").out
    lines = [json.loads(line) for line in shown.splitlines()]
    assert [line["kind"] for line in lines] == ["signals-sampled/1"] * 2


def test_events_are_shown_from_a_time_to_a_time(state: Path, cli: Cli) -> None:
    since = cli("log", "show", state, "--since", "2001-09-10", "--json").out
    until = cli("log", "show", state, "--until", "2001-09-08", "--json").out
    assert (since, until) == ("", "")


def test_clear_values_are_shown_and_sealed_ones_say_so(state: Path, cli: Cli) -> None:
    shown = cli("log", "show", state, "--kind", "signals-sampled", "--json").out
    lines = [json.loads(line) for line in shown.splitlines()]
    assert all(line.get("sealed") or line["series"] for line in lines)
    assert any("series" in line for line in lines)


def test_a_reader_that_has_seen_enough_is_no_failure(state: Path) -> None:
    command = f"{sys.executable} -m agent log show {state} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, check=False, cwd=SIMCAR.parents[1]
    )
    assert (done.returncode, done.stderr) == (0, b"")


def test_text_form_is_one_line_an_event(state: Path, cli: Cli) -> None:
    out = cli("log", "show", state).out
    assert len(out.splitlines()) == len(cli("log", "show", state, "--json").out.splitlines())


@pytest.mark.parametrize(
    "name",
    ["two\n       9  2026-01-01T00:00:00Z  Lv3  tail-lost/1", "\x1b[2J", os.fsdecode(b"\xff")],
)
def test_text_of_a_stranger_is_one_line_without_a_way_to_move_the_cursor(
    name: str, cli: Cli, tmp_path: Path
) -> None:
    log = tmp_path / f"{name.replace('/', '-')}.log"
    log.write_text(LINES)
    assert cli("replay", log, "--dbc", SIMCAR, "--state", tmp_path / "state").code == 0
    shown = cli("log", "show", tmp_path / "state", "--kind", "input-opened").out
    assert len(shown.splitlines()) == 1
    assert shown.rstrip("\n").isprintable()
    assert "uri=" in shown

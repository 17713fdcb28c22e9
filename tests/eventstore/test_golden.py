"""A log of format 2, kept: what it says may never change."""

import ctypes
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.eventstore import floor
from agent.eventstore.reader import LogReader
from agent.eventstore.recovery import open_log
from agent.eventstore.schema import FORMAT
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import Beside, verify
from tests.data import make_golden_log
from tests.eventstore.conftest import draft, tampering
from tests.eventstore.verifiers import Roots
from tools import verify_log

HEAD = (
    "e4c9c8eee144a78590ee38702a5ae0e45d22b2268fe384e4a24513cb34d6d240"
    "e6b951103409580072d9ab3e50c0f4720c80890914d004c584cd89382cca99ea"
)
SEALED_HEAD = (
    "4b66fc91d0f2a95668f2db3f0ee6d0367ef0daecf5a8105416d1c939db51ad2c"
    "05b6d6472da269cbcf8e9e4c35a0ff65fc9d4c9e77178e3b854fab5d0c587e09"
)
GOLDEN, SEALED = make_golden_log.GOLDEN, make_golden_log.SEALED


def test_rt_99_golden_log_verifies_with_its_head() -> None:
    verdict = verify(GOLDEN)
    assert (verdict.verdict, verdict.events, verdict.blocks) == ("intact", 8, 4)
    assert verdict.head == HEAD
    assert verdict.log_id == bytes(range(32)).hex()


def test_rt_99_golden_log_reads_as_it_was_written(tmp_path: Path) -> None:
    drafts = [
        event
        for start in (make_golden_log.FIRST_START, make_golden_log.SECOND_START)
        for block in start
        for event in block
    ]
    copy = Path(shutil.copy(GOLDEN, tmp_path))
    with LogReader.open(copy) as reader:
        found = list(reader.read())
    assert [event.boot for event in found] == [1] * 5 + [2] * 3
    for event, given in zip(found, drafts, strict=True):
        for name in given.__struct_fields__:
            assert getattr(event, name) == getattr(given, name)


def test_rt_56_logs_made_again_have_the_same_rows_and_the_same_head(tmp_path: Path) -> None:
    again = tmp_path / "again.db"
    make_golden_log.make(again)
    assert verify(again).head == HEAD
    assert content(again) == content(GOLDEN)
    make_golden_log.make_sealed(again, tmp_path / "floor")
    assert content(again) == content(SEALED)
    assert (tmp_path / "floor").read_bytes() == make_golden_log.SEALED_FLOOR.read_bytes()


def content(path: Path) -> list[list[tuple[object, ...]]]:
    """Every row of every table, a body as it is before it is compressed."""
    connection = sqlite3.connect(f"{path.resolve().as_uri()}?immutable=1", uri=True)
    plain = partial(verify_log.decompressed, zstd=ctypes.CDLL("libzstd.so.1"))
    connection.create_function("plain", 1, plain)
    tables = ("log", "block", "pruned", "tile", "seal")
    try:
        found = [connection.execute(f"SELECT * FROM {name}").fetchall() for name in tables]
        return [*found, connection.execute("SELECT no, plain(data) FROM body").fetchall()]
    finally:
        connection.close()


def events(log: Path) -> Iterator[bytes]:
    """Of every block that has its body, as the format page has them."""
    rows = content(log)
    before = {no: head for no, _, _, head, _ in rows[1]}
    for no, body in rows[-1]:
        head = before[no]
        assert isinstance(head, bytes)
        assert isinstance(body, bytes)
        for event, _ in verify_log.chained(head, body):
            yield event


@pytest.mark.parametrize(("log", "head"), [(GOLDEN, HEAD), (SEALED, SEALED_HEAD)])
def test_rt_99_verifier_written_from_the_format_pages_agrees(log: Path, head: str) -> None:
    found = verify_log.judge(log)
    assert (found["verdict"], found["head"]) == ("intact", head)


def test_rt_99_golden_seals_hold_with_device_keys_and_floor() -> None:
    known = Beside(
        floor.read(make_golden_log.SEALED_FLOOR),
        make_golden_log.DEVICE.public,
        Roots({1: make_golden_log.SEAL_ROOT}),
    )
    verdict = verify(SEALED, known)
    assert (verdict.verdict, verdict.events, verdict.head) == ("intact", 604, SEALED_HEAD)
    assert (verdict.seals, verdict.sealed, verdict.pinned) == (3, 602, True)


def test_rt_56_bytes_of_the_golden_events_are_those_of_the_format_page() -> None:
    third = list(events(GOLDEN))[3]
    assert third[:1] == b"\x01"
    assert third[1:17] == (4).to_bytes(8, "big") + (-(2**63)).to_bytes(8, "big", signed=True)
    assert third[17:32] == b"\xff" * 8 + (1).to_bytes(4, "big") + bytes([1, 2, 255])
    assert third[32:] == b"k" * 255 + bytes(range(256))


def test_rt_99_no_golden_log_is_left_out() -> None:
    assert set(GOLDEN.parent.glob("*.db")) == {GOLDEN, SEALED}


@pytest.mark.parametrize("version", [FORMAT + 1, FORMAT - 1, 2**31 - 1])
def test_rt_99_log_of_another_format_is_refused_by_all_in_one_line_and_left_as_it_was(
    tmp_path: Path, version: int
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    path = Path(shutil.copy(GOLDEN, state / EVENTS))
    with tampering(path) as connection:
        connection.pragma("user_version", version)
    raw = path.read_bytes()
    openers: tuple[Callable[[], object], ...] = (
        lambda: LogReader.open(path),
        lambda: SqliteLog.open(state, create=False),
        lambda: open_log(state),  # it must not be taken for a broken one
        lambda: verify(path),
    )
    for opener in openers:
        with pytest.raises(UsageError, match=rf"format {version}\b[^\n]*$"):
            opener()
    assert path.read_bytes() == raw
    assert {entry.name for entry in state.iterdir()} <= {EVENTS, f"{EVENTS}-wal", f"{EVENTS}-shm"}


@pytest.mark.parametrize("log", [GOLDEN, SEALED])
def test_rt_56_every_field_of_every_golden_event_is_big_endian(log: Path) -> None:
    def number(data: bytes, *, signed: bool = False) -> int:
        return int.from_bytes(data, "big", signed=signed)

    header = log.read_bytes()[:100]
    assert (header[68:72], number(header[60:64])) == (b"AMO1", 2)
    with LogReader.open(log, still=True) as reader:
        recorded = {event.seq: event for event in reader.read()}
    assert recorded
    for raw in events(log):
        event = recorded.pop(number(raw[1:9]))
        assert raw[0] == 1
        assert number(raw[9:17], signed=True) == event.t_ns
        assert number(raw[17:25]) == event.mono_ns
        assert (number(raw[25:29]), raw[29], raw[30]) == (event.boot, event.clock, event.level)
        assert raw[32 : 32 + raw[31]].decode("ascii") == event.kind
        assert raw[32 + raw[31] :] == event.payload
    assert not recorded


def test_rt_56_every_field_of_the_golden_floor_is_big_endian() -> None:
    known = floor.read(make_golden_log.SEALED_FLOOR)
    assert known is not None
    records = make_golden_log.SEALED_FLOOR.read_bytes()
    raw = max(records[:512], records[512:], key=lambda record: record[5:13])
    assert (raw[:5], raw[13:45], raw[61:125]) == (b"AMOF\x01", known.log_id, known.head.hash)
    assert int.from_bytes(raw[45:53], "big") == known.seals
    assert int.from_bytes(raw[53:61], "big") == known.head.seq


def test_rt_99_golden_log_can_be_continued(tmp_path: Path) -> None:
    shutil.copy(GOLDEN, tmp_path)
    with SqliteLog.open(tmp_path, create=False) as log:
        assert (log.boot, log.append([draft()])) == (3, 9)
    assert verify(tmp_path / "events.db").verdict == "intact"

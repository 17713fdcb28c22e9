"""A log of format 2, kept: what it says may never change."""

import shutil
from pathlib import Path

import pytest

from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.data import make_golden_log
from tests.eventstore import second_reader
from tests.eventstore.conftest import draft, tampering

HEAD = (
    "e4c9c8eee144a78590ee38702a5ae0e45d22b2268fe384e4a24513cb34d6d240"
    "e6b951103409580072d9ab3e50c0f4720c80890914d004c584cd89382cca99ea"
)
GOLDEN = make_golden_log.GOLDEN


def test_golden_log_verifies_with_its_head() -> None:
    verdict = verify(GOLDEN)
    assert (verdict.verdict, verdict.events, verdict.blocks) == ("intact", 8, 4)
    assert verdict.head == HEAD
    assert verdict.log_id == bytes(range(32)).hex()


def test_golden_log_reads_as_it_was_written(tmp_path: Path) -> None:
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


def test_log_made_again_has_the_same_rows_and_the_same_head(tmp_path: Path) -> None:
    again = tmp_path / "again.db"
    make_golden_log.make(again)
    assert verify(again).head == HEAD
    assert second_reader.read(again) == second_reader.read(GOLDEN)


def test_reader_written_from_the_format_page_agrees() -> None:
    events, head = second_reader.read(GOLDEN)
    assert head == HEAD
    assert [event["seq"] for event in events] == list(range(1, 9))
    assert [event["kind"] for event in events][:3] == ["agent-started/1", "signals-sampled/1", "x"]
    assert events[3]["payload"] == bytes(range(256))
    assert events[3]["t_ns"] == -(2**63)


def test_reader_written_from_the_format_page_refuses_what_the_verifier_refuses(
    tmp_path: Path,
) -> None:
    copy = Path(shutil.copy(GOLDEN, tmp_path))
    with tampering(copy) as connection:
        connection.execute("UPDATE block SET n = 5 WHERE no = 2")
    assert verify(copy).verdict == "tampered"
    with pytest.raises(second_reader.Refused, match="block 2"):
        second_reader.read(copy)


def test_golden_log_can_be_continued(tmp_path: Path) -> None:
    shutil.copy(GOLDEN, tmp_path)
    with SqliteLog.open(tmp_path, create=False) as log:
        assert (log.boot, log.append([draft()])) == (3, 9)
    assert verify(tmp_path / "events.db").verdict == "intact"

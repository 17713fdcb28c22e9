"""A reader for those who have to believe gives out nothing that does not follow."""

from pathlib import Path

import pytest

from agent.errors import LogCorruptError
from agent.eventstore import chain
from agent.eventstore.checked import CheckedReader
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from tests.eventstore.conftest import fill, tampering


@pytest.fixture
def events_db(tmp_path: Path) -> Path:
    """Blocks of 3, 1 and 4 events."""
    with SqliteLog.open(tmp_path / "state", create=True) as log:
        fill(log, 3, 1, 4)
    return tmp_path / "state" / EVENTS


def read(events_db: Path, after: int = 0, *, checked: bool = True) -> list[int]:
    """The sequence numbers that come out before it ends, or before the error."""
    found: list[int] = []
    with (CheckedReader if checked else LogReader).open(events_db) as reader:
        try:
            found += (event.seq for event in reader.read(after))
        except LogCorruptError:
            found.append(-1)
    return found


def altered(events_db: Path, no: int) -> None:
    """The last byte of a body: it is read without complaint, and is not what was hashed."""
    with tampering(events_db) as connection:
        query = "SELECT data FROM body WHERE no = ?"
        body = bytearray(chain.decompress(connection.execute(query, (no,)).get))
        body[-1] ^= 1
        frame = chain.compress(bytes(body))
        connection.execute("UPDATE body SET data = ? WHERE no = ?", (frame, no))


def test_log_that_holds_is_read_whole(events_db: Path) -> None:
    assert read(events_db) == list(range(1, 9))
    assert read(events_db, 5) == [6, 7, 8]


@pytest.mark.parametrize(("no", "before"), [(1, []), (2, [1, 2, 3]), (3, [1, 2, 3, 4])])
def test_nothing_of_a_block_that_was_altered_comes_out(
    events_db: Path, no: int, before: list[int]
) -> None:
    altered(events_db, no)
    assert read(events_db, checked=False) == list(range(1, 9))
    assert read(events_db) == [*before, -1]


def test_block_that_follows_from_other_events_does_not_come_out(events_db: Path) -> None:
    with LogReader.open(events_db) as reader:
        first = next(reader.blocks())
    events = [event[:-1] + b"?" for _, event in chain.unpack(first.body or b"")]
    body, after = chain.pack(events, first.head_before)
    with tampering(events_db) as connection:
        connection.execute("UPDATE block SET head_after = ? WHERE no = 1", (after,))
        connection.execute("UPDATE body SET data = ? WHERE no = 1", (chain.compress(body),))
    assert read(events_db) == [1, 2, 3, -1]


@pytest.mark.parametrize("no", [None, 7, 450])
def test_long_log_that_other_processes_help_with_is_read_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no: int | None
) -> None:
    monkeypatch.setattr("agent.eventstore.walks._WORTH", 100)
    with SqliteLog.open(tmp_path / "state", create=True) as log:
        fill(log, *[1] * 500)
    if no is not None:
        altered(tmp_path / "state" / EVENTS, no)
    found = read(tmp_path / "state" / EVENTS)
    assert found == (list(range(1, 501)) if no is None else [*range(1, no), -1])


def test_body_that_was_pruned_is_passed_over(events_db: Path) -> None:
    with tampering(events_db) as connection:
        connection.execute("DELETE FROM body WHERE no = 2")
        connection.execute("INSERT INTO pruned VALUES (2, ?)", (bytes(64),))
    assert read(events_db) == [1, 2, 3, 5, 6, 7, 8]

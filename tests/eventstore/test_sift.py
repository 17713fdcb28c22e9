"""A few kinds out of many: none is missed, and what cannot be read is told."""

from pathlib import Path

import pytest

from agent.errors import LogCorruptError
from agent.eventstore.reader import LogReader
from agent.eventstore.sift import sift
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from tests.eventstore.conftest import body_of, draft, fill, put_body, tampering
from tests.eventstore.sealed import Car
from tests.eventstore.stocked import prune


def found(state: Path, *kinds: str, first: int = 1) -> list[tuple[int, list[int]]]:
    with LogReader.open(state / EVENTS) as reader:
        return [(no, [event.seq for event in events]) for no, events in sift(reader, kinds, first)]


def test_events_of_these_kinds_are_found_block_by_block(log: SqliteLog, state: Path) -> None:
    log.append([draft(kind="a/1"), draft(kind="b/1"), draft(kind="a/1")])
    log.append([draft(kind="b/1")])
    log.append([draft(kind="a/1"), draft(kind="c/1")])

    assert found(state, "a/1") == [(1, [1, 3]), (2, []), (3, [5])]
    assert found(state, "a/1", "c/1", first=2) == [(2, []), (3, [5, 6])]


def test_kind_that_only_stands_in_a_payload_is_none(log: SqliteLog, state: Path) -> None:
    log.append([draft(kind="b/1", payload=b"as in a/1")])
    log.append([draft(kind="a/11")])
    assert found(state, "a/1") == [(1, []), (2, [])]


def test_pruned_blocks_are_passed_over(tmp_path: Path) -> None:
    with Car(tmp_path / "state") as car:
        car.drive(5, 5)
        prune(car.log, car.state)
        fill(car.log, 2)
    assert [no for no, _ in found(tmp_path / "state", "a/1")] == [3, 4, 5]


def test_body_that_cannot_be_read_is_told_of(log: SqliteLog, state: Path) -> None:
    log.append([draft(kind="a/1")])
    with tampering(state / EVENTS) as connection:
        put_body(connection, 1, body_of(connection, 1)[:-5])
        connection.execute("INSERT INTO body SELECT 7, data FROM body")
    with pytest.raises(LogCorruptError, match="block 1"):
        found(state, "a/1")
    with pytest.raises(LogCorruptError, match="body 7"):
        found(state, "b/1", first=2)

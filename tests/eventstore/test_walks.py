"""Processes that help with a long log end with it, however it ends."""

import os
import signal
from pathlib import Path

import pytest

from agent.errors import StoreError
from agent.eventstore.reader import Block, LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.eventstore.walks import looks
from tests.eventstore.conftest import fill

BLOCKS = 500


def number(block: Block) -> int:
    return block.no


def die(block: Block) -> int:
    """As the kernel does to a process when there is no memory."""
    if block.no == BLOCKS // 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return block.no


@pytest.fixture
def events_db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("agent.eventstore.walks._WORTH", 100)
    with SqliteLog.open(tmp_path / "state", create=True) as log:
        fill(log, *[1] * BLOCKS)
    return tmp_path / "state" / EVENTS


def test_reader_that_stops_early_ends_the_processes_too(events_db: Path) -> None:
    for _ in range(5):
        with (
            LogReader.open(events_db) as reader,
            looks(reader, events_db, range(1, BLOCKS + 1), number) as found,
        ):
            assert next(iter(found)) == 1


def test_process_that_is_killed_ends_the_walk_with_an_error(events_db: Path) -> None:
    with (
        LogReader.open(events_db) as reader,
        pytest.raises(StoreError, match="a process that helped to read it was killed"),
        looks(reader, events_db, range(1, BLOCKS + 1), die) as found,
    ):
        list(found)

"""Drafts, a log of a few blocks, and the hand of somebody who changes it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import pytest

from agent.clock import MS, ClockQuality
from agent.eventstore import chain
from agent.eventstore.log import Draft
from agent.eventstore.sqlite import SqliteLog
from agent.privacy import Level


def draft(number: int = 0, *, kind: str = "input-opened/1", payload: bytes | None = None) -> Draft:
    return Draft(
        kind=kind,
        level=Level.LV3,
        t_ns=1_750_000_000_000_000_000 + number * MS,
        mono_ns=number * MS,
        clock=ClockQuality.GNSS,
        payload=b"payload %d" % number if payload is None else payload,
    )


def fill(log: SqliteLog, *sizes: int) -> None:
    """Blocks of these many events."""
    for size in sizes:
        log.append([draft(log.head().seq + i) for i in range(size)])


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def log(state: Path) -> Iterator[SqliteLog]:
    with SqliteLog.open(state, create=True) as opened:
        yield opened


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A closed log of blocks of 3, 1 and 3 events, the last by a second start."""
    with SqliteLog.open(tmp_path / "source", create=True) as first:
        fill(first, 3, 1)
    with SqliteLog.open(tmp_path / "source", create=False) as second:
        fill(second, 3)
    return Path(shutil.copy(tmp_path / "source" / "events.db", tmp_path / "copy.db"))


@contextmanager
def tampering(path: Path) -> Iterator[apsw.Connection]:
    """What anybody with the file and a SQLite shell can do: the triggers switched off."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(2_000)
    connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    connection.execute("PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF")
    try:
        yield connection
    finally:
        connection.close()


def body_of(connection: apsw.Connection, no: int) -> bytes:
    return chain.decompress(connection.execute("SELECT data FROM body WHERE no = ?", (no,)).get)


def put_body(connection: apsw.Connection, no: int, body: bytes) -> None:
    """A changed body, compressed as the writer does it."""
    data = chain.compress(body)
    connection.execute("UPDATE body SET data = ? WHERE no = ?", (data, no))


def rows(connection: apsw.Connection, query: str) -> list[tuple[Any, ...]]:
    return list(connection.execute(query))

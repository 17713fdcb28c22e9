"""What the log is set against: a table of 69 typed columns, and pyeventsourcing's recorder.

The table is written and read through the SQLite of Python and through apsw, with the PRAGMAs of the
log that bear on speed; where the log has more to do (triggers, checks), the table has not.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Self
from uuid import UUID

import apsw

from agent.bsm.wyoming import COLUMNS
from bench.store_rows import Row, Rows, Value

BATCH = 100
PRAGMAS = ("page_size = 4096", "journal_mode = WAL")
_PLACES = ", ".join("?" * len(COLUMNS))
_TYPES = {str: "TEXT", int: "INTEGER", float: "REAL", type(None): "TEXT"}

Store = Callable[[Rows], object]


class Table:
    """A row a message, each column of the type of its values; by a connection of either library"""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def create(self, first: Row, synchronous: str, *, indexed: bool = False) -> Self:
        for pragma in (*PRAGMAS, f"synchronous = {synchronous}"):
            self._connection.execute(f"PRAGMA {pragma}").fetchall()
        columns = (f"{name} {_TYPES[type(v)]}" for name, v in zip(COLUMNS, first, strict=True))
        self._connection.execute(f"CREATE TABLE bsm({', '.join(columns)})")
        if indexed:
            self.index()
        return self

    def index(self) -> None:
        self._connection.execute("CREATE INDEX by_time ON bsm(metadata_generatedAt)")

    def write(self, given: Rows) -> None:
        for at in range(0, len(given), BATCH):
            batch = [row for _, row in given[at : at + BATCH]]
            self._connection.execute("BEGIN IMMEDIATE")
            self._connection.executemany(f"INSERT INTO bsm VALUES ({_PLACES})", batch)
            self._connection.execute("COMMIT")

    def read(self) -> int:
        return sum(1 for _ in self._connection.execute("SELECT * FROM bsm"))

    def between(self, first: Value, last: Value) -> list[Row]:
        query = "SELECT * FROM bsm WHERE metadata_generatedAt BETWEEN ? AND ?"
        return list(self._connection.execute(query, (first, last)))

    def close(self) -> None:
        self._connection.close()


def by_python(path: Path) -> Table:
    return Table(sqlite3.connect(path, isolation_level=None))


def by_apsw(path: Path) -> Table:
    return Table(apsw.Connection(str(path)))


LIBRARIES: Final = {"sqlite3": by_python, "apsw": by_apsw}


def recorder(path: Path, encode: Callable[[Row], bytes]) -> Store | None:
    """pyeventsourcing's, with its own PRAGMAs: WAL, and FULL by default; None without it."""
    try:
        from eventsourcing.persistence import StoredEvent  # noqa: PLC0415 - may not be installed
        from eventsourcing.sqlite import (  # noqa: PLC0415
            SQLiteApplicationRecorder,
            SQLiteDatastore,
        )
    except ImportError:
        return None
    into = SQLiteApplicationRecorder(SQLiteDatastore(str(path)))
    into.create_table()
    version, car = 0, UUID(int=1)

    def write(given: Rows) -> None:
        nonlocal version
        for at in range(0, len(given), BATCH):
            events = [
                StoredEvent(car, number, "bsm/1", encode(row))
                for number, (_, row) in enumerate(given[at : at + BATCH], version)
            ]
            into.insert_events(events)
            version += len(events)

    return write

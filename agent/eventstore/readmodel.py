"""readmodel.db: what people and programs look at; disposable, and rebuilt from events.db.

The cursor is written in the transaction of the rows it speaks for, so no event counts twice
and none is left out, however the agent ends. Any SQLite tool may open the file.
"""

import os
import sqlite3
from contextlib import ExitStack, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlite_utils

from agent.errors import StoreError, UsageError
from agent.eventstore.log import EventReader
from agent.eventstore.projection import TABLES, Projection

APPLICATION_ID: Final = 0x414D4F52
"""PRAGMA application_id: "AMOR"."""
VERSION: Final = 1
"""Raised with every change of the tables or of what is folded into them."""
_BATCH: Final = 2_000
"""Events in one transaction: what a stop in between has to do again."""


class ReadModel:
    """Follows one log. For one thread at a time, and one process."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self._path = path
        self._connection = connection
        self.db = sqlite_utils.Database(connection, execute_plugins=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The file, or a new one where it is missing, damaged or of another version.

        Raises UsageError for another program's database, StoreError for a disk that fails.
        """
        try:
            return cls(path, _open(path))
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path} cannot be opened: {error}") from error

    @property
    def through(self) -> int:
        """Sequence number of the last event folded in."""
        return self._cursor()[0]

    def catch_up(self, log: EventReader) -> int:
        """Folds in what the log has and this has not; how many events that were.

        A model of another log, or one that is ahead of its log, begins again from the start.
        Raises StoreError; what was not committed is then not folded in.
        """
        try:
            seq, log_id = self._cursor()
            if log_id != log.log_id or seq > log.head().seq:
                self._begin_again(log.log_id)
                seq = 0
            return self._follow(log, seq)
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # the first error is the one to report
                self._connection.rollback()
            raise StoreError(f"{self._path} cannot be written: {error}") from error

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _cursor(self) -> tuple[int, bytes]:
        row = self._connection.execute("SELECT seq, log_id FROM cursor").fetchone()
        return row or (0, b"")

    def _follow(self, log: EventReader, seq: int) -> int:
        projection = Projection(self._connection)
        folded = 0
        events = log.read(seq)
        while batch := list(islice(events, _BATCH)):
            self._connection.execute("BEGIN IMMEDIATE")
            for recorded in batch:
                projection.take(recorded)
            projection.flush()
            self._move(batch[-1].seq, log.log_id)
            self._connection.commit()
            folded += len(batch)
        return folded

    def _move(self, seq: int, log_id: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?, ?)", (seq, log_id))

    def _begin_again(self, log_id: bytes) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for table in self.db.table_names():
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
        self._move(0, log_id)
        self._connection.commit()


def view(path: Path) -> sqlite_utils.Database:
    """For those who only look, from any process. Raises UsageError when there is nothing to see."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no read model yet")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with ExitStack() as undo:
        try:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            undo.callback(connection.close)
            numbers = _numbers(connection)
        except sqlite3.Error as error:
            raise UsageError(f"{path} cannot be read: {error}") from error
        if numbers != (APPLICATION_ID, VERSION):
            raise UsageError(f"{path} is not a read model of this version")
        connection.execute("PRAGMA query_only = ON")
        undo.pop_all()
    return sqlite_utils.Database(connection, execute_plugins=False)


def _open(path: Path) -> sqlite3.Connection:
    connection = _connect(path)
    try:
        if not _is_current(connection, path):
            connection.close()
            remove(path)
            connection = _connect(path)
            _create(connection)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA synchronous = NORMAL")  # what is lost is folded again
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path) -> sqlite3.Connection:
    # SQLite would let everybody read a file it made; the files beside it get the mode of this one
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    return sqlite3.connect(path, isolation_level=None)


def _is_current(connection: sqlite3.Connection, path: Path) -> bool:
    """Whether it can be gone on with. Raises UsageError for another program's database."""
    try:
        owner, version = _numbers(connection)
        tables = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        sound = connection.execute("PRAGMA quick_check(1)").fetchone()[0] == "ok"
    except sqlite3.OperationalError:
        raise  # busy, full or failing: that says nothing about what is in the file
    except sqlite3.DatabaseError:
        return False
    if owner != APPLICATION_ID and (owner or tables):
        raise UsageError(f"{path} is another program's: application id {owner:#x}")
    return owner == APPLICATION_ID and version == VERSION and sound


def _numbers(connection: sqlite3.Connection) -> tuple[int, int]:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    return owner, connection.execute("PRAGMA user_version").fetchone()[0]


def remove(path: Path) -> None:
    """The file and those beside it; the next `open` and `catch_up` make it again."""
    for side in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + side).unlink(missing_ok=True)


def _create(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(f"""BEGIN;
        PRAGMA application_id = {APPLICATION_ID};
        PRAGMA user_version = {VERSION};
        {TABLES}
        COMMIT;""")

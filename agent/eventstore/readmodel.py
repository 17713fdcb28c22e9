"""The read model: what people and programs look at; disposable, and rebuilt from events.db.

The cursor is written in the transaction of the rows it speaks for, so no event counts twice
and none is left out, however the agent ends. Any SQLite tool may open the file.

Bodies that were pruned are not read. What was folded in before stays; a model that is built
after that says in `unseen` which events it never saw.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlite_utils

from agent.errors import StoreError, UsageError
from agent.eventstore.log import EventReader
from agent.eventstore.modelfile import in_memory, to_follow, to_look
from agent.eventstore.projection import Projection

Progress = Callable[[int, int], None]
_BATCH: Final = 2_000
"""Events in one transaction: what a stop in between has to do again."""


class ReadModel:
    """Follows one log. For one thread, and one process, which may open it once more elsewhere.

    name: for messages
    """

    def __init__(self, name: str, connection: sqlite3.Connection) -> None:
        self._name = name
        self._connection = connection
        self.db = sqlite_utils.Database(connection, execute_plugins=False)

    @classmethod
    def open(cls, path: Path) -> Self:
        """The file, or a new one where it is missing, damaged or of another version.

        Raises UsageError for another program's database, StoreError for a disk that fails.
        """
        try:
            return cls(str(path), to_follow(path))
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"{path} cannot be opened: {error}") from error

    @classmethod
    def in_memory(cls) -> Self:
        """An empty one, gone when it is closed: a past state, or what a file is compared with."""
        return cls("the read model in memory", in_memory())

    @classmethod
    def copied(cls, path: Path) -> Self:
        """In memory, what the file has by now; empty where there is none that can be read.

        It can be caught up while another process writes the file, which it leaves alone.
        """
        connection = sqlite3.connect(":memory:", isolation_level=None)
        try:
            with closing(to_look(path)) as file:
                file.backup(connection)
        except (sqlite3.Error, UsageError):
            connection.close()
            return cls.in_memory()
        return cls(f"a copy of {path}", connection)

    @property
    def through(self) -> int:
        """Sequence number of the last event folded in."""
        return self._cursor()[0]

    def catch_up(
        self,
        log: EventReader,
        *,
        through: int | None = None,
        progress: Progress | None = None,
    ) -> int:
        """Folds in what the log has and this has not; how many events that were.

        through: the last event to fold in; None for the end of the log as it is now
        progress: called with (sequence number reached, the one to be reached)
        A model of another log, or one that is ahead of its log, begins again from the start.
        Raises StoreError; what was not committed is then not folded in.
        """
        try:
            seq, log_id = self._cursor()
            head = log.head().seq
            if log_id != log.log_id or seq > head:
                self._begin_again(log.log_id)
                seq = 0
            last = head if through is None else min(head, through)
            return sum(self._follow(log, seq, last, progress))
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # the first error is the one to report
                self._connection.rollback()
            raise StoreError(f"{self._name} cannot be written: {error}") from error

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

    def _follow(
        self, log: EventReader, seq: int, last: int, progress: Progress | None
    ) -> Iterator[int]:
        """Events folded in, batch by batch."""
        projection = Projection(self._connection, seq)
        events = log.read(seq, last)
        while projection.seq < last:
            batch = list(islice(events, _BATCH))
            self._connection.execute("BEGIN IMMEDIATE")
            if self._cursor()[0] != projection.seq:  # another thread has followed meanwhile
                self._connection.rollback()
                return
            if batch:
                projection.fold(batch)
            else:
                projection.miss(last)
            self._move(projection.seq, log.log_id)
            self._connection.commit()
            if progress is not None:
                progress(projection.seq, last)
            yield len(batch)

    def _move(self, seq: int, log_id: bytes) -> None:
        self._connection.execute("INSERT OR REPLACE INTO cursor VALUES (1, ?, ?)", (seq, log_id))

    def _begin_again(self, log_id: bytes) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        for table in self.db.table_names():
            self._connection.execute(f"DELETE FROM {table}")  # noqa: S608 - names of our own
        self._move(0, log_id)
        self._connection.commit()

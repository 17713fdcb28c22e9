"""The log on disk: the one writer of events.db.

A block is a row is a transaction. Everything is encoded and hashed before the transaction
begins, so that the write lock covers one insert and one sync.
"""

import os
import secrets
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import ClassVar, Final, Self

import apsw

from agent.errors import AgentError, LogCorruptError, StoreError, UsageError
from agent.eventstore import chain
from agent.eventstore.log import Draft, Head, Recorded
from agent.eventstore.reader import BUSY_MS, Block, LogReader, harden
from agent.eventstore.schema import APPLICATION_ID, FORMAT, SCHEMA
from agent.eventstore.state import EVENTS, NEWBORN, StateLock, lock_state

NOTE: Final = b"amo-agent event log 1"
"""The genesis note of a log that continues no other."""

_FULL: Final = 2
_EXTRA: Final = 3
_INCREMENTAL: Final = 2
_BIRTH: Final = (
    ("synchronous", _EXTRA),  # a power cut must not bring the journal of the birth back
    ("page_size", 4096),
    ("auto_vacuum", _INCREMENTAL),  # or pruned pages could never be given back
    ("application_id", APPLICATION_ID),
    ("user_version", FORMAT),
)
_LIFE: Final = (
    ("journal_mode", "wal"),
    ("synchronous", _FULL),
    ("recursive_triggers", 1),  # or INSERT OR REPLACE would get past the triggers
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    ("mmap_size", 0),
    ("journal_size_limit", 8 * 1024 * 1024),
)
_INSERT: Final = "INSERT INTO block VALUES (?, ?, ?, ?, ?, ?)"
_MAY: Final = {
    apsw.SQLITE_TRANSACTION: None,
    apsw.SQLITE_SELECT: None,
    apsw.SQLITE_READ: None,
    apsw.SQLITE_FUNCTION: None,
    apsw.SQLITE_INSERT: "block",
}
"""What the writer's connection may do once it is open, and to which table."""


class SqliteLog:
    """An EventLog in `events.db` of a state directory, which it locks until it is closed."""

    sqlite_version: ClassVar[str] = apsw.sqlite_lib_version()

    def __init__(self, lock: StateLock) -> None:
        self._lock = lock
        self._path = lock.path / EVENTS
        self._mutex = Lock()
        with LogReader.open(self._path) as reader:  # a file that is refused is not written to
            self.log_id = reader.log_id
            tail = reader.tail()
        self.boot = tail.boot + 1
        self._no, self._head, self._tried = tail.no, tail.head, tail.head.hash
        self._connection: apsw.Connection | None = _connect(self._path)
        self._open = True

    @classmethod
    def open(cls, state: Path, *, create: bool) -> Self:
        """The log of a state directory; `create` makes what is missing.

        Raises UsageError for a directory or a file that is not ours to use, LogCorruptError for
        a log whose end does not hold, StoreError for a disk that does not do its part. A file
        that is refused is left as it was.
        """
        lock = lock_state(state, create=create)
        try:
            if create and not (lock.path / EVENTS).exists():
                birth(lock, secrets.token_bytes(chain.LOG_ID_BYTES), NOTE)
            return cls(lock)
        except BaseException:
            lock.close()
            raise

    def append(self, drafts: Sequence[Draft]) -> int:
        """See EventLog. After a StoreError the block may still be found on disk, whole."""
        if not 0 < len(drafts) <= chain.MAX_EVENTS:
            raise ValueError(f"a block of {len(drafts)} events; 1 to {chain.MAX_EVENTS}")
        with self._mutex:
            connection = self._connected()
            first = self._head.seq + 1
            block = self._block(first, drafts)
            self._tried = block.head_after
            self._commit(connection, block)
            self._no = block.no
            self._head = Head(first + block.n - 1, block.head_after)
            return first

    def head(self) -> Head:
        return self._head

    def read(self, after: int = 0) -> Iterator[Recorded]:
        """See EventReader; on a connection of its own, so from any thread."""
        with LogReader.open(self._path) as reader:
            yield from reader.read(after)

    def close(self) -> None:
        """Folds the write-ahead log into the file and lets the directory go."""
        with self._mutex:
            self._open = False
            self._disconnect()
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _block(self, first: int, drafts: Sequence[Draft]) -> Block:
        boot = self.boot
        events = [
            chain.encode(
                Recorded(seq, d.kind, d.level, d.t_ns, d.mono_ns, boot, d.clock, d.payload)
            )
            for seq, d in enumerate(drafts, first)
        ]
        before = self._head.hash
        body, after = chain.pack(events, before)
        if len(body) > chain.MAX_BODY:
            raise ValueError(f"a block of {len(body)} bytes; at most {chain.MAX_BODY}")
        return Block(self._no + 1, first, len(drafts), before, after, body)

    def _commit(self, connection: apsw.Connection, block: Block) -> None:
        row = (block.no, block.first_seq, block.n, block.head_before, block.head_after, block.body)
        done = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(_INSERT, row)
            connection.execute("COMMIT")
            done = True
        except apsw.ConstraintError as error:
            raise LogCorruptError(
                f"{self._path} was changed by another program: {error}"
            ) from error
        except apsw.Error as error:
            raise StoreError(f"{self._path}: {block.n} events not written: {error}") from error
        finally:
            if not done:
                self._disconnect()

    def _connected(self) -> apsw.Connection:
        """The connection; after a failure a new one, and what it finds on disk is the head.

        A sync that failed once may succeed on the next try without having written anything, so
        what this process believed is worth nothing then.
        """
        if not self._open:
            raise StoreError(f"{self._path} is closed")
        if self._connection is None:
            try:
                with LogReader.open(self._path) as reader:
                    tail = reader.tail()
            except UsageError as error:
                raise StoreError(f"the log is gone: {error}") from error
            if tail.head.hash not in (self._head.hash, self._tried):
                raise LogCorruptError(f"{self._path} ends at {tail.head.seq}, which is not ours")
            self._no, self._head = tail.no, tail.head
            self._connection = _connect(self._path)
        return self._connection

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(apsw.Error):  # the error that led here is the one to report
                connection.close()


def birth(lock: StateLock, log_id: bytes, note: bytes) -> None:
    """An empty events.db under a locked directory: there whole, or not there at all."""
    path, newborn = lock.path / EVENTS, lock.path / NEWBORN
    try:
        for leftover in lock.path.glob(f"{NEWBORN}*"):
            leftover.unlink()
        os.close(os.open(newborn, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        _deliver(newborn, log_id, note)
        newborn.rename(path)
        lock.sync()
    except (OSError, apsw.Error) as error:
        raise StoreError(f"{path} cannot be created: {error}") from error


def _deliver(path: Path, log_id: bytes, note: bytes) -> None:
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        for name, value in _BIRTH:
            _set(connection, path, name, value)
        connection.execute("BEGIN IMMEDIATE")
        for _, _, _, sql in SCHEMA:
            connection.execute(sql)
        connection.execute("INSERT INTO log VALUES (1, ?, ?)", (log_id, note))
        connection.execute("COMMIT")
        _set(connection, path, "journal_mode", "wal")
    finally:
        connection.close()


def _connect(path: Path) -> apsw.Connection:
    """The writer's connection, which can do nothing but append from here on."""
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW
    try:
        connection = apsw.Connection(str(path), flags=flags)
    except apsw.Error as error:
        raise StoreError(f"{path} cannot be opened for writing: {error}") from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        harden(connection)
        for name, value in _LIFE:
            _set(connection, path, name, value)
        connection.authorizer = _authorize
    except apsw.Error as error:
        connection.close()
        raise StoreError(f"{path} cannot be opened for writing: {error}") from error
    except AgentError:
        connection.close()
        raise
    return connection


def _set(connection: apsw.Connection, path: Path, name: str, value: int | str) -> None:
    connection.pragma(name, value)
    found = connection.pragma(name)
    if found != value:
        raise StoreError(f"{path}: SQLite keeps {name} at {found!r}; it has to be {value!r}")


def _authorize(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    del second, database, trigger
    allowed = action in _MAY and _MAY[action] in (None, first)
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY

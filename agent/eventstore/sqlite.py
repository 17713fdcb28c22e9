"""The log on disk: the one writer of events.db.

A block is a transaction. Everything is encoded, hashed and compressed before the transaction
begins, so that the write lock covers two inserts and one sync.
"""

import os
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import ClassVar, Final, Self

import apsw

from agent.errors import AgentError, LogCorruptError, StoreError, UsageError
from agent.eventstore import chain
from agent.eventstore.birth import NOTE, birth, set_pragma
from agent.eventstore.container import BUSY_MS, harden
from agent.eventstore.log import Draft, Head, Recorded
from agent.eventstore.reader import LogReader, Seal, Tail
from agent.eventstore.state import EVENTS, StateLock, lock_state
from agent.files import store_error

_FULL: Final = 2
_LIFE: Final = (
    ("journal_mode", "wal"),
    ("synchronous", _FULL),
    ("recursive_triggers", 1),  # or INSERT OR REPLACE would get past the triggers
    ("trusted_schema", 0),
    ("cell_size_check", 1),
    ("mmap_size", 0),
    ("journal_size_limit", 8 * 1024 * 1024),
)
_BLOCK: Final = "INSERT INTO block VALUES (?, ?, ?, ?, ?)"
_BODY: Final = "INSERT INTO body VALUES (?, ?)"
_TILE: Final = "INSERT INTO tile VALUES (?, ?)"
_SEAL: Final = "INSERT INTO seal VALUES (?, ?, ?, ?)"
_PRUNED: Final = "INSERT INTO pruned VALUES (?, ?)"
_AWAY: Final = "DELETE FROM body WHERE no = ?"
_SHRINK: Final = "PRAGMA incremental_vacuum"

_LOOKS: Final = {
    apsw.SQLITE_TRANSACTION,
    apsw.SQLITE_SELECT,
    apsw.SQLITE_READ,
    apsw.SQLITE_FUNCTION,
}
_MAY: Final = {(apsw.SQLITE_INSERT, table) for table in ("block", "body", "tile", "seal")}
"""What the writer's connection may do once it is open, and to which table."""
_MAY_PRUNE: Final = {(apsw.SQLITE_INSERT, "pruned"), (apsw.SQLITE_DELETE, "body")}
"""And what only `prune` may."""

_Statement = tuple[str, tuple[int | bytes, ...]]


class SqliteLog:
    """An EventLog in `events.db` of a state directory, which it locks until it is closed."""

    sqlite_version: ClassVar[str] = apsw.sqlite_lib_version()

    def __init__(self, lock: StateLock) -> None:
        self._lock = lock
        self._path = lock.path / EVENTS
        self._mutex = Lock()
        self.log_id, tail = _end(self._path)  # a file that is refused is not written to
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
            no, before, n = self._no + 1, self._head.hash, len(drafts)
            body, after = chain.pack(chain.encode_all(drafts, first, self.boot), before)
            if len(body) > chain.MAX_BODY:
                raise ValueError(f"a block of {len(body)} bytes; at most {chain.MAX_BODY}")
            data = chain.compress(body)
            self._tried = after
            block = (no, first, n, before, after)
            self._commit(connection, [(_BLOCK, block), (_BODY, (no, data))], f"{n} events")
            self._no, self._head = no, Head(first + n - 1, after)
            return first

    def seal(self, seal: Seal, tiles: Sequence[tuple[int, bytes]]) -> None:
        """A seal and the tiles it completes, durable on return. Raises StoreError."""
        row = (seal.no, seal.note, seal.mac, seal.signature)
        with self._mutex:
            self._commit(
                self._connected(),
                [*((_TILE, tile) for tile in tiles), (_SEAL, row)],
                f"seal {seal.no}",
            )

    def prune(self, nodes: Mapping[int, bytes]) -> None:
        """Takes the bodies of blocks away, by their numbers; their nodes stay in their place.

        All or none, with their space given back, durable on return. Raises StoreError.
        """
        statements: list[_Statement] = [(_PRUNED, row) for row in nodes.items()]
        statements += [(_AWAY, (no,)) for no in nodes]
        with self._mutex:
            connection = self._connected()
            connection.authorizer = _authorize_pruning
            self._commit(connection, [*statements, (_SHRINK, ())], f"{len(nodes)} prunings")
            connection.authorizer = _authorize  # where that failed, the connection is gone

    def head(self) -> Head:
        return self._head

    def recover(self) -> Head:
        with self._mutex:
            self._connected()
            return self._head

    def read(self, after: int = 0, through: int | None = None) -> Iterator[Recorded]:
        """See EventReader; on a connection of its own, so from any thread."""
        with LogReader.open(self._path) as reader:
            yield from reader.read(after, through)

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

    def _commit(
        self, connection: apsw.Connection, statements: Sequence[_Statement], what: str
    ) -> None:
        done = False
        try:
            connection.execute("BEGIN IMMEDIATE")
            for sql, row in statements:
                connection.execute(sql, row).fetchall()  # the pragma frees a page a row
            connection.execute("COMMIT")
            done = True
        except apsw.ConstraintError as error:
            raise LogCorruptError(
                f"{self._path} was changed by another program: {error}"
            ) from error
        except apsw.Error as error:
            raise store_error(self._path, f"{self._path}: {what} not written: {error}") from error
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
                _, tail = _end(self._path)
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
            _close(connection)


def _connect(path: Path) -> apsw.Connection:
    """The writer's connection, which can do nothing but append from here on.

    psow=0: each commit begins at a sector of its own, since a power cut may tear a whole sector,
    with what was safe in it (https://www.sqlite.org/psow.html).
    """
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_NOFOLLOW | apsw.SQLITE_OPEN_URI
    try:
        connection = apsw.Connection(f"{path.as_uri()}?psow=0", flags=flags)
    except apsw.Error as error:
        raise store_error(path, f"{path} cannot be opened for writing: {error}") from error
    try:
        connection.set_busy_timeout(BUSY_MS)
        harden(connection)
        for name, value in _LIFE:
            set_pragma(connection, path, name, value)
        # a log that was cut ends within a sector: folded in, it begins again at its start
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        connection.authorizer = _authorize
    except (apsw.Error, AgentError) as error:
        _close(connection)
        if isinstance(error, AgentError):
            raise
        raise store_error(path, f"{path} cannot be opened for writing: {error}") from error
    return connection


def _close(connection: apsw.Connection) -> None:
    with suppress(apsw.Error):  # the error that led here is the one to report
        connection.close()


def _end(path: Path) -> tuple[bytes, Tail]:
    """Log id and end of a log as the disk has it. Raises as LogReader does."""
    try:
        _forget(path.with_name(f"{path.name}-wal"))
    except OSError as error:
        raise StoreError(f"{path}: the disk cannot be asked: {error}") from error
    with LogReader.open(path) as reader:
        return reader.log_id, reader.tail()


def _forget(wal: Path) -> None:
    """Lets the kernel read a write-ahead log from the disk again. Raises OSError.

    After a sync that failed it takes the pages to be clean: readers see them, no later sync writes
    them. Whoever builds on them loses what is built.
    """
    try:
        descriptor = os.open(wal, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


def _authorize(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    del second, database, trigger
    return _answer(action in _LOOKS or (action, first) in _MAY)


def _authorize_pruning(
    action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
) -> int:
    del second, database, trigger
    vacuum = action == apsw.SQLITE_PRAGMA and first == "incremental_vacuum"
    return _answer(action in _LOOKS or (action, first) in _MAY_PRUNE or vacuum)


def _answer(allowed: bool) -> int:  # noqa: FBT001 - SQLite's answer to a yes or no
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY

"""The keys that payloads are sealed under, one for each segment of the log and level.

A segment begins at every start and every ten minutes. Its keys live in memory while it lasts; on
disk they are wrapped for the owner, so the device seals with the owner's public key alone and
cannot open yesterday's events. Destroying a row erases all that was sealed under it.
"""

import fcntl
import os
import secrets
import sqlite3
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Final, Self

from agent.clock import SECOND, Clock
from agent.errors import AgentError, DiskFullError, ErasedError, SealError
from agent.files import store_error, sync_directory
from agent.privacy import Level
from agent.wallet.curve import load_public
from agent.wallet.custody import KEY_BYTES, wrap_segment

SEGMENT_NS: Final = 600 * SECOND
APPLICATION_ID: Final = 0x414D4F53
SCHEMA: Final = 1

_TABLE: Final = """
CREATE TABLE segment_key(
    segment INTEGER NOT NULL,
    level INTEGER NOT NULL,
    wrapped BLOB,  -- NULL once destroyed; the row stays, so that its number is not used again
    PRIMARY KEY (segment, level)
) STRICT, WITHOUT ROWID
"""


class SegmentStore:
    """The file of wrapped keys. Each change is on disk when its call returns.

    On a full disk every method raises DiskFullError.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        """Raises SealError when the file is not such a store, or is missing and not created."""
        self._path = path
        self._lock = threading.Lock()
        try:
            if create:
                _touch(path)
            self._db = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
            )
        except (OSError, sqlite3.Error) as error:
            raise SealError(f"{path}: {error}") from error
        try:
            self._prepare()
        except AgentError:
            self.close()
            raise

    def wrapped(self, segment: int, level: Level) -> bytes:
        """Raises SealError when there is no such key, ErasedError when it was destroyed."""
        where = "SELECT wrapped FROM segment_key WHERE segment = ? AND level = ?"
        rows = self._run(where, segment, int(level))
        if not rows:
            raise SealError(f"segment {segment} has no key of Lv{level:d}")
        if not isinstance(rows[0][0], bytes):
            raise ErasedError(f"key of segment {segment}, Lv{level:d}, was destroyed")
        return rows[0][0]

    def newest(self) -> int:
        """Number of the newest segment, 0 when there is none."""
        number = self._run("SELECT coalesce(max(segment), 0) FROM segment_key")[0][0]
        assert isinstance(number, int)
        return number

    def kept(self, level: Level) -> list[int]:
        """Numbers of the segments whose key of a level is there, in order."""
        where = (
            "SELECT segment FROM segment_key WHERE level = ? AND wrapped IS NOT NULL"
            " ORDER BY segment"
        )
        rows = self._run(where, int(level))
        return [number for (number,) in rows if isinstance(number, int)]

    def image(self) -> bytes:
        """The whole file at one moment, also while another process writes. Raises SealError."""
        self._run("BEGIN")
        try:
            self.newest()  # from here on others wait with their next change
            return self._db.serialize()
        except sqlite3.Error as error:
            raise SealError(f"{self._path}: {error}") from error
        finally:
            self._run("ROLLBACK")

    def leave_out(self, segment: int) -> None:
        """Numbers up to this one are not used again, though no key of it is here."""
        where = "INSERT INTO segment_key VALUES (?, ?, NULL) ON CONFLICT DO NOTHING"
        self._run(where, segment, int(Level.LV1))

    def put(self, segment: int, level: Level, wrapped: bytes) -> None:
        self._run("INSERT INTO segment_key VALUES (?, ?, ?)", segment, int(level), wrapped)

    def destroy(self, first: int, last: int, level: Level) -> int:
        """Overwrite the keys of segments first..last at one level; how many there were."""
        rows = self._run(
            "UPDATE segment_key SET wrapped = NULL WHERE wrapped IS NOT NULL"
            " AND segment BETWEEN ? AND ? AND level = ? RETURNING segment",
            first,
            last,
            int(level),
        )
        return len(rows)

    def close(self) -> None:
        self._db.close()

    def _prepare(self) -> None:
        for pragma in (
            "secure_delete = ON",
            "journal_mode = TRUNCATE",
            "synchronous = EXTRA",
            "trusted_schema = OFF",
            "cell_size_check = ON",
        ):
            self._run(f"PRAGMA {pragma}")
        marks = (self._mark("application_id"), self._mark("user_version"))
        if marks == (0, 0) and self._mark("schema_version") == 0:
            self._create()
        elif marks != (APPLICATION_ID, SCHEMA):
            raise SealError(f"{self._path} is not a store of segment keys of version {SCHEMA}")

    def _create(self) -> None:
        for statement in (
            "BEGIN IMMEDIATE",
            _TABLE,
            f"PRAGMA application_id = {APPLICATION_ID}",
            f"PRAGMA user_version = {SCHEMA}",
            "COMMIT",
        ):
            self._run(statement)

    def _mark(self, name: str) -> object:
        return self._run(f"PRAGMA {name}")[0][0]

    def _run(self, statement: str, *values: int | bytes) -> list[tuple[object, ...]]:
        try:
            with self._lock:
                return self._db.execute(statement, values).fetchall()
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: a schema that rotted
            message = f"{self._path}: {error}"
            full = store_error(self._path, message)
            raise (full if isinstance(full, DiskFullError) else SealError(message)) from error


class SegmentKeys:
    """The keys in use now. One process at a time may hold them for one store."""

    def __init__(self, path: Path, owner_public: bytes, clock: Clock) -> None:
        """Begins a new segment. Raises SealError; also when another process is sealing."""
        load_public(owner_public)
        self._owner = owner_public
        self._clock = clock
        self._lock = threading.Lock()
        with ExitStack() as undo:
            self._held = _hold(path.with_suffix(".lock"))
            undo.callback(os.close, self._held)
            self.store = SegmentStore(path, create=True)
            undo.callback(self.store.close)
            self._begin(self.store.newest() + 1)
            undo.pop_all()

    def current(self, level: Level) -> tuple[int, bytes]:
        """(segment, key) to seal with now; the wrapped key is on disk. Raises SealError."""
        with self._lock:
            if self._clock.mono_ns() - self._begun_ns >= SEGMENT_NS:
                self._begin(self._segment + 1)
            if level not in self._keys:
                key = secrets.token_bytes(KEY_BYTES)
                wrapped = wrap_segment(key, self._owner, self._segment, level)
                self.store.put(self._segment, level, wrapped)
                self._keys[level] = key
            return self._segment, self._keys[level]

    def rotate(self) -> None:
        """Begin a new segment now; nothing more is sealed under the keys so far."""
        with self._lock:
            self._begin(self._segment + 1)

    def destroy(self, first: int, last: int, level: Level) -> int:
        """Erase what was sealed at one level in segments first..last; how many keys there were.

        A range that reaches the current segment begins a new one first. Raises SealError.
        """
        with self._lock:
            if first <= self._segment <= last:
                self._begin(self._segment + 1)
            return self.store.destroy(first, min(last, self._segment - 1), level)

    def kept(self, level: Level) -> list[int]:
        """Numbers of the segments whose key of a level is there, in order. Raises SealError."""
        return self.store.kept(level)

    def close(self) -> None:
        with self._lock:
            self._keys.clear()
            self.store.close()
            os.close(self._held)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self, segment: int) -> None:
        self._segment = segment
        self._begun_ns = self._clock.mono_ns()
        self._keys: dict[Level, bytes] = {}


def _touch(path: Path) -> None:
    """Make the file, private from its first moment, and its name durable."""
    if path.exists() and not path.is_symlink():
        return  # opening and closing a database in use would drop its locks
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    os.close(os.open(path, flags, 0o600))
    sync_directory(path.parent)


def _hold(path: Path) -> int:
    """A lock that the kernel releases when its process ends. Returns the descriptor."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise SealError(f"{path}: {error.strerror}") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise SealError(f"{path}: another process is sealing with these keys") from error
    return descriptor

"""The file that holds a log: recognised, opened read-only, and its errors in the agent's words.

What is in it is for reader.py; what it has to be, byte for byte, is in schema.py.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import apsw

from agent.errors import LogCorruptError, UsageError
from agent.eventstore import chain
from agent.eventstore.schema import APPLICATION_ID, FORMAT, SCHEMA
from agent.files import named_in_utf8, store_error

BUSY_MS: Final = 2_000
_MARGIN: Final = 64 * 1024  # a row is its body and some columns
_HEADER_BYTES: Final = 100
_OPEN: Final = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
# as bytes, since a text that was changed may be no text any more
_SCHEMA: Final = """SELECT CAST(type AS BLOB), CAST(name AS BLOB), CAST(tbl_name AS BLOB),
    CAST(sql AS BLOB) FROM sqlite_schema ORDER BY rowid"""


class DamagedFileError(LogCorruptError):
    """The file is ours, and SQLite cannot make sense of a part of it."""


def connect(path: Path, *, still: bool = False) -> apsw.Connection:
    """A read-only connection; nothing is read yet. Raises UsageError, StoreError."""
    try:
        found = named_in_utf8(path).stat()
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: there is no log: {getattr(error, 'strerror', error)}") from error
    if not stat.S_ISREG(found.st_mode) or found.st_size == 0:
        raise UsageError(f"{path} is no log: it is empty or not a regular file")
    # a log at rest on a medium that takes no side files is read without them
    still = still or (nobody_writes(path) and not os.access(path.parent, os.W_OK))
    uri = path.resolve().as_uri() + ("?immutable=1" if still else "?mode=ro")
    with spoken_of(path):
        connection = apsw.Connection(uri, flags=_OPEN)
        connection.set_busy_timeout(BUSY_MS)
        connection.limit(apsw.SQLITE_LIMIT_LENGTH, chain.MAX_BODY + _MARGIN)
        harden(connection)
    return connection


def nobody_writes(path: Path) -> bool:
    """The write-ahead log lies beside the file as long as somebody has it open for writing."""
    return not path.with_name(f"{path.name}-wal").exists()


def harden(connection: apsw.Connection) -> None:
    """A file from a stranger runs no code of its own and gets no page it did not check."""
    connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
    connection.config(apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0)
    connection.execute("PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0")


def identify(connection: apsw.Connection, path: Path) -> None:
    """Raises UsageError for a file of others or a newer one, LogCorruptError for a changed one."""
    owner = connection.pragma("application_id")
    if owner != APPLICATION_ID:
        raise UsageError(f"{path} is another program's: application id {owner:#x}")
    version = connection.pragma("user_version")
    if version != FORMAT:
        raise UsageError(f"{path} has log format {version}; this version reads {FORMAT}")
    expected = [tuple(text.encode() for text in row) for row in SCHEMA]
    if connection.execute(_SCHEMA).fetchall() != expected:
        raise LogCorruptError(f"{path}: its schema is not that of log format {FORMAT}")


def cut_short(path: Path) -> bool:
    """Whether the file has fewer pages than its own header says."""
    header = _header(path)
    page = int.from_bytes(header[16:18], "big") or 1
    page = 65_536 if page == 1 else page
    return path.stat().st_size < page * int.from_bytes(header[28:32], "big")


def _header(path: Path) -> bytes:
    """By SQLite's own file layer: closing a plain descriptor would drop the writer's locks."""
    flags = [apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READONLY, 0]
    file = apsw.VFSFile("", str(path.resolve()), flags)
    try:
        return file.xRead(_HEADER_BYTES, 0)
    finally:
        file.xClose()


@contextmanager
def spoken_of(path: Path) -> Iterator[None]:
    """SQLite's errors in the agent's words."""
    try:
        yield
    except apsw.NotADBError as error:
        if APPLICATION_ID.to_bytes(4, "big") == _header(path)[68:72]:
            raise DamagedFileError(f"{path}: the header of the file is damaged") from error
        raise UsageError(f"{path} is not a database") from error
    except (apsw.CorruptError, apsw.TooBigError, UnicodeDecodeError) as error:
        raise DamagedFileError(f"{path}: {error}") from error
    except apsw.Error as error:
        raise store_error(path, f"{path} cannot be read: {error}") from error

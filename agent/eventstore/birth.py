"""The birth of a log: its file is there whole, or not there at all.

It is made beside its place under `synchronous=EXTRA`, renamed, and the directory is synced, so that
no power cut brings the journal of the birth back over the first events.
"""

import os
from pathlib import Path
from typing import Final

import apsw

from agent.errors import StoreError
from agent.eventstore.schema import APPLICATION_ID, FORMAT, SCHEMA
from agent.eventstore.state import EVENTS, NEWBORN, StateLock

NOTE: Final = b"amo-agent event log 2"
"""The genesis note of a log that continues no other."""

_EXTRA: Final = 3
_INCREMENTAL: Final = 2
_BIRTH: Final = (
    ("synchronous", _EXTRA),  # a power cut must not bring the journal of the birth back
    ("page_size", 4096),
    ("auto_vacuum", _INCREMENTAL),  # or pruned pages could never be given back
    ("application_id", APPLICATION_ID),
    ("user_version", FORMAT),
)


def birth(lock: StateLock, log_id: bytes, note: bytes) -> None:
    """An empty events.db under a locked directory: there whole, or not there at all."""
    path, newborn = lock.path / EVENTS, lock.path / NEWBORN
    try:
        for leftover in lock.path.glob(f"{NEWBORN}*"):
            leftover.unlink()
        os.close(os.open(newborn, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        deliver(newborn, log_id, note)
        newborn.rename(path)
        lock.sync()
    except (OSError, apsw.Error) as error:
        raise StoreError(f"{path} cannot be created: {error}") from error


def deliver(path: Path, log_id: bytes, note: bytes) -> None:
    """The tables of a log in a file that is there and empty. Raises apsw.Error, StoreError."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        for name, value in _BIRTH:
            set_pragma(connection, path, name, value)
        connection.execute("BEGIN IMMEDIATE")
        for _, _, _, sql in SCHEMA:
            connection.execute(sql)
        connection.execute("INSERT INTO log VALUES (1, ?, ?)", (log_id, note))
        connection.execute("COMMIT")
        set_pragma(connection, path, "journal_mode", "wal")
    finally:
        connection.close()


def set_pragma(connection: apsw.Connection, path: Path, name: str, value: int | str) -> None:
    """Raises StoreError where SQLite keeps another value, apsw.Error."""
    connection.pragma(name, value)
    found = connection.pragma(name)
    if found != value:
        raise StoreError(f"{path}: SQLite keeps {name} at {found!r}; it has to be {value!r}")

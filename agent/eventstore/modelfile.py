"""The file readmodel.db: recognised and opened, or made anew where nobody can go on with it."""

import os
import sqlite3
from contextlib import ExitStack, suppress
from pathlib import Path

from agent.errors import UsageError
from agent.eventstore.modelschema import APPLICATION_ID, TABLES, VERSION


def to_follow(path: Path) -> sqlite3.Connection:
    """The one connection that writes; a new file where it is missing, damaged or outdated.

    Raises UsageError for another program's database, sqlite3.Error and OSError for a disk.
    """
    connection = _connect(path)
    try:
        if not _is_current(connection, path):
            connection.close()
            remove(path)
            connection = _connect(path)
            connection.execute("PRAGMA journal_mode = WAL")
            create(connection)
        connection.execute("PRAGMA trusted_schema = OFF")
        connection.execute("PRAGMA synchronous = NORMAL")  # what is lost is folded again
    except BaseException:
        connection.close()
        raise
    return connection


def to_look(path: Path) -> sqlite3.Connection:
    """For those who only look, from any process. Raises UsageError when there is nothing to see."""
    if not path.is_file():
        raise UsageError(f"{path}: there is no read model yet")
    uri = f"{path.resolve().as_uri()}?mode=ro"
    with ExitStack() as undo:
        try:
            connection = sqlite3.connect(uri, uri=True, isolation_level=None)
            undo.callback(connection.close)
            numbers = _numbers(connection)
            connection.execute("SELECT 1 FROM sqlite_schema")  # reads the schema
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter: a schema that rotted
            raise UsageError(f"{path} cannot be read: {error}") from error
        if numbers != (APPLICATION_ID, VERSION):
            raise UsageError(f"{path} is not a read model of this version")
        connection.execute("PRAGMA query_only = ON")
        connection.execute("PRAGMA trusted_schema = OFF")
        undo.pop_all()
    return connection


def in_memory() -> sqlite3.Connection:
    """An empty read model that no file will ever hold."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    create(connection)
    return connection


def create(connection: sqlite3.Connection) -> None:
    connection.executescript(f"""BEGIN;
        PRAGMA application_id = {APPLICATION_ID};
        PRAGMA user_version = {VERSION};
        {TABLES}
        COMMIT;""")


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
    except (sqlite3.DatabaseError, UnicodeDecodeError):  # the latter: a schema that rotted
        return False
    if owner != APPLICATION_ID and (owner or tables):
        raise UsageError(f"{path} is another program's: application id {owner:#x}")
    return owner == APPLICATION_ID and version == VERSION and sound


def _numbers(connection: sqlite3.Connection) -> tuple[int, int]:
    owner = connection.execute("PRAGMA application_id").fetchone()[0]
    return owner, connection.execute("PRAGMA user_version").fetchone()[0]


def remove(path: Path) -> None:
    """The file and those beside it; the next one who follows makes it again."""
    for side in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + side).unlink(missing_ok=True)

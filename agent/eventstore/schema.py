"""What an events.db is: its numbers in the file header and its tables, byte for byte.

A file whose schema differs in one byte is not read: tables, triggers or views that somebody
put into it never run.
"""

from typing import Final

APPLICATION_ID: Final = 0x414D4F31
"""PRAGMA application_id: "AMO1" (bytes 68 to 71 of the file)."""
FORMAT: Final = 1
"""PRAGMA user_version."""

_LOG = """CREATE TABLE log(
  id INTEGER PRIMARY KEY CHECK(id = 1),
  log_id BLOB NOT NULL CHECK(length(log_id) = 32),
  note BLOB NOT NULL
) STRICT"""

_BLOCK = """CREATE TABLE block(
  no INTEGER PRIMARY KEY,
  first_seq INTEGER NOT NULL,
  n INTEGER NOT NULL CHECK(n BETWEEN 1 AND 65535),
  head_before BLOB NOT NULL CHECK(length(head_before) = 64),
  head_after BLOB NOT NULL CHECK(length(head_after) = 64),
  body BLOB NOT NULL
) STRICT"""
# body stands last: reading a head then touches none of the pages the body fills

_NEXT = """CREATE TRIGGER block_next BEFORE INSERT ON block
WHEN NEW.no IS NOT (SELECT coalesce(max(no), 0) + 1 FROM block)
  OR NEW.head_before IS NOT coalesce(
    (SELECT head_after FROM block WHERE no = NEW.no - 1), NEW.head_before)
BEGIN SELECT RAISE(ABORT, 'a block follows the last one'); END"""


def _never(verb: str, table: str) -> tuple[str, str, str, str]:
    name = f"{table}_no_{verb.lower()}"
    sql = (
        f"CREATE TRIGGER {name} BEFORE {verb} ON {table}\n"
        "BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"
    )
    return ("trigger", name, table, sql)


SCHEMA: Final = (
    ("table", "log", "log", _LOG),
    ("table", "block", "block", _BLOCK),
    ("trigger", "block_next", "block", _NEXT),
    _never("UPDATE", "log"),
    _never("DELETE", "log"),
    _never("UPDATE", "block"),
    _never("DELETE", "block"),
)
"""(type, name, table, SQL) of each row of sqlite_schema, in the order of creation."""

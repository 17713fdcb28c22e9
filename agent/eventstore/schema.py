"""What an events.db is: its numbers in the file header and its tables, byte for byte.

A file whose schema differs in one byte is not read: tables, triggers or views that somebody
put into it never run.
"""

from typing import Final

APPLICATION_ID: Final = 0x414D4F31
"""PRAGMA application_id: "AMO1" (bytes 68 to 71 of the file)."""
FORMAT: Final = 2
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
  head_after BLOB NOT NULL CHECK(length(head_after) = 64)
) STRICT"""

_BODY = """CREATE TABLE body(
  no INTEGER PRIMARY KEY,
  data BLOB NOT NULL
) STRICT"""

_PRUNED = """CREATE TABLE pruned(
  no INTEGER PRIMARY KEY,
  nodes BLOB NOT NULL CHECK(length(nodes) > 0 AND length(nodes) % 64 = 0)
) STRICT"""

_TILE = """CREATE TABLE tile(
  no INTEGER PRIMARY KEY,
  hash BLOB NOT NULL CHECK(length(hash) = 64)
) STRICT"""

_SEAL = """CREATE TABLE seal(
  no INTEGER PRIMARY KEY,
  note BLOB NOT NULL,
  mac BLOB NOT NULL CHECK(length(mac) = 64),
  signature BLOB NOT NULL CHECK(length(signature) = 64)
) STRICT"""

_BLOCK_NEXT = """CREATE TRIGGER block_next BEFORE INSERT ON block
WHEN NEW.no IS NOT (SELECT coalesce(max(no), 0) + 1 FROM block)
  OR NEW.head_before IS NOT coalesce(
    (SELECT head_after FROM block WHERE no = NEW.no - 1), NEW.head_before)
BEGIN SELECT RAISE(ABORT, 'a block follows the last one'); END"""

_BODY_NEXT = """CREATE TRIGGER body_next BEFORE INSERT ON body
WHEN NEW.no IS NOT (SELECT max(no) FROM block)
BEGIN SELECT RAISE(ABORT, 'a body is that of the last block'); END"""

_PRUNED_BODY = """CREATE TRIGGER pruned_body BEFORE INSERT ON pruned
WHEN NOT EXISTS (SELECT 1 FROM body WHERE no = NEW.no)
BEGIN SELECT RAISE(ABORT, 'there is no body to prune'); END"""

_TILE_NEXT = """CREATE TRIGGER tile_next BEFORE INSERT ON tile
WHEN NEW.no IS NOT (SELECT coalesce(max(no), -1) + 1 FROM tile)
BEGIN SELECT RAISE(ABORT, 'a tile follows the last one'); END"""

_SEAL_NEXT = """CREATE TRIGGER seal_next BEFORE INSERT ON seal
WHEN NEW.no IS NOT (SELECT coalesce(max(no), 0) + 1 FROM seal)
BEGIN SELECT RAISE(ABORT, 'a seal follows the last one'); END"""

_BODY_NO_DELETE = """CREATE TRIGGER body_no_delete BEFORE DELETE ON body
WHEN NOT EXISTS (SELECT 1 FROM pruned WHERE no = OLD.no)
BEGIN SELECT RAISE(ABORT, 'the log is append-only'); END"""


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
    ("table", "body", "body", _BODY),
    ("table", "pruned", "pruned", _PRUNED),
    ("table", "tile", "tile", _TILE),
    ("table", "seal", "seal", _SEAL),
    ("trigger", "block_next", "block", _BLOCK_NEXT),
    ("trigger", "body_next", "body", _BODY_NEXT),
    ("trigger", "pruned_body", "pruned", _PRUNED_BODY),
    ("trigger", "tile_next", "tile", _TILE_NEXT),
    ("trigger", "seal_next", "seal", _SEAL_NEXT),
    ("trigger", "body_no_delete", "body", _BODY_NO_DELETE),
    *(_never("UPDATE", table) for table in ("log", "block", "body", "pruned", "tile", "seal")),
    *(_never("DELETE", table) for table in ("log", "block", "pruned", "tile", "seal")),
)
"""(type, name, table, SQL) of each row of sqlite_schema, in the order of creation."""

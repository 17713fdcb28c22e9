"""Is a read model what its log says? It is no evidence, but it should not lie either.

The log is folded anew in memory, up to the cursor of the file, and compared with it table by
table. Rows that rest on bodies which are pruned by now cannot be had again and are passed over.
"""

import sqlite3
import sys
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import sqlite_utils
from sqlite_utils.db import Table

from agent.eventstore.log import EventReader
from agent.eventstore.modelfile import to_look
from agent.eventstore.readmodel import Progress, ReadModel

EXAMPLE_CHARACTERS: Final = 80
"""Of the key of a row that is wrong, at most."""

_PASSED: Final[dict[str, Any]] = {}
_SCHEMA: Final = "SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY rowid"

_Row = dict[str, Any]
_Rows = dict[tuple[Any, ...], _Row]
_Ranges = list[tuple[int, int]]


def differences(path: Path, log: EventReader, *, progress: Progress | None = None) -> list[str]:
    """One line for each table of a readmodel.db that is not as its log makes it; none is best.

    progress: as of ReadModel.catch_up
    Raises UsageError where there is no read model of this version, StoreError for a log that
    cannot be read.
    """
    with closing(to_look(path)) as connection, ReadModel.in_memory() as rebuilt:
        try:
            connection.execute("BEGIN")  # of one moment, while somebody follows the log
            found = sqlite_utils.Database(connection, execute_plugins=False)
            return list(_differences(found, rebuilt, log, progress))
        except sqlite3.Error as error:
            return [f"it cannot be read: {error}"]


def _differences(
    found: sqlite_utils.Database, rebuilt: ReadModel, log: EventReader, progress: Progress | None
) -> Iterator[str]:
    schema, expected = (db.execute(_SCHEMA).fetchall() for db in (found, rebuilt.db))
    if schema != expected:
        yield "its tables are not those of a read model"
        return
    seq, log_id = found.execute("SELECT seq, log_id FROM cursor").fetchone() or (0, log.log_id)
    if log_id != log.log_id:
        yield f"it follows log {log_id.hex()}, not {log.log_id.hex()}"
        return
    head = log.head().seq
    if seq > head:
        yield f"it follows its log to event {seq}; the log ends at {head}"
        return
    rebuilt.catch_up(log, through=seq, progress=progress)
    pruned = [(row["first_seq"], row["last_seq"]) for row in rebuilt.db["unseen"].rows]
    for name in rebuilt.db.table_names():
        first, second = (_rows(Table(db, name), pruned) for db in (found, rebuilt.db))
        wrong = [key for key in {**first, **second} if _differ(first.get(key), second.get(key))]
        if wrong:
            example = str(wrong[0])[:EXAMPLE_CHARACTERS]
            yield f"{name}: {len(wrong)} rows are not what the log says; one is {example}"


def _rows(table: Table, pruned: _Ranges) -> _Rows:
    """By primary key; _PASSED for a row that rests on events that are pruned."""
    span = ("seq", "seq") if "seq" in table.columns_dict else ("first_seq", "last_seq")
    keys = table.pks
    rows: _Rows = {}
    for row in table.rows:
        kept = not _overlap(row[span[0]], row[span[1]], pruned)
        rows[tuple(row[key] for key in keys)] = row if kept else _PASSED
    return rows


def _overlap(first: int, last: int, ranges: _Ranges) -> bool:
    """ranges: in order, apart from each other"""
    before = bisect_right(ranges, (last, sys.maxsize)) - 1
    return before >= 0 and ranges[before][1] >= first


def _differ(one: _Row | None, other: _Row | None) -> bool:
    return one != other and _PASSED not in (one, other)

"""The chain on disk, or in memory: blocks, their commits and results, and where each tx is.

One SQLite transaction a block, so after a kill the file holds whole blocks only. The state is not
here: it is what comes of executing the blocks again.
"""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final, TypeVar

from agent.amo.devnode.outcome import BlockOutcome
from agent.amo.tendermint.block import Block, block_from_json
from agent.amo.tendermint.commit import Commit, commit_from_json
from agent.amo.tendermint.validators import ValidatorSet, from_json, in_order
from agent.errors import MalformedInputError, StoreError, UsageError

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS genesis (document TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS block (
    height INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE,
    block TEXT NOT NULL, commitment TEXT NOT NULL, results TEXT NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tx (
    hash BLOB PRIMARY KEY, height INTEGER NOT NULL, position INTEGER NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS validators (
    from_height INTEGER PRIMARY KEY, members TEXT NOT NULL) STRICT;
"""
_SELECT: Final = {
    column: f"SELECT {column} FROM block WHERE height = ?"  # noqa: S608 (names of our own)
    for column in ("block", "commitment", "results")
}
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Made:
    """A block with the commit that made it final and what came of it."""

    block: Block
    commit: Commit
    outcome: BlockOutcome


class Archive:
    """path: the database file; None keeps the chain in memory.

    Raises UsageError for a file that another node holds or that is no chain, StoreError where a
    block cannot be written or read.
    """

    def __init__(self, path: Path | None) -> None:
        self._name = "chain in memory" if path is None else str(path)
        try:
            self._db = sqlite3.connect(path or ":memory:", timeout=0, isolation_level=None)
        except sqlite3.Error as error:
            raise UsageError(f"{self._name}: {error}") from error
        try:
            self._db.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("BEGIN EXCLUSIVE")
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._db.close()
            raise UsageError(f"{self._name}: {error}") from error

    def close(self) -> None:
        self._db.close()

    @property
    def height(self) -> int:
        """Of the newest block; 0 when there is none."""
        row = self._row("SELECT max(height) FROM block")
        return int(row[0] or 0) if row else 0

    def bind(self, document: Mapping[str, Any]) -> None:
        """Keep the genesis document, or raise UsageError when the file has another one."""
        text = json.dumps(document, sort_keys=True)
        row = self._row("SELECT document FROM genesis")
        if row is not None and row[0] != text:
            raise UsageError(f"{self._name} belongs to another genesis document")
        if row is None:
            self._row("INSERT INTO genesis VALUES (?)", text)

    def append(self, made: Made, members: ValidatorSet, from_height: int) -> None:
        """members: the validators from that height on."""
        height = made.block.header.height
        row = (
            height,
            made.block.block_id.hash,
            json.dumps(made.block.to_json()),
            json.dumps(made.commit.to_json()),
            json.dumps(made.outcome.to_json(height)),
        )
        txs = [(sha256(tx).digest(), height, at) for at, tx in enumerate(made.block.txs)]
        changed = members != self.validators(from_height)
        with self._reporting():
            self._db.execute("BEGIN")
            self._db.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?)", row)
            self._db.executemany("INSERT OR REPLACE INTO tx VALUES (?, ?, ?)", txs)
            if changed:
                text = json.dumps([each.to_json() for each in members])
                self._db.execute(
                    "INSERT OR REPLACE INTO validators VALUES (?, ?)", (from_height, text)
                )
            self._db.execute("COMMIT")

    def block(self, height: int) -> Block:
        return self._read("block", height, block_from_json)

    def commit(self, height: int) -> Commit:
        """As this node made it."""
        return self._read("commitment", height, commit_from_json)

    def results(self, height: int) -> dict[str, Any]:
        """The answer of the RPC method `block_results`."""
        return self._read("results", height, dict)

    def height_of(self, block_hash: bytes) -> int | None:
        row = self._row("SELECT height FROM block WHERE hash = ?", block_hash)
        return None if row is None else int(row[0])

    def place_of(self, tx_hash: bytes) -> tuple[int, int] | None:
        """(height, place in the block)"""
        row = self._row("SELECT height, position FROM tx WHERE hash = ?", tx_hash)
        return None if row is None else (int(row[0]), int(row[1]))

    def validators(self, height: int) -> ValidatorSet:
        """Those of that height; empty where nothing was ever written."""
        row = self._row(
            "SELECT members FROM validators WHERE from_height <= ? "
            "ORDER BY from_height DESC LIMIT 1",
            height,
        )
        return in_order([from_json(each) for each in json.loads(row[0])]) if row else ()

    def set_validators(self, members: ValidatorSet, from_height: int) -> None:
        text = json.dumps([each.to_json() for each in members])
        self._row("INSERT OR IGNORE INTO validators VALUES (?, ?)", from_height, text)

    def _read(self, column: str, height: int, parse: Callable[[Mapping[str, Any]], _T]) -> _T:
        row = self._row(_SELECT[column], height)
        if row is None:
            raise StoreError(f"{self._name}: block {height} is missing")
        try:
            return parse(json.loads(row[0]))
        except (ValueError, KeyError, TypeError, MalformedInputError) as error:
            raise StoreError(f"{self._name}: {column} of block {height} is damaged") from error

    def _row(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        with self._reporting():
            row: tuple[Any, ...] | None = self._db.execute(statement, values).fetchone()
        return row

    @contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            with suppress(sqlite3.Error):  # the first error is the one to tell
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            raise StoreError(f"{self._name}: {error}") from error

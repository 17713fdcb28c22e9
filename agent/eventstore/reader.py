"""events.db as its readers see it, block by block.

Reading never disturbs the writer, in this process or in another. Each block is one short
read transaction, so that a slow reader does not hold the write-ahead log back.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import apsw
import msgspec

from agent.errors import LogCorruptError, MalformedInputError
from agent.eventstore import chain
from agent.eventstore.container import DamagedFileError, connect, identify, spoken_of
from agent.eventstore.log import Head, Recorded

LOWEST: Final = -(2**63)
"""As the first block to read: also finds numbers that cannot be."""
_BLOCK: Final = """SELECT no, first_seq, n, head_before, head_after, data, nodes
    FROM block LEFT JOIN body USING (no) LEFT JOIN pruned USING (no)"""
_LAST: Final = f"{_BLOCK} ORDER BY no DESC LIMIT 1"
_NEXT: Final = f"{_BLOCK} WHERE no >= ? ORDER BY no LIMIT 1"
_STRAY: Final = """SELECT no FROM body WHERE no NOT IN (SELECT no FROM block) UNION ALL
    SELECT no FROM pruned WHERE no NOT IN (SELECT no FROM block) LIMIT 1"""
_NEXT_BODY: Final = "SELECT no FROM body WHERE no >= ? ORDER BY no LIMIT 1"
_SEALS: Final = "SELECT no, note, mac, signature FROM seal WHERE no >= ? ORDER BY no"
_LAST_SEAL: Final = "SELECT no, note, mac, signature FROM seal ORDER BY no DESC LIMIT 1"


class Block(msgspec.Struct, frozen=True):
    """One transaction of the writer.

    body: its events; None once it was pruned, and then `nodes` stands for it
    """

    no: int
    first_seq: int
    n: int
    head_before: bytes
    head_after: bytes
    body: bytes | None
    nodes: bytes | None = None


class Seal(msgspec.Struct, frozen=True):
    """A row of the table of seals; docs/formats/seal.md."""

    no: int
    note: bytes
    mac: bytes
    signature: bytes


class Tail(msgspec.Struct, frozen=True):
    """Where a log ends. no: its last block, 0 for none; boot: of its last event, 0 for none."""

    no: int
    head: Head
    boot: int


class LogReader:
    """A log opened for reading; an EventReader. For one thread at a time."""

    def __init__(self, path: Path, connection: apsw.Connection) -> None:
        self._path = path
        self._connection = connection
        self.log_id, self.note = self._identity()

    @classmethod
    def open(cls, path: Path, *, still: bool = False) -> Self:
        """still: the caller knows that nobody writes; no file appears beside the log then.

        Raises UsageError for what is not a log of this format, LogCorruptError for a log that
        is not whole, StoreError when it cannot be read.
        """
        connection = connect(path, still=still)
        try:
            with spoken_of(path):
                identify(connection, path)
                return cls(path, connection)
        except BaseException:
            connection.close()
            raise

    def head(self) -> Head:
        with spoken_of(self._path):
            last = self._connection.execute(
                "SELECT first_seq + n - 1, head_after FROM block ORDER BY no DESC LIMIT 1"
            ).get
        return Head(*last) if last else Head(0, chain.genesis(self.log_id, self.note))

    def tail(self) -> Tail:
        """The end, with the last block checked. Raises LogCorruptError when it does not hold."""
        block = self._row(_LAST)
        if block is None:
            return Tail(0, Head(0, chain.genesis(self.log_id, self.note)), 0)
        try:
            events = [event for _, event in chain.unpack(block.body or b"")]
            last = chain.decode(events[-1])
        except (MalformedInputError, IndexError) as error:
            raise LogCorruptError(f"{self._path}: block {block.no} is broken: {error}") from error
        seq = block.first_seq + block.n - 1
        body, after = chain.pack(events, block.head_before)
        if (body, after, last.seq, len(events)) != (block.body, block.head_after, seq, block.n):
            raise LogCorruptError(f"{self._path}: block {block.no} is not as it was written")
        return Tail(block.no, Head(seq, after), last.boot)

    def read(self, after: int = 0, through: int | None = None) -> Iterator[Recorded]:
        """See EventReader."""
        if after < 0:
            raise ValueError(f"after = {after}; sequence numbers begin at 1")
        last = sys.maxsize if through is None else through
        due = None
        end = sys.maxsize if through is None else self.block_with(through)
        for block in self.span(self.block_with(after + 1), end):
            due = min(block.first_seq, after + 1) if due is None else due
            if block.first_seq != due:
                raise LogCorruptError(f"{self._path}: event {block.first_seq} follows {due - 1}")
            for recorded in () if block.body is None else self._events(block, block.body):
                if after < recorded.seq <= last:
                    yield recorded
            due += block.n

    def span(self, first: int, last: int) -> Iterator[Block]:
        """The blocks of these numbers, of which there may be fewer, in order."""
        for block in self.blocks(first) if first <= last else ():
            yield block
            if block.no >= last:
                return

    def blocks(self, first: int = LOWEST) -> Iterator[Block]:
        """From block number `first` to the end as it then is, in order."""
        no: int | None = None
        while block := self._row(_NEXT, first if no is None else no):
            if no is not None and block.no != no:
                raise LogCorruptError(f"{self._path}: block {block.no} stands where {no} should")
            yield block
            no = block.no + 1

    def bodies(self, first: int = 1) -> Iterator[int]:
        """Numbers of the blocks from `first` on that have their body, in order."""
        no: int | None = first
        while True:
            with spoken_of(self._path):
                no = self._connection.execute(_NEXT_BODY, (no,)).get
            if no is None:
                return
            yield no
            no += 1

    def seals(self, first: int = LOWEST) -> Iterator[Seal]:
        """From number `first`, in order."""
        with spoken_of(self._path):
            for row in self._connection.execute(_SEALS, (first,)):
                yield self._seal(row)

    def last_seal(self) -> Seal | None:
        with spoken_of(self._path):
            row = self._connection.execute(_LAST_SEAL).get
        return None if row is None else self._seal(row)

    def tiles(self) -> Iterator[tuple[int, bytes]]:
        """Number and hash of each, in order."""
        with spoken_of(self._path):
            for no, digest in self._connection.execute("SELECT no, hash FROM tile ORDER BY no"):
                if not (isinstance(no, int) and isinstance(digest, bytes)):
                    raise LogCorruptError(f"{self._path}: a tile has a column of another type")
                yield no, digest

    def last_block(self) -> int:
        """Its number; 0 where there is none yet."""
        with spoken_of(self._path):
            return int(self._connection.execute("SELECT max(no) FROM block").get or 0)

    def check_structure(self) -> None:
        """Whether all that is there belongs to a block, and the pages of the file add up.

        Raises LogCorruptError, DamagedFileError.
        """
        with spoken_of(self._path):
            stray = self._connection.execute(_STRAY).get
            if stray is not None:
                raise LogCorruptError(f"{self._path}: there is no block {stray} to its body")
            found = self._connection.execute("PRAGMA quick_check(1)").get
        if found != "ok":
            raise DamagedFileError(f"{self._path}: {' '.join(str(found).split())}")

    def close(self) -> None:
        with spoken_of(self._path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _identity(self) -> tuple[bytes, bytes]:
        rows = list(self._connection.execute("SELECT id, log_id, note FROM log"))
        match rows:
            case [(1, bytes(log_id), bytes(note))] if len(log_id) == chain.LOG_ID_BYTES:
                return log_id, note
        raise LogCorruptError(f"{self._path}: the log does not say which one it is")

    def _row(self, query: str, *bindings: int) -> Block | None:
        with spoken_of(self._path):
            row = self._connection.execute(query, bindings).get
        if row is None:
            return None
        no, first_seq, n, before, after, data, nodes = row
        if tuple(map(type, row[:5])) != (int, int, int, bytes, bytes):
            raise LogCorruptError(f"{self._path}: a block has a column of another type")
        if {type(data), type(nodes)} != {bytes, type(None)}:
            raise LogCorruptError(f"{self._path}: block {no} has not either a body or nodes")
        try:
            body = None if data is None else chain.decompress(data)
        except MalformedInputError as error:
            raise LogCorruptError(f"{self._path}: block {no}: {error}") from error
        return Block(no, first_seq, n, before, after, body, nodes)

    def _seal(self, row: tuple[Any, ...]) -> Seal:
        if tuple(map(type, row)) != (int, bytes, bytes, bytes):
            raise LogCorruptError(f"{self._path}: a seal has a column of another type")
        return Seal(*row)

    def block_with(self, seq: int) -> int:
        """The number of the block that holds an event, or would hold it."""
        low, high = 1, self.last_block()
        while low < high:
            middle = (low + high + 1) // 2
            if self._first_seq(middle) <= seq:
                low = middle
            else:
                high = middle - 1
        return low

    def _first_seq(self, no: int) -> int:
        query = "SELECT first_seq FROM block WHERE no >= ? ORDER BY no LIMIT 1"
        with spoken_of(self._path):
            return int(self._connection.execute(query, (no,)).get)

    def _events(self, block: Block, body: bytes) -> Iterator[Recorded]:
        seq = block.first_seq
        try:
            for _, event in chain.unpack(body):
                recorded = chain.decode(event)
                if recorded.seq != seq:
                    break
                yield recorded
                seq += 1
        except MalformedInputError as error:
            raise LogCorruptError(f"{self._path}: event {seq}: {error}") from error
        if seq != block.first_seq + block.n:
            raise LogCorruptError(f"{self._path}: event {seq} is not where block {block.no} has it")

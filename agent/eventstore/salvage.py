"""What still holds of a log that was set aside, as a whole log of the same name.

Everything from the first event to the last block that follows is copied, and the seals over it. The
broken file stays as it is: what lies behind the damage can still be looked for there.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import apsw
import structlog
import zstandard

from agent.errors import AgentError, MalformedInputError, StoreError
from agent.eventstore import chain, note
from agent.eventstore.birth import deliver
from agent.eventstore.modelfile import remove
from agent.eventstore.reader import Block, LogReader
from agent.eventstore.state import BROKEN, SALVAGED
from agent.eventstore.tree import TILE
from agent.eventstore.walk import BrokenError, Fold, walk
from agent.files import sync_directory

_BLOCKS: Final = 100
"""In one transaction."""
_log = structlog.get_logger()


def salvage(broken: Path, target: Path, stop: threading.Event) -> int:
    """How many events were copied; `target` is there when it is whole.

    Raises StoreError for a file that cannot be read at all, and when `stop` is set.
    """
    new = target.with_name(f"{target.name}.new")
    remove(new)
    try:
        new.touch(0o600)
        with LogReader.open(broken) as reader:
            deliver(new, reader.log_id, reader.note)
            events = _copy(reader, new, stop)
        new.rename(target)
        sync_directory(target.parent)
    except (apsw.Error, OSError) as error:
        raise StoreError(f"{target}: not salvaged: {error}") from error
    return events


def _copy(reader: LogReader, new: Path, stop: threading.Event) -> int:
    connection = apsw.Connection(str(new), flags=apsw.SQLITE_OPEN_READWRITE)
    try:
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)  # a pruned body was never here
        connection.pragma("synchronous", 2)
        fold = Fold()
        fold.begin(reader.log_id, reader.note)
        for blocks in _batches(_sound(reader, fold)):
            if stop.is_set():
                raise StoreError(f"{new}: not salvaged: the agent stops")
            with connection:
                for block in blocks:
                    _put(connection, block)
        with connection:
            _put_seals(connection, reader, fold.seq)
    finally:
        connection.close()
    return fold.seq


def _sound(reader: LogReader, fold: Fold) -> Iterator[Block]:
    """The blocks up to the first thing that does not follow or cannot be read."""
    with suppress(BrokenError, StoreError):
        for block in reader.blocks():
            before = fold.seq
            try:
                fold.take(walk(block))
            except BrokenError:
                fold.seq = before  # a block goes whole or not at all
                raise
            yield block


def _batches(blocks: Iterator[Block]) -> Iterator[list[Block]]:
    batch: list[Block] = []
    for block in blocks:
        batch.append(block)
        if len(batch) == _BLOCKS:
            yield batch
            batch = []
    yield batch


def _put(connection: apsw.Connection, block: Block) -> None:
    head = (block.no, block.first_seq, block.n, block.head_before, block.head_after)
    connection.execute("INSERT INTO block VALUES (?, ?, ?, ?, ?)", head)
    if block.body is None:
        connection.execute("INSERT INTO pruned VALUES (?, ?)", (block.no, block.nodes))
    else:
        data = zstandard.ZstdCompressor(level=chain.LEVEL).compress(block.body)
        connection.execute("INSERT INTO body VALUES (?, ?)", (block.no, data))


def _put_seals(connection: apsw.Connection, reader: LogReader, seq: int) -> None:
    """Those over what was copied, as far as they can be read; and their tiles."""
    sealed = 0
    with suppress(StoreError, MalformedInputError):
        for seal in reader.seals():
            size = note.decode(seal.note).size
            if size > seq:
                break
            row = (seal.no, seal.note, seal.mac, seal.signature)
            connection.execute("INSERT INTO seal VALUES (?, ?, ?, ?)", row)
            sealed = size
        for number, digest in reader.tiles():
            if (number + 1) * TILE <= sealed:
                connection.execute("INSERT INTO tile VALUES (?, ?)", (number, digest))


class Salvager:
    """Salvages, in a thread of its own, every log of a state directory that waits for it."""

    def __init__(self, state: Path) -> None:
        self._state = state
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="salvager", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """What is not whole by then is begun again by the next start."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        for broken in sorted(self._state.glob(f"{BROKEN}*")):
            number = broken.name.removeprefix(BROKEN)
            target = self._state / f"{SALVAGED}{number}"
            if not number.isdigit() or target.exists():
                continue
            try:
                events = salvage(broken, target, self._stop)
            except AgentError as error:
                _log.warning("nothing salvaged", log=broken.name, reason=str(error))
            else:
                _log.info("salvaged", log=broken.name, events=events)

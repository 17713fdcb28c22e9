"""Does this log hold? Shares with the writer only the bytes of chain.py.

The verifier never repairs and never re-serialises: it hashes what is stored and stops at the
first thing that does not follow. A log whose end was cut off at a block still holds; only
something outside the file can tell (docs/formats/log.md, "What a verifier cannot see").
"""

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from agent.errors import LogCorruptError, MalformedInputError, StoreError
from agent.eventstore import chain
from agent.eventstore.reader import (
    Block,
    DamagedFileError,
    LogReader,
    cut_short,
    nobody_writes,
)

Progress = Callable[[int, int], None]
Word = Literal["intact", "tampered", "truncated", "damaged"]
"""tampered: it can be read and does not hold; truncated: the file is shorter than its own
header says; damaged: a part of it cannot be read."""


class Verdict(msgspec.Struct, frozen=True):
    """
    verdict:       see Word
    first_bad_seq: of the first event that does not hold; None when intact
    reason:        one line
    events:        how many hold, from the first on
    blocks:        how many hold whole
    head:          hex of the chain hash after the last event that holds
    log_id:        hex; empty where it could not be read
    """

    verdict: Word
    first_bad_seq: int | None
    reason: str
    events: int
    blocks: int
    head: str
    log_id: str


def verify(events_db: Path, *, progress: Progress | None = None) -> Verdict:
    """The verdict on one events.db, at rest or while it grows. Nothing is written.

    progress: called with (blocks checked, blocks there were at the start).
    Raises UsageError when there is no such file or it is not a log.
    """
    still = nobody_writes(events_db)
    verdict = _verify(events_db, progress, still=still)
    if still and not nobody_writes(events_db):
        verdict = _verify(events_db, progress, still=False)  # a writer came while we read
    return verdict


class _BrokenError(Exception):
    """The first thing that does not follow; the walk stands at the event before it."""


class _Walk:
    """The chain as far as it holds."""

    def __init__(self) -> None:
        self.log_id = b""
        self.head = b""
        self.seq = 0
        self.blocks = 0
        self._boot = 1

    def begin(self, log_id: bytes, note: bytes) -> None:
        self.log_id = log_id
        self.head = chain.genesis(log_id, note)

    def take(self, block: Block) -> None:
        """Moves past a block. Raises _BrokenError."""
        if block.no != self.blocks + 1:
            raise _BrokenError(f"block {block.no} stands where {self.blocks + 1} should")
        if block.first_seq != self.seq + 1:
            raise _BrokenError(f"block {block.no} says it begins with event {block.first_seq}")
        if block.head_before != self.head:
            raise _BrokenError(f"block {block.no} does not follow the one before it")
        before_last = self._take_events(block)
        if block.head_after != self.head:
            self.seq, self.head = before_last  # the last event is the one that hash belongs to
            raise _BrokenError(f"block {block.no} does not end with the hash it says")
        self.blocks += 1

    def _take_events(self, block: Block) -> tuple[int, bytes]:
        """Sequence number and head before its last event."""
        last = block.first_seq + block.n - 1
        seq, head, boot = self.seq, self.head, self._boot
        before = seq, head
        try:
            for check, event in chain.unpack(block.body or b""):
                after = chain.link(head, event)
                if after[: chain.CHECK_BYTES] != check:
                    raise _BrokenError("the bytes of the event are not those that were hashed")
                recorded = chain.decode(event)
                if recorded.seq != seq + 1:
                    raise _BrokenError(f"the event says it is {recorded.seq}")
                if recorded.boot < boot:
                    raise _BrokenError(f"boot {recorded.boot} follows boot {boot}")
                if recorded.seq > last:
                    raise _BrokenError(f"block {block.no} holds more than {block.n} events")
                before = seq, head
                seq, head, boot = recorded.seq, after, recorded.boot
        except MalformedInputError as error:
            raise _BrokenError(str(error)) from error
        finally:
            self.seq, self.head, self._boot = seq, head, boot
        if seq != last:
            raise _BrokenError(f"block {block.no} holds fewer than {block.n} events")
        return before

    def verdict(self, word: Word, reason: str) -> Verdict:
        return Verdict(
            verdict=word,
            first_bad_seq=None if word == "intact" else self.seq + 1,
            reason=reason,
            events=self.seq,
            blocks=self.blocks,
            head=self.head.hex(),
            log_id=self.log_id.hex(),
        )


def _verify(path: Path, progress: Progress | None, *, still: bool) -> Verdict:
    walk = _Walk()
    word, reason = _go(walk, path, progress, still=still)
    # while somebody writes, what the file lacks is in the write-ahead log
    if (still or word != "intact") and cut_short(path):
        word, reason = "truncated", "the file ends before its last page"
    return walk.verdict(word, reason)


def _go(walk: _Walk, path: Path, progress: Progress | None, *, still: bool) -> tuple[Word, str]:
    try:
        with LogReader.open(path, still=still) as reader:
            walk.begin(reader.log_id, reader.note)
            total = reader.last_block()
            for block in reader.blocks():
                walk.take(block)
                if progress is not None:
                    progress(walk.blocks, max(total, walk.blocks))
            reader.check_structure()
    except DamagedFileError as error:
        return "damaged", str(error)
    except (_BrokenError, LogCorruptError) as error:
        return "tampered", str(error)
    except StoreError as error:
        return "damaged", str(error)
    return "intact", "every event follows from the one before it"

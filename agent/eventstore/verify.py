"""Does this log hold? Shares with the writer only the bytes of chain.py.

The verifier never repairs and never re-serialises: it hashes what is stored and stops at the
first thing that does not follow. A log whose end was cut off behind its last seal still holds; the
floor, which lies outside the file, tells (docs/formats/log.md, "What a verifier cannot see").
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, NamedTuple

import msgspec

from agent.errors import LogCorruptError, StoreError
from agent.eventstore.anchor import Anchor, AnchorChecker, fault
from agent.eventstore.container import DamagedFileError, cut_short, nobody_writes
from agent.eventstore.ending import lost_tail
from agent.eventstore.floor import Floor
from agent.eventstore.prunecheck import PruneChecker
from agent.eventstore.reader import LogReader
from agent.eventstore.sealcheck import BadSealError, OwnersKeys, SealChecker
from agent.eventstore.walk import BrokenError, Fold, walk
from agent.eventstore.walks import last_block, looks

Progress = Callable[[int, int], None]
Word = Literal["intact", "tampered", "truncated", "damaged"]
"""tampered: it can be read and does not hold; truncated: its end is missing, by the floor or by the
header of the file; damaged: a part of it cannot be read."""

INTACT: Final[tuple[Word, str]] = "intact", "every event follows from the one before it"


class Verdict(msgspec.Struct, frozen=True):
    """
    verdict:       see Word
    first_bad_seq: of the first event that does not hold; None when intact
    reason:        one line
    events:        how many hold, from the first on
    blocks:        how many hold whole
    head:          hex of the chain hash after the last event that holds
    log_id:        hex; empty where it could not be read
    seals:         how many hold; sealed: the last event under them
    anchored:      the last event that AMO bears witness to, by receipts in the log; 0 without
    tx_hash:       of the transaction that does; height: of its block
    device:        hex of the public key that made them; empty where there is none
    pinned:        whether that is the key that was expected
    """

    verdict: Word
    first_bad_seq: int | None
    reason: str
    events: int
    blocks: int
    head: str
    log_id: str
    seals: int = 0
    sealed: int = 0
    device: str = ""
    pinned: bool = False
    anchored: int = 0
    tx_hash: str = ""
    height: int = 0


class Beside(NamedTuple):
    """What a verifier knows besides the file.

    floor:  how far the log is known to reach
    device: the public key of its seals, 65 bytes; keys: those of their MACs
    anchor: one of its seals, as AMO bears witness to it
    next_seal: number of the key beside it, which is never more than one ahead of its seals
    """

    floor: Floor | None = None
    device: bytes | None = None
    keys: OwnersKeys | None = None
    anchor: Anchor | None = None
    next_seal: int | None = None


NOTHING: Final = Beside()


def verify(
    events_db: Path,
    beside: Beside = NOTHING,
    *,
    progress: Progress | None = None,
    alone: bool = False,
) -> Verdict:
    """The verdict on one events.db, at rest or while it grows. Nothing is written.

    progress: called with (blocks checked, blocks there were at the start)
    alone:    in this process only; else a large log is shared by as many as there are processors
    Raises UsageError when there is no such file or it is not a log, SealError for a key that is
    not that of the log's seals.
    """
    still = nobody_writes(events_db)
    verdict = _Verifier(events_db, beside, still=still, alone=alone).verdict(progress)
    if still and not nobody_writes(events_db):  # a writer came while we read
        verdict = _Verifier(events_db, beside, still=False, alone=alone).verdict(progress)
    return verdict


class _Verifier:
    """One look at one file."""

    def __init__(self, path: Path, beside: Beside, *, still: bool, alone: bool) -> None:
        self._path = path
        self._beside = beside
        self._still = still
        self._alone = alone
        self._fold = Fold()
        self._seals: SealChecker | None = None
        self._anchors: AnchorChecker | None = None
        self._bad_seq: int | None = None

    def verdict(self, progress: Progress | None) -> Verdict:
        word, reason = self._judge(progress)
        # while somebody writes, what the file lacks is in the write-ahead log
        if (self._still or word != "intact") and cut_short(self._path):
            word, reason = "truncated", "the file ends before its last page"
        fold, seals, expected = self._fold, self._seals, self._beside.device
        device = b"" if seals is None or seals.device is None else seals.device
        known = None if self._anchors is None else self._anchors.witnessed
        first_bad = fold.seq + 1 if self._bad_seq is None else self._bad_seq
        return Verdict(
            verdict=word,
            first_bad_seq=None if word == "intact" else first_bad,
            reason=reason,
            events=fold.seq,
            blocks=fold.blocks,
            head=fold.head.hex(),
            log_id=fold.log_id.hex(),
            seals=0 if seals is None else seals.seals,
            sealed=0 if seals is None else seals.sealed,
            device=device.hex(),
            pinned=bool(device) and device == expected,
            anchored=0 if known is None else known.seq,
            tx_hash="" if known is None else known.receipt.tx_hash,
            height=0 if known is None else known.receipt.height,
        )

    def _judge(self, progress: Progress | None) -> tuple[Word, str]:
        try:
            with LogReader.open(self._path, still=self._still) as reader:
                self._go(reader, progress)
                return self._compared(reader)
        except DamagedFileError as error:
            return "damaged", str(error)
        except BadSealError as error:
            self._bad_seq = error.seq
            return "tampered", str(error)
        except (BrokenError, LogCorruptError) as error:
            return "tampered", str(error)
        except StoreError as error:
            return "damaged", str(error)

    def _compared(self, reader: LogReader) -> tuple[Word, str]:
        """A log that holds: is it whole, and the one that AMO bears witness to?"""
        lost, told = lost_tail(reader, self._beside.floor, self._beside.next_seal)
        if lost is not None:
            return "truncated", told
        anchor = self._beside.anchor
        told = "" if anchor is None else fault(reader, anchor)
        if anchor is None or not told:
            return INTACT
        if self._seals is not None and self._seals.seals < anchor.no:
            return "truncated", told
        self._bad_seq = 1  # nothing tells from where on it is another
        return "tampered", told

    def _go(self, reader: LogReader, progress: Progress | None) -> None:
        fold, total = self._fold, last_block(reader)
        fold.begin(reader.log_id, reader.note)
        seals = SealChecker(reader, device=self._beside.device, keys=self._beside.keys)
        self._seals, pruned = seals, PruneChecker(reader)
        self._anchors = anchors = AnchorChecker(reader)
        with looks(
            reader,
            self._path,
            range(1, total + 1),
            walk,
            still=self._still,
            alone=self._alone,
        ) as walks:
            for walked in walks:
                fold.take(walked)
                seals.take(walked)
                pruned.take(walked)
                anchors.take(walked)
                if progress is not None:
                    progress(fold.blocks, max(total, fold.blocks))
        seals.finish()
        pruned.finish(seals.sealed)
        reader.check_structure()

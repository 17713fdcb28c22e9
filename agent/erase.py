"""Erasure: the keys of a range of one level are destroyed, and the log says so.

The sealed bytes stay where they are, so the chain and every proof still hold; nobody opens them
any more. In this order, each step on disk before the next: a note beside the keys, `ErasureBegun`,
the keys, what was made from the events (outbox, read model), `ErasureDone`, the note again. A
start that finds the note looks for what was begun and not done, and completes it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from agent.errors import HeldError, StoreError, UsageError
from agent.events import ErasureBegun, ErasureDone, decode
from agent.eventstore.log import EventReader
from agent.eventstore.modelfile import remove
from agent.eventstore.state import READMODEL
from agent.files import replace, sync_directory
from agent.outbox import overlapping
from agent.privacy import Level, sealed
from agent.record import Journal
from agent.survey import Plan, Run, Survey

NOTE: Final = "erasing"
"""In the directory of the keys: the sequence number behind which an erasure was begun."""

Progress = Callable[[int, int], None]


class Keys(Protocol):
    """The keys of segments, by shape."""

    def kept(self, level: Level) -> list[int]:
        """Numbers of the segments whose key is there, in order."""

    def destroy(self, first: int, last: int, level: Level) -> int:
        """How many keys there were. Raises SealError."""


class Eraser:
    """For one state directory. Raises StoreError, SealError where the disk refuses."""

    def __init__(self, *, state: Path, log: EventReader, journal: Journal, keys: Keys) -> None:
        self._log = log
        self._journal = journal
        self._keys = keys
        self._note = state / "keys" / NOTE
        self._outbox = state / "outbox"
        self._readmodel = state / READMODEL

    def plan(self, level: Level, since_ns: int, until_ns: int, progress: Progress) -> Plan:
        """What erasing would reach, of all that was recorded so far; times in UTC ns, included.

        progress: called with (events looked at, events there are).
        Raises UsageError for a level that is not sealed and for a range that ends before it begins.
        """
        if not sealed(level):
            raise UsageError(f"Lv{level:d} is kept in clear and has no key: Lv1 and Lv2 have")
        if since_ns > until_ns:
            raise UsageError("the range ends before it begins")
        self._journal.flush()
        survey = Survey(level, since_ns, until_ns)
        total = self._log.head().seq
        for recorded in self._log.read():
            survey.take(recorded)
            progress(recorded.seq, total)
        return survey.plan(self._keys.kept(level))

    def waiting(self, plan: Plan) -> list[Path]:
        """Files of the outbox that hold something of it."""
        return _waiting(self._outbox, plan.level, ((r.first_seq, r.last_seq) for r in plan.runs))

    def carry_out(self, plan: Plan, basis: str) -> int:
        """How many keys were destroyed. Raises HeldError when there is a hold on the range."""
        if plan.hold is not None:
            raise HeldError(f"{plan.hold} forbids to erase this range")
        if not plan.runs:
            return 0
        with self._spoken_of():
            replace(self._note, str(self._log.head().seq).encode())
        begun = [_begun(plan.level, run, basis) for run in plan.runs]
        for event in begun:
            self._journal.write(event)
        self._journal.flush()
        return self._finish(begun)

    def resume(self) -> None:
        """Complete what was begun and not done, if there is any; to be called at every start."""
        if self._note.exists():
            self._finish(self._unfinished())

    def _finish(self, begun: Sequence[ErasureBegun]) -> int:
        with self._spoken_of():
            done = [self._destroy(event) for event in begun]
            self._scrub(begun)
            for event in done:
                self._journal.write(event)
            self._journal.flush()
            self._end()
        return sum(event.keys for event in done)

    def _destroy(self, begun: ErasureBegun) -> ErasureDone:
        level, first, last = begun.erased_level, begun.first_segment, begun.last_segment
        return ErasureDone(level, first, last, self._keys.destroy(first, last, Level(level)))

    def _scrub(self, begun: Iterable[ErasureBegun]) -> None:
        """What was made from the events goes; the read model is made again from what is left."""
        for event in begun:
            level, ranges = Level(event.erased_level), [(event.first_seq, event.last_seq)]
            for path in _waiting(self._outbox, level, ranges):
                path.unlink(missing_ok=True)
        if self._outbox.is_dir():
            sync_directory(self._outbox)
        remove(self._readmodel)

    def _unfinished(self) -> list[ErasureBegun]:
        found: dict[tuple[int, int, int], ErasureBegun] = {}
        for recorded in self._log.read(self._begun_after()):
            if recorded.kind not in {ErasureBegun.kind, ErasureDone.kind}:
                continue
            event = decode(recorded.kind, recorded.payload)
            if isinstance(event, ErasureBegun):
                found[event.erased_level, event.first_segment, event.last_segment] = event
            elif isinstance(event, ErasureDone):
                found.pop((event.erased_level, event.first_segment, event.last_segment), None)
        return list(found.values())

    def _begun_after(self) -> int:
        with self._spoken_of(), suppress(ValueError):  # no number: the whole log is read
            return int(self._note.read_bytes())
        return 0

    @contextmanager
    def _spoken_of(self) -> Iterator[None]:
        """Errors of the disk in the agent's words."""
        try:
            yield
        except OSError as error:
            raise StoreError(f"{error.filename or self._note}: {error.strerror}") from error

    def _end(self) -> None:
        self._note.unlink(missing_ok=True)
        sync_directory(self._note.parent)


def _begun(level: Level, run: Run, basis: str) -> ErasureBegun:
    return ErasureBegun(
        int(level), run.first_segment, run.last_segment, run.first_seq, run.last_seq, basis
    )


def _waiting(outbox: Path, level: Level, ranges: Iterable[tuple[int, int]]) -> list[Path]:
    return sorted({path for r in ranges for path in overlapping(outbox, level, *r)})

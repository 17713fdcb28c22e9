"""The life of a log on a recorded disk, and what must be left of it after a power cut."""

import random
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.clock import ClockQuality
from agent.events import DtcSet, Event, InputLost, encode
from agent.eventstore import chain, floor
from agent.eventstore.ending import lost_tail
from agent.eventstore.log import Draft
from agent.eventstore.reader import LogReader, Seal
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.retention import Going
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS, FLOOR
from agent.eventstore.verify import verify
from agent.eventstore.walk import walk
from tests.eventstore.disk import Disk, Model, Resized, Written, laid_out
from tests.eventstore.powercut import Recorder, recording
from tests.eventstore.unkept import unkept

STATE: Final = "car/state"
"""Below the recorded directory: the names on the way to the log are at stake too."""


class Told(msgspec.Struct, frozen=True):
    """What the caller knew when `at` operations were done.

    seq: of the last event acknowledged; seals: how many; pruned: numbers of blocks
    """

    at: int
    phase: str
    born: bool = False
    seq: int = 0
    seals: int = 0
    pruned: frozenset[int] = frozenset()


class Life:
    """A log in use, and what was asked of the disk meanwhile.

    begun:  how many operations only say what was there before
    events: the bytes of every event that was handed over, from number 1
    blocks: (number of the last event, hash after it) of every block
    models: read models of earlier moments: (their cursor, the file)
    """

    def __init__(self, disk: Recorder, chance: random.Random) -> None:
        self.disk = disk
        self.state = Path(disk.root, STATE)
        self.begun = len(disk.done)
        self.told = [Told(self.begun, "birth")]
        self.events: list[bytes] = []
        self.blocks: list[tuple[int, bytes]] = []
        self.seals: list[Seal] = []
        self.models: list[tuple[int, bytes]] = []
        self._chance = chance

    def tell(self, **news: Any) -> None:
        self.told.append(msgspec.structs.replace(self.told[-1], at=len(self.disk.done), **news))

    def open(self, *, create: bool) -> SqliteLog:
        log = SqliteLog.open(self.state, create=create)
        self.tell(born=True, phase="append")
        return log

    def append(self, log: SqliteLog) -> None:
        self.hand_over(log, [self._draft() for _ in range(self._chance.randint(1, 6))])

    def hand_over(self, log: SqliteLog, drafts: list[Draft]) -> None:
        self.events += chain.encode_all(drafts, log.head().seq + 1, log.boot)
        log.append(drafts)
        head = log.head()
        self.blocks.append((head.seq, head.hash))
        self.tell(seq=head.seq)

    def seal(self, log: SqliteLog) -> None:
        self.tell(phase="seal")
        assert unkept(log, self.state).seal() is not None
        with LogReader.open(self.state / EVENTS) as reader:
            self.seals = list(reader.seals())
        self.tell(phase="append", seals=len(self.seals))

    def prune(self, log: SqliteLog, numbers: range) -> None:
        with LogReader.open(self.state / EVENTS) as reader:
            blocks = [block for block in reader.blocks() if block.no in numbers]
        going = Going.of([walk(block) for block in blocks])
        self.hand_over(log, [_stored(going.event)])
        self.tell(phase="prune")
        log.prune(going.nodes)
        self.tell(phase="append", pruned=frozenset(numbers))

    def close(self, log: SqliteLog) -> None:
        self.tell(phase="close")
        log.close()
        self.tell(phase="reopen")

    def project(self, log: SqliteLog, path: Path) -> None:
        """A read model up to here, kept."""
        with ReadModel.open(path) as model:
            model.catch_up(log)
        self.models.append((log.head().seq, path.read_bytes()))

    def at(self, position: int) -> Told:
        return next(told for told in reversed(self.told) if told.at <= position)

    def phases(self) -> dict[str, list[int]]:
        """The moments of each phase, a moment being how many operations were done."""
        found: dict[str, list[int]] = {}
        for position in range(self.begun, len(self.disk.done) + 1):
            told = self.at(position)
            last = self.disk.done[position - 1] if position else None
            file = self.disk.number(str(self.state / EVENTS)) if told.born else None
            folds = isinstance(last, Written | Resized) and last.file == file
            phase = "checkpoint" if folds and told.phase == "append" else told.phase
            found.setdefault(phase, []).append(position)
        return found

    def cuts(self, model: Model, positions: list[int]) -> Iterator[tuple[int, dict[str, bytes]]]:
        """What is on the disk after a cut at each of these moments, which are in order."""
        disk, done = Disk(model), 0
        for position in positions:
            for operation in self.disk.done[done:position]:
                disk.take(operation)
            done = position
            yield position, disk.cut(self._chance)

    def _draft(self) -> Draft:
        chance = self._chance
        number = len(self.events) + chance.randrange(10)
        event = chance.choice(
            (DtcSet(f"P{number:04}", "7E8"), InputLost("frames", number, "a full queue"))
        )
        return _stored(event, chance.randbytes(3000) if chance.random() < 0.2 else None)


def _stored(event: Event, payload: bytes | None = None) -> Draft:
    payload = encode(event) if payload is None else payload
    return Draft(event.kind, event.level, 0, 0, ClockQuality.GNSS, payload)


def lived(root: Path, chance: random.Random) -> Life:
    """Two starts of a log, with everything that it does in its life."""
    with recording(root) as disk:
        life = Life(disk, chance)
        log = life.open(create=True)
        for _ in range(6):
            life.append(log)
        life.project(log, root.with_name("readmodel.db"))
        life.seal(log)
        life.append(log)
        life.append(log)
        life.close(log)
        log = life.open(create=False)
        for _ in range(5):
            life.append(log)
        life.project(log, root.with_name("readmodel.db"))
        life.seal(log)
        life.prune(log, range(1, 5))
        for _ in range(3):
            life.append(log)
        life.close(log)
    return life


def revived(life: Life, position: int, files: Mapping[str, bytes], place: Path) -> Life:
    """The log goes on after a cut; raises AssertionError where it is not what it has to be."""
    told, chance = life.at(position), life._chance
    shutil.rmtree(place, ignore_errors=True)
    laid_out(files, place)
    with recording(place) as disk:
        again = Life(disk, chance)
        born = f"{STATE}/{EVENTS}" in files
        assert born or not told.born, "the log is gone"
        if born and chance.random() < 0.5:
            (again.state / "events.db-shm").write_bytes(chance.randbytes(32_768))
        with again.open(create=not born) as log:
            if born:
                _compare(life, told, log, again)
            again.append(log)
            again.seal(log)
    verdict = verify(again.state / EVENTS)
    found = (verdict.verdict, verdict.events, verdict.seals)
    assert found == ("intact", len(again.events), len(again.seals)), verdict
    return again


def _compare(life: Life, told: Told, log: SqliteLog, again: Life) -> None:
    head = log.head()
    assert head.seq >= told.seq, f"{head.seq} events of {told.seq} acknowledged ones"
    again.blocks = [block for block in life.blocks if block[0] <= head.seq]
    assert (head.seq, head.hash) == (again.blocks or [(0, head.hash)])[-1]
    with LogReader.open(again.state / EVENTS) as reader:
        assert lost_tail(reader, floor.read(again.state / FLOOR)) == (None, "")
        pruned = {block.no: block.n for block in reader.blocks() if block.body is None}
        again.seals = list(reader.seals())
    assert pruned.keys() in (set(told.pruned), set(life.told[-1].pruned))
    assert again.seals == life.seals[: max(len(again.seals), told.seals)]
    again.events = life.events[: head.seq]
    left = again.events[sum(pruned.values()) :]
    assert [chain.encode(recorded) for recorded in log.read()] == left
    again.tell(seq=head.seq, seals=len(again.seals), pruned=frozenset(pruned))
    if not pruned:
        _compare_models(life, log, again.state / "readmodel.db")


def _compare_models(life: Life, log: SqliteLog, path: Path) -> None:
    """A read model that is old, or gone, comes to the same as one built anew."""
    older = [model for seq, model in life.models if seq <= log.head().seq]
    path.write_bytes(life._chance.choice(older)) if older else None
    assert _contents(path, log) == _contents(path.with_name("readmodel.db-wal"), log)


def _contents(path: Path, log: SqliteLog) -> list[dict[str, Any]]:
    with ReadModel.open(path) as model:
        model.catch_up(log)
        return [row for table in sorted(model.db.table_names()) for row in model.db[table].rows]

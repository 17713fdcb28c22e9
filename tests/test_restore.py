"""Keys of an old backup are brought to where the log is: what was erased stays erased."""

import shutil
from contextlib import closing
from pathlib import Path

import pytest

from agent.archive import Archive, archive
from agent.clock import SECOND, ManualClock
from agent.errors import ErasedError, SealError
from agent.events import VinRead
from agent.eventstore.reader import LogReader
from agent.privacy import Level
from agent.restore import catch_up
from agent.wallet.segments import SEGMENT_NS, SegmentStore
from tests.conftest import START_NS


def live(parts: Archive, clock: ManualClock, segments: int) -> None:
    for _ in range(segments):
        parts.journal.write(VinRead("KMHAMXAG0NU004711", "obd"))
        clock.advance(SEGMENT_NS)
    parts.writer.flush()


def erase(parts: Archive, hours: int) -> None:
    until_ns = START_NS + hours * 3600 * SECOND
    plan = parts.eraser.plan(Level.LV1, START_NS, until_ns, lambda _done, _total: None)
    assert parts.eraser.carry_out(plan, "owner")


def test_an_old_backup_opens_what_was_kept_and_nothing_that_was_erased(tmp_path: Path) -> None:
    state, clock = tmp_path / "state", ManualClock(START_NS)
    segments = state / "keys" / "segments.db"
    with archive(state, clock, wait=True) as parts:
        live(parts, clock, 2)
        clock.advance(3600 * SECOND)
        live(parts, clock, 2)
    shutil.copy(segments, tmp_path / "old.db")
    with archive(state, clock, wait=True) as parts:
        erase(parts, hours=1)
        live(parts, clock, 3)
    with closing(SegmentStore(segments)) as store:
        gone = [number for number in range(1, 5) if number not in store.kept(Level.LV1)]
        kept, last = set(store.kept(Level.LV1)), store.newest()
    with (
        LogReader.open(state / "events.db") as log,
        closing(SegmentStore(tmp_path / "old.db")) as old,
    ):
        before, known = set(old.kept(Level.LV1)), old.newest()
        destroyed, later = catch_up(log.read(), old)
        assert destroyed == len(before & set(gone)) == 2
        assert set(old.kept(Level.LV1)) == before & kept
        assert later == last - known > 0
        for number in gone:
            with pytest.raises(ErasedError):
                old.wrapped(number, Level.LV1)
        with pytest.raises(SealError):
            old.wrapped(known + 1, Level.LV1)
        assert old.newest() == last, "a number of a segment would be used twice"


def test_a_backup_that_is_up_to_date_is_left_alone(tmp_path: Path) -> None:
    state, clock = tmp_path / "state", ManualClock(START_NS)
    with archive(state, clock, wait=True) as parts:
        live(parts, clock, 2)
    path = state / "keys" / "segments.db"
    before = path.read_bytes()
    with LogReader.open(state / "events.db") as log, closing(SegmentStore(path)) as store:
        assert catch_up(log.read(), store) == (0, 0)
    assert path.read_bytes() == before

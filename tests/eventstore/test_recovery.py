"""A log that does not hold stops no car: it is set aside, and what holds of it is salvaged."""

import shutil
import threading
from pathlib import Path

import pytest

from agent.errors import StoreError, UsageError
from agent.eventstore import floor
from agent.eventstore.reader import LogReader
from agent.eventstore.recovery import Broken, open_log
from agent.eventstore.salvage import salvage
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import Beside, verify
from tests.eventstore.conftest import draft, fill, tampering
from tests.eventstore.sealed import Car


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Three blocks under a seal, one with the event that tells of it, and two behind that."""
    car = Car(tmp_path / "state")
    car.drive(3, 1, 300)
    fill(car.log, 2, 2)
    car.close()
    return tmp_path / "state"


def begun_anew(state: Path) -> Broken:
    log, broken = open_log(state)
    with log:
        assert broken is not None
        assert log.append([draft()]) == 1
    return broken


def damage(state: Path, sql: str) -> None:
    with tampering(state / EVENTS) as connection:
        connection.execute(sql)


def note_of(state: Path) -> str:
    with LogReader.open(state / EVENTS) as reader:
        return reader.note.decode()


def test_a_log_that_holds_is_gone_on_with(state: Path) -> None:
    log, broken = open_log(state)
    with log:
        assert (broken, log.append([draft()])) == (None, 310)


def test_a_state_directory_without_a_log_gets_one(tmp_path: Path) -> None:
    log, broken = open_log(tmp_path / "new")
    log.close()
    assert broken is None
    assert note_of(tmp_path / "new") == "amo-agent event log 2"


@pytest.mark.parametrize(
    ("sql", "why"),
    [
        ("UPDATE body SET data = x'00' WHERE no = 6", "block 6"),
        ("UPDATE block SET head_after = zeroblob(64) WHERE no = 6", "block 6"),
        ("DELETE FROM block WHERE no > 2; DELETE FROM body WHERE no > 2", "seal 1 is over 304"),
        ("UPDATE tile SET hash = zeroblob(64)", "seal 1: tiles"),
        ("DROP TRIGGER body_next", "schema"),
        ("DELETE FROM log", "which one it is"),
    ],
)
def test_a_broken_log_is_set_aside_and_a_new_one_goes_on(state: Path, sql: str, why: str) -> None:
    damage(state, sql)
    before = (state / EVENTS).read_bytes()

    broken = begun_anew(state)

    assert why in broken.reason
    assert "\n" not in broken.reason
    assert (state / broken.name).read_bytes() == before
    assert verify(state / EVENTS).verdict == "intact"
    assert note_of(state).splitlines()[1] == f"continues {broken.continued}"


def test_a_new_log_cites_the_last_seal_of_the_old_one(state: Path) -> None:
    with LogReader.open(state / EVENTS) as reader:
        log_id = reader.log_id.hex()
    damage(state, "UPDATE body SET data = x'00' WHERE no = 6")
    assert begun_anew(state).continued.startswith(f"log {log_id} seal 1 event 304 ")


def test_where_the_file_says_nothing_the_floor_is_cited(state: Path) -> None:
    known = floor.read(state / "floor")
    assert known is not None
    raw = bytearray((state / EVENTS).read_bytes())
    raw[100:] = bytes(len(raw) - 100)
    (state / EVENTS).write_bytes(raw)
    continued = begun_anew(state).continued
    assert continued.startswith(f"log {known.log_id.hex()} seal 1 event {known.head.seq} ")
    assert not (state / "floor").exists()
    assert (state / "floor.broken-1").exists()


def test_logs_that_break_again_and_again_are_all_kept(state: Path) -> None:
    for number in (1, 2, 3):
        damage(state, "UPDATE body SET data = x'00' WHERE no = (SELECT max(no) FROM body)")
        assert begun_anew(state).name == f"{EVENTS}.broken-{number}"
    assert len(list(state.glob("events.db.broken-?"))) == 3


def test_a_cut_while_it_is_set_aside_takes_no_side_file_for_the_new_logs(
    state: Path, tmp_path: Path
) -> None:
    log = SqliteLog.open(state, create=False)
    fill(log, 5)
    cut = Path(shutil.copytree(state, tmp_path / "cut"))
    log.close()
    (cut / EVENTS).rename(cut / "events.db.broken-1")  # and there the power failed

    again, broken = open_log(cut)

    with again:
        assert broken is None
        assert again.head().seq == 0
    assert (cut / "events.db.broken-1-wal").exists()
    with LogReader.open(cut / "events.db.broken-1") as reader:
        assert reader.head().seq == 314


@pytest.mark.parametrize("content", [b"hello " * 1000, b""])
def test_rt_22_what_is_not_ours_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / EVENTS).write_bytes(content)
    with pytest.raises(UsageError):
        open_log(tmp_path / "state")
    assert [path.name for path in (tmp_path / "state").iterdir()] == [EVENTS]
    assert (tmp_path / "state" / EVENTS).read_bytes() == content


def salvaged(state: Path, broken: str) -> tuple[int, Path]:
    target = state / "events.db.salvaged-1"
    return salvage(state / broken, target, threading.Event()), target


def test_rt_45_what_holds_before_the_damage_is_a_whole_log_with_its_seals(state: Path) -> None:
    damage(state, "UPDATE body SET data = x'00' WHERE no = 6")
    broken = begun_anew(state)

    events, target = salvaged(state, broken.name)

    verdict = verify(target, Beside())
    assert (events, verdict.events, verdict.verdict) == (307, 307, "intact")
    assert (verdict.seals, verdict.sealed) == (1, 304)
    with LogReader.open(target) as copy, LogReader.open(state / broken.name) as old:
        assert (copy.log_id, copy.note) == (old.log_id, old.note)
        assert [event.payload for event in copy.read()][:4] == [b"payload %d" % n for n in range(4)]
    with SqliteLog.open(state, create=False):
        pass  # what lies in the directory now is ours


def test_damage_before_the_seal_leaves_what_is_before_it_and_no_seal(state: Path) -> None:
    damage(state, "UPDATE body SET data = x'00' WHERE no IN (3, 6)")
    events, target = salvaged(state, begun_anew(state).name)
    assert (events, verify(target).seals, verify(target).verdict) == (4, 0, "intact")


def test_a_file_that_cannot_be_read_gives_nothing_and_says_so(state: Path) -> None:
    raw = bytearray((state / EVENTS).read_bytes())
    raw[100:] = bytes(len(raw) - 100)
    (state / EVENTS).write_bytes(raw)
    broken = begun_anew(state)
    with pytest.raises(StoreError):
        salvaged(state, broken.name)
    assert not (state / "events.db.salvaged-1").exists()


def test_salvage_that_is_stopped_leaves_nothing_half_done(state: Path) -> None:
    damage(state, "UPDATE body SET data = x'00' WHERE no = 6")
    broken = begun_anew(state)
    stop = threading.Event()
    stop.set()
    with pytest.raises(StoreError, match="stops"):
        salvage(state / broken.name, state / "events.db.salvaged-1", stop)
    assert not (state / "events.db.salvaged-1").exists()
    assert salvaged(state, broken.name)[0] == 307

"""The state directory as a whole: opened, closed, and never quietly begun anew."""

import shutil
import threading
from pathlib import Path

import pytest

from agent.archive import archive, owners_view
from agent.clock import SECOND, ManualClock
from agent.errors import LogCorruptError, SealError, StoreError, UsageError
from agent.events import (
    AgentStarted,
    AgentStopped,
    DtcSet,
    Event,
    LogChecked,
    LogContinued,
    LogSealed,
    TailLost,
    VinRead,
    decode,
)
from agent.eventstore import floor, note
from agent.eventstore.anchor import Anchor, last_anchor
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import Beside, verify
from agent.installed import image
from agent.wallet import curve
from agent.wallet.keys import FileKey, load_keys
from tests.conftest import START_NS
from tests.eventstore.conftest import body_of, fill, put_body, tampering
from tests.eventstore.sealed import checked, owners
from tests.opened import opened


def begun(state: Path) -> Path:
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(VinRead("KMHAMXAG0NU000001", "obd"))
    return state


def test_start_and_end_of_a_run_are_in_the_log(tmp_path: Path) -> None:
    begun(tmp_path / "state")
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        kinds = [event.kind for event in opened(parts)]
    start = [LogChecked.kind, AgentStarted.kind]
    assert kinds == [*start, VinRead.kind, AgentStopped.kind, LogSealed.kind, *start]


def test_what_a_run_sealed_the_next_one_opens(tmp_path: Path) -> None:
    begun(tmp_path / "state")
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        assert VinRead("KMHAMXAG0NU000001", "obd") in opened(parts)


def test_an_error_that_ends_a_run_is_named_in_the_log(tmp_path: Path) -> None:
    with (
        pytest.raises(UsageError),
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
    ):
        raise UsageError("nothing to do")

    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        assert AgentStopped("UsageError") in opened(parts)


def test_everything_written_before_the_end_is_on_disk_after_it(tmp_path: Path) -> None:
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        for number in range(250):
            parts.journal.write(DtcSet(f"P{number:04d}", "7E8"))

    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        assert len([event for event in opened(parts) if isinstance(event, DtcSet)]) == 250


@pytest.mark.parametrize("gone", ["keys", "keys/owner.key", "keys/account.key", "keys/segments.db"])
def test_keys_that_are_gone_are_never_replaced_while_there_is_a_log(
    gone: str, tmp_path: Path
) -> None:
    state = begun(tmp_path / "state")
    lost = state / gone
    shutil.rmtree(lost) if lost.is_dir() else lost.unlink()

    with (
        pytest.raises(SealError, match=gone.rpartition("/")[2]),
        archive(state, ManualClock(START_NS), wait=True),
    ):
        pass


def test_a_second_run_on_the_same_state_is_refused(tmp_path: Path) -> None:
    with (
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
        pytest.raises(UsageError, match="state"),
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
    ):
        pass


def test_a_device_key_from_elsewhere_is_used_and_not_written_beside_the_others(
    tmp_path: Path,
) -> None:
    state, device = tmp_path / "state", FileKey(curve.new_scalar(), protected=False)
    for _ in range(2):
        with archive(state, ManualClock(START_NS), wait=True, device=device) as parts:
            assert parts.keys.device is device
            log_id = parts.log.log_id
    assert not (state / "keys" / "device.key").exists()
    with owners_view(state, log_id):
        pass  # whoever reads needs the owner's key alone


def test_a_log_begun_with_a_device_key_elsewhere_is_not_given_one_in_a_file(tmp_path: Path) -> None:
    device = FileKey(curve.new_scalar(), protected=False)
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True, device=device):
        pass
    with (
        pytest.raises(SealError, match=r"device\.key"),
        archive(tmp_path / "state", ManualClock(START_NS), wait=True),
    ):
        pass


def run(state: Path, codes: int = 3) -> list[Event]:
    """One start; what it said before anything else."""
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        boot = parts.log.boot
        for number in range(codes):
            parts.journal.write(DtcSet(f"P{number:04d}", "7E8"))
    with LogReader.open(state / "events.db") as reader:
        said = [decode(e.kind, e.payload) for e in reader.read() if e.boot == boot]
    return said[: said.index(next(e for e in said if isinstance(e, AgentStarted)))]


def run_well(state: Path) -> None:
    [checked_] = run(state)
    assert isinstance(checked_, LogChecked)
    assert checked_.verdict == "intact", checked_.reason


def verdict(state: Path) -> str:
    [found] = run(state)
    assert isinstance(found, LogChecked)
    return found.verdict


def lost(state: Path) -> TailLost:
    """The first two events of a start on a log whose tail is lost."""
    first, second = run(state)
    assert isinstance(first, TailLost)
    assert isinstance(second, LogChecked)
    assert (second.verdict, second.expected_seq) == ("tail-lost", first.expected_seq)
    return first


def end(state: Path) -> int:
    with LogReader.open(state / "events.db") as reader:
        return reader.head().seq


def holds(state: Path) -> int:
    """How many seals, all of which hold by the owner's keys."""
    keys = load_keys(state / "keys")
    with LogReader.open(state / "events.db") as reader:
        log_id = reader.log_id
    owned = owners(state, keys, log_id)
    return checked(state, device=keys.device.public, keys=owned).seals


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    state = tmp_path_factory.mktemp("kept") / "state"
    assert verdict(state) == "new"
    run_well(state)
    return state


@pytest.fixture
def state(kept: Path, tmp_path: Path) -> Path:
    """A log of two starts."""
    return Path(shutil.copytree(kept, tmp_path / "state"))


def test_every_run_ends_with_a_seal_and_the_floor_is_at_its_very_end(state: Path) -> None:
    assert holds(state) == 2
    with LogReader.open(state / "events.db") as reader:
        known, head, last = floor.read(state / "floor"), reader.head(), reader.last_seal()
        assert last is not None
        said = note.decode(last.note)
    assert known is not None
    assert (known.head, known.seals) == (head, 2)
    assert (said.size, said.boot, said.image) == (head.seq - 1, 2, image())


def test_seals_are_made_every_minute_of_a_run(tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with archive(tmp_path / "state", clock, wait=True) as parts:
        for minute in range(1, 4):
            parts.journal.write(DtcSet("P0301", "7E8"))
            clock.advance(60 * SECOND)
            assert reached(tmp_path / "state", minute)
    assert holds(tmp_path / "state") == 4


def reached(state: Path, seals: int) -> bool:
    """Whether the floor comes to know so many seals."""
    for _ in range(500):
        known = floor.read(state / "floor")
        if known is not None and known.seals == seals:
            return True
        threading.Event().wait(0.01)
    return False


def test_killed_run_is_sealed_by_the_next_one(state: Path, tmp_path: Path) -> None:
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(DtcSet("P0301", "7E8"))
        parts.journal.flush()
        killed = Path(shutil.copytree(state, tmp_path / "killed"))
    run_well(killed)
    assert holds(killed) == 3


def test_disk_that_does_not_hold_what_was_written_stops_the_run(tmp_path: Path) -> None:
    with pytest.raises(LogCorruptError, match="block 1 is not as it was written"):
        run_on_a_bad_disk(tmp_path / "state")


def run_on_a_bad_disk(state: Path) -> None:
    clock = ManualClock(START_NS)
    with archive(state, clock, wait=True) as parts:
        with tampering(state / "events.db") as connection:
            put_body(connection, 1, body_of(connection, 1)[:-1] + b"?")
        clock.advance(60 * SECOND)
        for _ in range(500):
            parts.journal.write(DtcSet("P0301", "7E8"))
            threading.Event().wait(0.01)


def test_rt_09_tail_that_is_cut_off_is_the_first_thing_a_start_says(
    state: Path, tmp_path: Path
) -> None:
    whole, last = end(state), last_block(state)
    for back in range(1, 4):
        cut = Path(shutil.copytree(state, tmp_path / str(back)))
        with tampering(cut / "events.db") as connection:
            connection.execute(
                f"DELETE FROM block WHERE no > {last - back};"
                f"DELETE FROM body WHERE no > {last - back}"
            )
        if back > 1:  # the seal over those is still there: it holds no more
            aside = Path(shutil.copytree(cut, tmp_path / f"{back}-aside"))
            first, second = run(aside)
            assert isinstance(first, LogContinued)
            assert "seal 2 is over" in first.reason
            assert isinstance(second, LogChecked)
            assert second.verdict == "new"
            run_well(aside)
            with tampering(cut / "events.db") as connection:
                connection.execute("DELETE FROM seal WHERE no = 2")
        found = lost(cut)
        assert (found.expected_seq, found.found_seq < whole) == (whole, True)
        assert found.cause == ("cut" if back == 1 else "rolled-back")
        run_well(cut)
        assert holds(cut) == (4 if back == 1 else 3)


def last_block(state: Path) -> int:
    with LogReader.open(state / "events.db") as reader:
        return reader.last_block()


def test_rt_12_yesterdays_log_under_todays_floor_and_key(state: Path, tmp_path: Path) -> None:
    yesterday, before = shutil.copy(state / "events.db", tmp_path / "yesterday.db"), end(state)
    run_well(state)
    today = end(state)
    for gone in ("", "floor", "keys/seal.key"):
        back = Path(shutil.copytree(state, tmp_path / f"back{gone.replace('/', '-')}"))
        shutil.copy(yesterday, back / "events.db")
        if gone:
            (back / gone).unlink()
        expected = before if gone == "floor" else today
        assert lost(back) == TailLost(expected, before, "rolled-back")
        run_well(back)
        assert holds(back) == 4, "keys begun anew, and said so, hold again"


def given_back(state: Path, tmp_path: Path) -> tuple[Path, Anchor]:
    """A card that shows what it held before the last run, keys and all; the seal of that run."""
    old = Path(shutil.copytree(state, tmp_path / "old", symlinks=True))
    run_well(state)
    with LogReader.open(state / "events.db") as reader:
        anchor = last_anchor(reader)
    assert anchor is not None
    return old, anchor


def test_rt_55_card_that_gives_old_data_back_is_found_by_a_floor_on_another_device(
    state: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "another-device"
    elsewhere.mkdir()
    (state / "floor").rename(elsewhere / "floor")
    (state / "floor").symlink_to(elsewhere / "floor")
    before = end(state)
    old, _ = given_back(state, tmp_path)
    assert lost(old) == TailLost(end(state), before, "rolled-back")
    run_well(old)


def test_rt_55_card_that_gives_its_floor_back_too_is_found_by_an_anchored_seal_alone(
    state: Path, tmp_path: Path
) -> None:
    old, anchor = given_back(state, tmp_path)
    assert verify(old / "events.db", Beside(floor.read(old / "floor"))).verdict == "intact"
    assert verify(old / "events.db", Beside(anchor=anchor)).verdict == "truncated"
    run_well(old)


def test_rt_13_log_that_went_on_elsewhere_is_not_the_one_of_this_floor(
    state: Path, tmp_path: Path
) -> None:
    other = Path(shutil.copytree(state, tmp_path / "other"))
    run(state, codes=3)
    run(other, codes=5)
    shutil.copy(other / "events.db", state / "events.db")
    assert lost(state).cause == "rolled-back"


def test_rt_18_log_of_another_car_is_refused(state: Path, tmp_path: Path) -> None:
    run(tmp_path / "other")
    shutil.copy(tmp_path / "other" / "events.db", state / "events.db")
    with pytest.raises(SealError, match="that of another device key"):
        run(state)


def test_log_begun_anew_under_the_floor_of_another_says_so(state: Path) -> None:
    whole = end(state)
    for name in ("events.db", "events.db-wal", "events.db-shm"):
        (state / name).unlink(missing_ok=True)
    assert lost(state) == TailLost(whole, 0, "unknown")
    run_well(state)
    assert holds(state) == 2


def test_rt_43_write_ahead_log_that_was_deleted_is_a_cut(state: Path, tmp_path: Path) -> None:
    clock = ManualClock(START_NS)
    with archive(state, clock, wait=True) as parts:
        parts.journal.write(DtcSet("P0301", "7E8"))
        parts.journal.flush()
        clock.advance(60 * SECOND)
        assert reached(state, 3)
        shut = Path(shutil.copytree(state, tmp_path / "shut"))
    (shut / "events.db-wal").unlink()
    found = lost(shut)
    assert found.found_seq < found.expected_seq
    run_well(shut)


@pytest.mark.parametrize("content", [None, b"", bytes(1024), b"AMOF" * 256])
def test_rt_47_floor_that_is_gone_or_broken_is_not_taken_for_a_good_one(
    state: Path, content: bytes | None
) -> None:
    if content is None:
        (state / "floor").unlink()
    else:
        (state / "floor").write_bytes(content)
    assert verdict(state) == "floor-lost"
    run_well(state)
    assert holds(state) == 4


def test_rt_47_one_torn_record_of_the_floor_loses_nothing(state: Path) -> None:
    whole = (state / "floor").read_bytes()
    written, place, _ = floor.newest(whole)
    assert written > 0
    torn = bytearray(whole)
    torn[(1 - place) * 512 + 200] ^= 1
    (state / "floor").write_bytes(torn)
    run_well(state)


@pytest.mark.parametrize("gone", ["seal.key", "seal.root"])
def test_key_of_the_seals_that_is_gone_is_begun_anew_and_said_so(state: Path, gone: str) -> None:
    (state / "keys" / gone).unlink()
    assert verdict(state) == "key-lost"
    run_well(state)
    keys = load_keys(state / "keys")
    with LogReader.open(state / "events.db") as reader:
        owned = owners(state, keys, reader.log_id)
    assert owned.firsts == ((1, 3) if gone == "seal.key" else (3,))
    assert checked(state).seals == 4


def test_rt_46_key_of_the_seals_that_rotted_is_told_and_begun_anew(state: Path) -> None:
    key = bytearray((state / "keys" / "seal.key").read_bytes())
    key[20] ^= 1
    (state / "keys" / "seal.key").write_bytes(key)
    assert verdict(state) == "key-lost"
    run_well(state)
    assert holds(state) == 4


@pytest.mark.parametrize("name", ["owner.key", "device.key", "account.key"])
def test_rt_46_no_run_begins_with_a_key_that_rotted_and_none_is_replaced(
    state: Path, name: str
) -> None:
    path = state / "keys" / name
    rotten = bytearray(path.read_bytes())
    rotten[-1] ^= 1
    path.write_bytes(rotten)
    with pytest.raises(SealError, match=name.removesuffix(".key")):
        run(state)
    assert path.read_bytes() == rotten


def test_log_from_before_there_were_seals_gets_its_keys(tmp_path: Path) -> None:
    state = tmp_path / "state"
    with SqliteLog.open(state, create=True) as log:
        fill(log, 100, 200)
    make_older(state)
    assert verdict(state) == "unsealed"
    run_well(state)
    assert holds(state) == 2


def make_older(state: Path) -> None:
    """The keys that an agent without seals had made."""
    with archive(state.with_name("older"), ManualClock(START_NS), wait=True):
        pass
    shutil.copytree(state.with_name("older") / "keys", state / "keys")
    for name in ("seal.key", "seal.root"):
        (state / "keys" / name).unlink()


def test_rt_39_power_that_fails_between_a_seal_and_its_key_loses_nothing(state: Path) -> None:
    key, known = (state / "keys" / "seal.key").read_bytes(), (state / "floor").read_bytes()
    run_well(state)
    (state / "keys" / "seal.key").write_bytes(key)
    (state / "floor").write_bytes(known)
    run_well(state)
    assert holds(state) == 4


def test_rt_57_clock_that_starts_in_1970_and_jumps_changes_no_seal(tmp_path: Path) -> None:
    clock = ManualClock(0)
    with archive(tmp_path / "state", clock, wait=True) as parts:
        parts.journal.write(DtcSet("P0301", "7E8"))
        clock.step(START_NS)
        clock.advance(60 * SECOND)
        assert reached(tmp_path / "state", 1)
        clock.step(2**62)
        parts.journal.write(DtcSet("P0302", "7E8"))
    run_well(tmp_path / "state")
    assert holds(tmp_path / "state") == 3


def test_floor_that_cannot_be_written_is_told_at_the_start(state: Path) -> None:
    (state / "floor").unlink()
    (state / "floor").mkdir()
    with pytest.raises(StoreError, match="floor is not a regular file"):
        run(state)


def test_what_holds_of_a_broken_log_is_salvaged_while_the_next_run_goes_on(
    state: Path,
) -> None:
    before = end(state)
    with tampering(state / "events.db") as connection:
        connection.execute("UPDATE body SET data = x'00' WHERE no = (SELECT max(no) FROM body)")
    run(state)
    for _ in range(500):
        if (state / "events.db.salvaged-1").exists():
            break
        run(state)
    with LogReader.open(state / "events.db.salvaged-1") as reader:
        assert reader.head().seq == before - 1
    run_well(state)

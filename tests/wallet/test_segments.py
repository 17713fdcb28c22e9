"""The keys of segments: on disk before they are used, gone when they are destroyed."""

import random
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import ManualClock
from agent.errors import ErasedError, SealError
from agent.privacy import Level
from agent.wallet.custody import unwrap_segment
from agent.wallet.keys import FileKey
from agent.wallet.segments import SEGMENT_NS, SegmentKeys, SegmentStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "segments.db"


def test_a_key_is_on_disk_before_it_is_handed_out(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        segment, key = keys.current(Level.LV1)
        with closing(SegmentStore(path)) as store:
            wrapped = store.wrapped(segment, Level.LV1)
    assert unwrap_segment(wrapped, owner, segment, Level.LV1) == key


def test_a_segment_has_one_key_for_each_level(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        first = keys.current(Level.LV1)
        assert keys.current(Level.LV1) == first
        assert keys.current(Level.LV2)[0] == first[0]
        assert keys.current(Level.LV2)[1] != first[1]


def test_ten_minutes_begin_a_new_segment(path: Path, owner: FileKey) -> None:
    clock = ManualClock()
    with SegmentKeys(path, owner.public, clock) as keys:
        before = keys.current(Level.LV1)
        clock.advance(SEGMENT_NS - 1)
        assert keys.current(Level.LV1) == before
        clock.advance(1)
        after = keys.current(Level.LV1)
    assert after[0] == before[0] + 1
    assert after[1] != before[1]


def test_a_start_begins_a_new_segment(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        before = keys.current(Level.LV1)
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        assert keys.current(Level.LV1)[0] == before[0] + 1


def test_the_number_of_a_destroyed_segment_is_not_used_again(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        segment, _ = keys.current(Level.LV1)
        assert keys.destroy(0, segment, Level.LV1) == 1
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        assert keys.current(Level.LV1)[0] > segment


def test_nothing_of_a_destroyed_key_is_left_in_the_directory(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        for _ in range(40):
            keys.current(Level.LV1)
            keys.current(Level.LV2)
            keys.rotate()
        gone = [keys.store.wrapped(number, Level.LV1) for number in range(1, 41)]
        kept = [keys.store.wrapped(number, Level.LV2) for number in range(1, 41)]
        assert keys.destroy(1, 40, Level.LV1) == 40
        left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert not any(wrapped[66:] in left for wrapped in gone)
    assert all(wrapped in left for wrapped in kept)


def test_rt_63_a_store_that_was_rolled_back_seals_under_a_new_key(
    path: Path, owner: FileKey
) -> None:
    SegmentKeys(path, owner.public, ManualClock()).close()
    snapshot = path.read_bytes()
    drawn = []
    for _ in range(2):
        path.write_bytes(snapshot)
        with SegmentKeys(path, owner.public, ManualClock()) as keys:
            drawn.append(keys.current(Level.LV1))
    assert drawn[0][0] == drawn[1][0]
    assert drawn[0][1] != drawn[1][1]


def test_rt_46_key_that_rotted_is_found_and_costs_no_other(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        drawn = []
        for _ in range(3):
            drawn.append(keys.current(Level.LV1))
            keys.rotate()
        rotten = keys.store.wrapped(2, Level.LV1)
    whole = path.read_bytes()
    at = whole.index(rotten)
    for byte in range(len(rotten)):
        path.write_bytes(
            whole[: at + byte] + bytes([whole[at + byte] ^ 0x10]) + whole[at + byte + 1 :]
        )
        with closing(SegmentStore(path)) as store:
            with pytest.raises(SealError):
                unwrap_segment(store.wrapped(2, Level.LV1), owner, 2, Level.LV1)
            for segment, key in (drawn[0], drawn[2]):
                kept = store.wrapped(segment, Level.LV1)
                assert unwrap_segment(kept, owner, segment, Level.LV1) == key


def test_rt_46_rot_anywhere_in_the_store_gives_no_wrong_key(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        segment, key = keys.current(Level.LV1)
    whole, chance = path.read_bytes(), random.Random(46)
    found = 0
    for _ in range(400):
        rotten = bytearray(whole)
        rotten[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
        path.write_bytes(rotten)
        try:
            with closing(SegmentStore(path)) as store:
                wrapped = store.wrapped(segment, Level.LV1)
            assert unwrap_segment(wrapped, owner, segment, Level.LV1) == key
        except SealError:
            found += 1
    assert found


def test_what_is_kept_is_what_was_not_destroyed(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        for _ in range(4):
            keys.current(Level.LV1)
            keys.rotate()
        keys.destroy(2, 3, Level.LV1)
        assert (keys.kept(Level.LV1), keys.kept(Level.LV2)) == ([1, 4], [])
        with pytest.raises(ErasedError, match="segment 2, Lv1"):
            keys.store.wrapped(2, Level.LV1)


def test_destroying_twice_finds_nothing_the_second_time(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        keys.current(Level.LV1)
        assert keys.destroy(0, 1 << 40, Level.LV1) == 1
        assert keys.destroy(0, 1 << 40, Level.LV1) == 0


def test_no_key_that_could_open_anything_is_on_disk(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        _, key = keys.current(Level.LV1)
        left = b"".join(file.read_bytes() for file in path.parent.iterdir())
    assert key not in left


def test_the_store_is_closed_to_others(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        keys.current(Level.LV1)
        assert {file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {0o600}


def test_a_second_process_cannot_seal_with_the_same_store(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()), pytest.raises(SealError, match="another"):
        SegmentKeys(path, owner.public, ManualClock())
    SegmentKeys(path, owner.public, ManualClock()).close()


def test_a_key_that_cannot_be_kept_is_not_handed_out(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        other = sqlite3.connect(path)
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON segment_key"
            " BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
        other.commit()
        with pytest.raises(SealError, match="disk full"):
            keys.current(Level.LV1)
        other.execute("DROP TRIGGER full")
        other.commit()
        other.close()
        assert keys.store.newest() == 0
        assert keys.current(Level.LV1)[0] == 1


def test_threads_that_seal_at_once_get_one_key(path: Path, owner: FileKey) -> None:
    got: list[tuple[int, bytes]] = []
    with SegmentKeys(path, owner.public, ManualClock()) as keys:
        threads = [
            threading.Thread(target=lambda: got.append(keys.current(Level.LV1))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(got) == 8
    assert len(set(got)) == 1


def test_a_missing_store_is_not_made_by_a_reader(path: Path) -> None:
    with pytest.raises(SealError):
        SegmentStore(path)
    assert not path.exists()


def test_a_key_that_never_was_is_not_found(path: Path, owner: FileKey) -> None:
    with SegmentKeys(path, owner.public, ManualClock()) as keys, pytest.raises(SealError):
        keys.store.wrapped(99, Level.LV1)


@pytest.mark.parametrize(
    "content", [b"not a database at all, just text" * 40, b"SQLite format 3\0"]
)
def test_a_file_that_is_no_store_is_refused_and_left_alone(
    path: Path, owner: FileKey, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(SealError):
        SegmentKeys(path, owner.public, ManualClock())
    assert path.read_bytes() == content


def test_somebody_elses_database_is_refused(path: Path, owner: FileKey) -> None:
    other = sqlite3.connect(path)
    other.execute("CREATE TABLE t (x)")
    other.commit()
    other.close()
    with pytest.raises(SealError, match="not a store"):
        SegmentKeys(path, owner.public, ManualClock())


def test_a_store_without_its_table_is_an_error_of_ours(path: Path, owner: FileKey) -> None:
    SegmentKeys(path, owner.public, ManualClock()).close()
    other = sqlite3.connect(path)
    other.execute("DROP TABLE segment_key")
    other.commit()
    other.close()
    with pytest.raises(SealError):
        SegmentKeys(path, owner.public, ManualClock())


def test_a_public_key_off_the_curve_is_refused(path: Path) -> None:
    with pytest.raises(SealError):
        SegmentKeys(path, b"\x04" + bytes(64), ManualClock())

"""The floor survives torn writes, and says when it does not."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import MalformedInputError, StoreError
from agent.eventstore import floor
from agent.eventstore.floor import RECORD_BYTES, Floor
from agent.eventstore.log import Head

LOG = bytes(range(32))
BIG = st.integers(0, 2**64 - 1)


def at(seq: int, seals: int = 0) -> Floor:
    return Floor(LOG, seals, Head(seq, bytes([seq % 256]) * 64))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "floor"


def test_record_is_as_the_format_says() -> None:
    record = floor.encode(Floor(LOG, 7, Head(9, b"\xaa" * 64)), 3)
    assert len(record) == RECORD_BYTES == 512
    assert record[:13] == b"AMOF\x01" + (3).to_bytes(8, "big")
    assert record[13:45] == LOG
    assert record[45:61] == (7).to_bytes(8, "big") + (9).to_bytes(8, "big")
    assert record[61:125] == b"\xaa" * 64
    assert record[125:480] == bytes(355)


@given(BIG, BIG, BIG, st.binary(min_size=64, max_size=64), st.binary(min_size=32, max_size=32))
def test_record_comes_back(written: int, seals: int, seq: int, head: bytes, log_id: bytes) -> None:
    given_ = Floor(log_id, seals, Head(seq, head))
    assert floor.decode(floor.encode(given_, written)) == (written, given_)


def test_every_changed_bit_of_a_record_is_found() -> None:
    good = floor.encode(at(5), 1)
    for place in range(len(good)):
        bad = bytearray(good)
        bad[place] ^= 1 << place % 8
        with pytest.raises(MalformedInputError):
            floor.decode(bytes(bad))


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=1100))
def test_garbage_has_no_whole_record(content: bytes) -> None:
    with pytest.raises(MalformedInputError, match="no whole record"):
        floor.newest(content)


def test_floor_that_never_was_is_none(path: Path) -> None:
    assert floor.read(path) is None


def test_last_written_is_read(path: Path) -> None:
    for seq in range(1, 8):
        floor.write(path, at(seq))
        assert floor.read(path) == at(seq)
    assert path.stat().st_size == 2 * RECORD_BYTES
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in path.parent.iterdir()] == ["floor"]


def test_rt_47_record_torn_at_any_byte_leaves_the_one_before(path: Path) -> None:
    for seq in (1, 2, 3):
        floor.write(path, at(seq))
    before = path.read_bytes()
    floor.write(path, at(4))
    after = path.read_bytes()
    changed = [i for i in range(2 * RECORD_BYTES) if before[i] != after[i]]
    start = changed[0] // RECORD_BYTES * RECORD_BYTES
    assert changed[-1] < start + RECORD_BYTES, "one record alone is overwritten"
    for cut in range(changed[0] + 1, changed[-1] + 1):
        path.write_bytes(after[:cut] + before[cut:])
        assert floor.read(path) == at(3)
    path.write_bytes(after[:start] + os.urandom(RECORD_BYTES) + after[start + RECORD_BYTES :])
    assert floor.read(path) == at(3)
    floor.write(path, at(5))
    assert floor.read(path) == at(5)


def test_rt_47_floor_without_a_whole_record_is_told_from_one_that_never_was(path: Path) -> None:
    for content in (b"", bytes(1024), b"x" * 1024, floor.encode(at(1), 0)[:-1]):
        path.write_bytes(content)
        with pytest.raises(MalformedInputError, match="no whole record"):
            floor.read(path)
    floor.write(path, at(9))
    assert floor.read(path) == at(9)


def test_creation_that_was_interrupted_is_begun_again(path: Path) -> None:
    path.with_name("floor.new").write_bytes(b"half")
    floor.write(path, at(1))
    assert floor.read(path) == at(1)
    assert [entry.name for entry in path.parent.iterdir()] == ["floor"]


def test_floor_may_lie_on_another_disk_behind_a_link(path: Path, tmp_path: Path) -> None:
    (tmp_path / "stick").mkdir()
    path.symlink_to(tmp_path / "stick" / "floor")
    for seq in (1, 2):
        floor.write(path, at(seq))
        assert floor.read(path) == at(seq)
    assert path.is_symlink()
    assert (tmp_path / "stick" / "floor").stat().st_size == 2 * RECORD_BYTES


def test_what_is_no_file_is_refused_without_waiting_for_it(path: Path, tmp_path: Path) -> None:
    os.mkfifo(path)
    for place in (path, tmp_path):
        with pytest.raises(StoreError, match="not a regular file"):
            floor.read(place)


def test_floor_that_cannot_be_read_is_not_taken_for_none(path: Path) -> None:
    path.symlink_to(path)
    with pytest.raises(StoreError, match="cannot be read: Too many levels"):
        floor.read(path)


def test_disk_that_refuses_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be written"):
        floor.write(tmp_path / "gone" / "floor", at(1))

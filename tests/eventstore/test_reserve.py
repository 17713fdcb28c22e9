"""Room set aside: there in full or not at all."""

import errno
import os
from pathlib import Path

import pytest

from agent.eventstore.reserve import RESERVE_BYTES, Reserve
from agent.eventstore.sqlite import SqliteLog


def test_reserve_takes_up_its_room_and_gives_it_back(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path)
    assert reserve.make()
    found = (tmp_path / "reserve").stat()
    assert (found.st_size, found.st_blocks * 512 >= RESERVE_BYTES) == (RESERVE_BYTES, True)
    assert found.st_mode & 0o777 == 0o600
    assert reserve.make()

    assert reserve.free()
    assert not (tmp_path / "reserve").exists()
    assert not reserve.free()


def test_half_a_reserve_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int, _offset: int, length: int) -> None:
        os.ftruncate(descriptor, length // 2)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    assert not Reserve(tmp_path).make()
    assert not (tmp_path / "reserve").exists()


def test_disk_that_takes_no_file_has_no_reserve(tmp_path: Path) -> None:
    assert not Reserve(tmp_path / "nowhere").make()


def test_state_directory_with_a_reserve_is_ours(tmp_path: Path) -> None:
    SqliteLog.open(tmp_path / "state", create=True).close()
    Reserve(tmp_path / "state").make()
    SqliteLog.open(tmp_path / "state", create=False).close()

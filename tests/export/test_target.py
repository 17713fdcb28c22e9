"""An export is whole or not there."""

import os
import stat
from pathlib import Path
from typing import BinaryIO

import pytest

from agent.errors import UsageError
from agent.export.target import new_file


def test_a_file_appears_with_its_name_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "drive.csv"
    with new_file(path) as file:
        file.write(b"all")
        assert not path.exists()
    assert path.read_bytes() == b"all"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_when_it_fails_what_was_there_stays_and_nothing_is_left_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "drive.csv"
    path.write_text("before")
    with pytest.raises(KeyboardInterrupt), new_file(path) as file:
        _interrupted(file)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_through_a_symbolic_link_the_file_behind_it_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "drive.csv")
    with new_file(tmp_path / "link") as file:
        file.write(b"all")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "drive.csv").read_bytes() == b"all"


def test_what_is_no_regular_file_is_left_alone(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path, tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UsageError, match="not a regular file"), new_file(place):
            pass
    assert Path("/dev/null").is_char_device()


def test_a_directory_that_is_not_there_is_named(tmp_path: Path) -> None:
    refused = pytest.raises(UsageError, match=r"nowhere/drive.csv: No such file")
    with refused, new_file(tmp_path / "nowhere" / "drive.csv"):
        pass


def _interrupted(file: BinaryIO) -> None:
    file.write(b"half")
    raise KeyboardInterrupt

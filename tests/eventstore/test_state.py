import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import UsageError
from agent.eventstore.state import lock_state


def test_missing_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    with lock_state(tmp_path / "a" / "state") as lock:
        assert lock.path.stat().st_mode & 0o777 == 0o700


def test_missing_directory_is_refused_where_nothing_may_be_made(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="No such file"):
        lock_state(tmp_path / "state", create=False)
    assert not (tmp_path / "state").exists()


def test_every_file_of_ours_is_welcome(tmp_path: Path) -> None:
    for name in ("events.db", "events.db-wal", "readmodel.db-journal", "floor", "outbox"):
        (tmp_path / name).touch()
    (tmp_path / "keys").mkdir()
    lock_state(tmp_path).close()


def test_directory_of_another_program_is_refused_by_the_name_of_its_file(tmp_path: Path) -> None:
    (tmp_path / "thesis.odt").touch()
    with pytest.raises(UsageError, match=r"holds 'thesis\.odt'"):
        lock_state(tmp_path)


def test_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "state").touch()
    for path in (tmp_path / "state", tmp_path / "state" / "deeper"):
        with pytest.raises(UsageError, match="not a directory"):
            lock_state(path)


def test_second_taker_is_told_who_has_the_directory(tmp_path: Path) -> None:
    with lock_state(tmp_path), pytest.raises(UsageError, match=f"in use by process {os.getpid()}"):
        lock_state(tmp_path)


def test_other_process_cannot_take_it_until_it_is_closed(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from agent.eventstore.state import lock_state\n"
        "lock_state(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", program, str(tmp_path)]
    with lock_state(tmp_path):
        refused = subprocess.run(command, capture_output=True, text=True, check=False)
        assert "in use" in refused.stderr
    assert subprocess.run(command, check=False).returncode == 0


def test_closed_twice_is_closed(tmp_path: Path) -> None:
    lock = lock_state(tmp_path)
    lock.close()
    lock.close()
    lock_state(tmp_path).close()


@pytest.mark.parametrize("name", ["events.db", "events.db-wal"])
def test_symbolic_link_in_place_of_the_log_is_refused(tmp_path: Path, name: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (tmp_path / "elsewhere").touch()
    (state / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="not a regular file"):
        lock_state(state)


def test_log_with_a_second_name_is_refused(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "events.db").touch()
    os.link(state / "events.db", tmp_path / "other.db")
    with pytest.raises(UsageError, match="2 names"):
        lock_state(state)


def test_path_that_no_file_system_takes_is_refused() -> None:
    for path in (Path("nul\0byte"), Path("x" * 300)):
        with pytest.raises(UsageError, match="cannot be the state directory"):
            lock_state(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        lock_state(tmp_path)

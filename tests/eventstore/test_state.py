import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from agent.errors import UsageError
from agent.eventstore.state import lock_state

ROOT = Path(__file__).parents[2]


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    return path


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


DATABASES = ["events.db", "events.db-wal", "readmodel.db", "readmodel.db-wal"]


@pytest.mark.parametrize("name", DATABASES)
def test_rt_20_symbolic_link_in_place_of_a_database_is_refused(state: Path, name: str) -> None:
    (state / name).symlink_to(state.with_name("elsewhere"))
    with pytest.raises(UsageError, match=f"{name} is not a regular file"):
        lock_state(state)
    assert not state.with_name("elsewhere").exists()


@pytest.mark.parametrize("make", [os.mkfifo, os.mkdir])
@pytest.mark.parametrize("name", DATABASES)
def test_rt_20_pipe_or_directory_in_place_of_a_database_is_refused_at_once(
    state: Path, name: str, make: Callable[[Path], None]
) -> None:
    make(state / name)
    with pytest.raises(UsageError, match=f"{name} is not a regular file"):
        lock_state(state)


@pytest.mark.parametrize("name", DATABASES)
def test_rt_20_database_with_a_second_name_is_refused(state: Path, name: str) -> None:
    (state / name).touch()
    os.link(state / name, state.with_name("other.db"))
    with pytest.raises(UsageError, match="2 names"):
        lock_state(state)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o702])
def test_rt_20_directory_that_others_may_write_is_refused(state: Path, mode: int) -> None:
    state.chmod(mode)
    with pytest.raises(UsageError, match=f"has mode {mode:04o}; only its owner may write"):
        lock_state(state)
    state.chmod(0o755)
    lock_state(state).close()


@pytest.mark.parametrize("name", DATABASES)
def test_rt_20_database_that_others_may_write_is_refused(state: Path, name: str) -> None:
    (state / name).touch()
    (state / name).chmod(0o666)
    with pytest.raises(UsageError, match=f"{name} has mode 0666"):
        lock_state(state)


def test_rt_20_directory_or_database_of_another_user_is_refused(state: Path) -> None:
    (state / "events.db").touch()
    given = """
        import os, sys; from pathlib import Path
        from agent.errors import UsageError; from agent.eventstore.state import lock_state
        state = Path(sys.argv[1])
        for path in (state, state / "events.db"):
            os.chown(path, 1000, -1)
            try:
                lock_state(state)
            except UsageError as error:
                print(error)
            os.chown(path, 0, -1)
        lock_state(state)
    """
    done = as_root(dedent(given), str(state))
    assert done == [
        f"{path} belongs to user 1000, not to 0" for path in (state, state / "events.db")
    ]


def as_root(program: str, *arguments: str) -> list[str]:
    """Lines that a Python program prints which may give files away."""
    command = [sys.executable, "-c", program, *arguments]
    if os.geteuid():
        if shutil.which("unshare") is None:
            pytest.skip("unshare(1) is not installed")
        command = ["unshare", "--user", "--map-root-user", "--map-auto", *command]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.stderr.startswith("unshare") or "newuidmap" in done.stderr:
        pytest.skip(f"no file can be given to another user here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_path_that_no_file_system_takes_is_refused() -> None:
    for path in (Path("nul\0byte"), Path("x" * 300)):
        with pytest.raises(UsageError, match="cannot be the state directory"):
            lock_state(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    with pytest.raises(UsageError, match="cannot be written"):
        lock_state(tmp_path)

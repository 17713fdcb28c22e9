"""Power, disk and process faults: what was acknowledged is there, and the chain holds."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import apsw
import pytest

from agent.errors import StoreError
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import draft, fill

ROOT = Path(__file__).parents[2]


@contextmanager
def appender(state: Path, limit: int = 0) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "tests.eventstore.appender", str(state), str(limit)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield child
        finally:
            child.kill()


def acknowledged(lines: list[str]) -> int:
    """The last sequence number; a line that was cut off by the kill counts for nothing."""
    return max(
        (int(line) for line in lines if line.endswith("\n") and line[0].isdigit()), default=0
    )


def test_process_killed_at_any_moment_loses_nothing_it_acknowledged(state: Path) -> None:
    moments = random.Random(11)
    for round_ in range(1, 11):
        with appender(state) as child:
            assert child.stdout is not None
            first = child.stdout.readline()
            timer = threading.Timer(moments.uniform(0.0, 0.15), child.kill)
            timer.start()
            lines = [first, *child.stdout]
            timer.join()
        assert child.returncode == -signal.SIGKILL
        verdict = verify(state / "events.db")
        assert verdict.verdict == "intact"
        assert verdict.events >= acknowledged(lines) > 0
        with SqliteLog.open(state, create=False) as log:
            assert [recorded.seq for recorded in log.read()] == list(range(1, verdict.events + 1))
            assert log.boot == round_ + 1


def test_file_that_may_not_grow_refuses_and_goes_on_when_it_may(state: Path) -> None:
    with appender(state, limit=100_000) as child:
        assert child.stdout is not None
        lines: list[str] = []
        while not lines or lines[-1][0].isdigit():
            lines.append(child.stdout.readline())
        again = [child.stdout.readline() for _ in range(5)]
    assert "events not written" in lines[-1]
    after = int(again[0])
    assert acknowledged(lines) < after < acknowledged(again)
    verdict = verify(state / "events.db")
    assert (verdict.verdict, verdict.events >= acknowledged(again)) == ("intact", True)


def small_disk(tmp_path: Path, command: str, program: str) -> str:
    """What a Python program prints in a name space of its own, after the shell command."""
    if shutil.which("unshare") is None:
        pytest.skip("unshare(1) is not installed")
    script = f"set -e; mkdir -p disk; {command}; exec {sys.executable} -c '{program}'"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"no name space of our own here: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    return done.stdout


FILL_UP = """
import os
from pathlib import Path
from agent.errors import StoreError
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import draft
state = Path("disk/state")
log = SqliteLog.open(state, create=True)
ballast = Path("disk/ballast")
ballast.write_bytes(bytes(500_000))
try:
    while True:
        log.append([draft(payload=bytes(9000))] * 3)
except StoreError as error:
    print("full" in str(error), log.head().seq)
print(verify(state / "events.db").verdict, verify(state / "events.db").events)
ballast.unlink()
print(log.append([draft()]), verify(state / "events.db").verdict)
"""


def test_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    said = small_disk(tmp_path, "mount -t tmpfs -o size=1500k none disk", FILL_UP).splitlines()
    full, seq = said[0].split()
    assert (full, int(seq) > 30) == ("True", True)
    assert said[1:] == [f"intact {seq}", f"{int(seq) + 1} intact"]


READ_ONLY = """
from pathlib import Path
from agent.errors import UsageError
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.reader import LogReader
from agent.eventstore.verify import verify
for state in (Path("disk"), Path("disk/new")):
    try:
        SqliteLog.open(state, create=True)
    except UsageError as error:
        print(error)
path = Path("disk/events.db")
print(verify(path).verdict, len(list(LogReader.open(path).read())))
"""


def test_read_only_disk_is_refused_by_the_writer_and_read_by_the_verifier(tmp_path: Path) -> None:
    with SqliteLog.open(tmp_path / "disk", create=True) as log:
        fill(log, 3, 2)
    mount = "mount --bind disk disk; mount -o remount,ro,bind disk"
    said = small_disk(tmp_path, mount, READ_ONLY).splitlines()
    assert "cannot be written" in said[0]
    assert "Read-only file system" in said[1]
    assert said[2] == "intact 5"


class Failing(apsw.VFS):
    """The machine's own file layer, in which one call, and one only, reports an I/O error."""

    def __init__(self) -> None:
        self.calls = 0
        self.fails_at = 0
        super().__init__("failing", "unix", makedefault=True)

    def xOpen(self, name: str | apsw.URIFilename | None, flags: list[int]) -> "FailingFile":  # noqa: N802 - SQLite's name
        return FailingFile(self, name, flags)

    def call(self) -> None:
        self.calls += 1
        if self.calls == self.fails_at:
            raise apsw.IOError


class FailingFile(apsw.VFSFile):
    def __init__(
        self, disk: Failing, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> None:
        self._disk = disk
        super().__init__("unix", name, flags)

    def xLock(self, level: int) -> None:  # noqa: N802 - SQLite's name
        # a reader may not lock for writing; apsw would raise that, where SQLite only notes it
        try:
            super().xLock(level)
        except apsw.IOError as error:
            raise apsw.BusyError from error

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.call()
        super().xWrite(data, offset)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.call()
        super().xSync(flags)

    def xTruncate(self, size: int) -> None:  # noqa: N802 - SQLite's name
        self._disk.call()
        super().xTruncate(size)


@pytest.fixture
def disk() -> Iterator[Failing]:
    failing = Failing()
    yield failing
    failing.unregister()


def acknowledge(state: Path) -> list[int]:
    """Five blocks; the last sequence number of each one that was acknowledged."""
    done = []
    with SqliteLog.open(state, create=True) as log:
        for i in range(5):
            with suppress(StoreError):
                log.append([draft(i, payload=bytes(3000))] * 2)
                done.append(log.head().seq)
    return done


def test_one_failing_write_or_sync_anywhere_loses_nothing_acknowledged(
    disk: Failing, tmp_path: Path
) -> None:
    acknowledge(tmp_path / "whole")
    calls, refused = disk.calls, 0
    assert calls > 40
    for fails_at in range(1, calls + 1):
        state = tmp_path / str(fails_at)
        disk.calls, disk.fails_at = 0, fails_at
        try:
            done = acknowledge(state)
        except StoreError:
            done = []  # the log could not be born or opened
        disk.fails_at = 0
        refused += len(done) < 5
        with SqliteLog.open(state, create=True) as log:
            seqs = [recorded.seq for recorded in log.read()]
            assert seqs == list(range(1, len(seqs) + 1))
            assert set(done) <= set(seqs)
        assert verify(state / "events.db").verdict == "intact"
        shutil.rmtree(state)
    assert refused > 20


def test_head_is_read_again_from_disk_after_a_failed_sync(disk: Failing, state: Path) -> None:
    with SqliteLog.open(state, create=True) as log:
        fill(log, 3)
        head = log.head()
        disk.calls, disk.fails_at = 0, 1
        with pytest.raises(StoreError, match="1 events not written"):
            log.append([draft()])
        assert log.head() == head
        assert log._connection is None
        assert log.append([draft()]) == 4
    assert verify(state / "events.db").events == 4

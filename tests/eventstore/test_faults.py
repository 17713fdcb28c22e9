"""Power, disk and process faults: what was acknowledged is there, and the chain holds."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import fill

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

"""Power, disk and process faults: what was acknowledged is there, and the chain holds."""

import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.events import TailLost
from agent.eventstore.ending import lost_tail
from agent.eventstore.floor import Floor
from agent.eventstore.log import Head
from agent.eventstore.proof import check
from agent.eventstore.prover import prove_event
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import draft, fill, tampering
from tests.eventstore.sealed import Car

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


def test_rt_42_file_that_may_not_grow_refuses_and_goes_on_when_it_may(state: Path) -> None:
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


def test_rt_42_full_disk_refuses_and_goes_on_when_there_is_room(tmp_path: Path) -> None:
    said = small_disk(tmp_path, "mount -t tmpfs -o size=1500k none disk", FILL_UP).splitlines()
    full, seq = said[0].split()
    assert (full, int(seq) > 30) == ("True", True)
    assert said[1:] == [f"intact {seq}", f"{int(seq) + 1} intact"]


NO_NAMES = """
from itertools import count
from pathlib import Path
from agent.errors import StoreError
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import draft, fill
state = Path("disk/state")
with SqliteLog.open(state, create=True) as log:
    fill(log, 3)
made = []
try:
    for number in count():
        made.append(Path(f"disk/{number}"))
        made[-1].touch()
except OSError:
    made.pop()
try:
    SqliteLog.open(state, create=False)
except StoreError as error:
    print(error)
made.pop().unlink()
made.pop().unlink()
with SqliteLog.open(state, create=False) as log:
    print(log.append([draft()]), verify(state / "events.db").verdict)
"""


def test_rt_42_disk_that_takes_no_more_files_refuses_and_goes_on_when_it_does(
    tmp_path: Path,
) -> None:
    said = small_disk(tmp_path, "mount -t tmpfs -o size=4m,nr_inodes=20 none disk", NO_NAMES)
    refused, went_on = said.splitlines()
    assert "unable to open database file" in refused
    assert went_on == "4 intact"


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


def test_rt_42_read_only_disk_is_refused_by_the_writer_and_read_by_the_verifier(
    tmp_path: Path,
) -> None:
    with SqliteLog.open(tmp_path / "disk", create=True) as log:
        fill(log, 3, 2)
    mount = "mount --bind disk disk; mount -o remount,ro,bind disk"
    said = small_disk(tmp_path, mount, READ_ONLY).splitlines()
    assert "cannot be written" in said[0]
    assert "Read-only file system" in said[1]
    assert said[2] == "intact 5"


@pytest.fixture
def killed(state: Path) -> int:
    """A log whose writer was killed, with its -wal and -shm; the last event acknowledged."""
    with appender(state) as child:
        assert child.stdout is not None
        lines = [child.stdout.readline() for _ in range(12)]
        shutil.copy(state / "events.db-shm", state.parent / "old")
        lines += [child.stdout.readline() for _ in range(12)]
    return acknowledged(lines)


def noise(path: Path) -> bytes:
    return random.Random(1).randbytes(path.stat().st_size)


@pytest.mark.parametrize(
    "content",
    [
        noise,
        lambda path: bytes(path.stat().st_size),
        lambda path: path.read_bytes()[:100],
        lambda path: (path.parents[1] / "old").read_bytes(),
    ],
    ids=["noise", "zeros", "cut", "old"],
)
def test_rt_44_index_of_the_write_ahead_log_is_made_anew_where_it_is_worth_nothing(
    content: Callable[[Path], bytes], killed: int, state: Path
) -> None:
    shm = state / "events.db-shm"
    shm.write_bytes(content(shm))
    verdict = verify(state / "events.db")
    assert (verdict.verdict, verdict.events >= killed) == ("intact", True)
    shm.write_bytes(content(shm) if shm.exists() else b"")
    with SqliteLog.open(state, create=False) as log:
        assert len(list(log.read())) == verdict.events
        assert log.append([draft()]) == verdict.events + 1


def middle_changed(content: bytes) -> bytes:
    at = len(content) // 2
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


@pytest.mark.parametrize("harm", [lambda content: content[: len(content) // 2], middle_changed])
def test_rt_43_write_ahead_log_that_was_cut_or_changed_is_below_the_floor(
    harm: Callable[[bytes], bytes], killed: int, state: Path
) -> None:
    with LogReader.open(state / "events.db") as reader:
        head = Head(killed, next(reader.blocks(reader.block_with(killed))).head_after)
        known = Floor(reader.log_id, 0, head)
    wal = state / "events.db-wal"
    wal.write_bytes(harm(wal.read_bytes()))
    assert verify(state / "events.db").verdict == "intact"
    with LogReader.open(state / "events.db") as reader:
        lost, _ = lost_tail(reader, known)
        assert lost == TailLost(killed, reader.head().seq, "cut")


def test_rt_45_rot_in_one_body_is_named_and_the_rest_is_read_and_proved(state: Path) -> None:
    with Car(state) as car:
        car.drive(100, 100, 100, 100)
    path = state / "events.db"
    with tampering(path) as connection:
        data = middle_changed(connection.execute("SELECT data FROM body WHERE no = 2").get)
        connection.execute("UPDATE body SET data = ? WHERE no = 2", (data,))

    verdict = verify(path)

    assert verdict.verdict in {"tampered", "damaged"}
    assert verdict.first_bad_seq is not None
    assert 101 <= verdict.first_bad_seq <= 200
    with LogReader.open(path) as reader:
        assert [recorded.seq for recorded in reader.read(200)] == list(range(201, 402))
        assert check(prove_event(reader, 350)).holds

"""RT-40: any one system call of a log's life fails, or is the last; what was acknowledged is there.

By strace(1), in a process of its own. The suite tries some of the calls, AMO_INJECT=all every one.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from agent.eventstore import floor
from agent.eventstore.ending import lost_tail
from agent.eventstore.reader import LogReader
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import draft

ROOT: Final = Path(__file__).parents[2]
CALLS: Final = {
    "pwrite64": ("EIO", "ENOSPC", "EINTR"),
    "fdatasync": ("EIO", "ENOSPC"),
    "fsync": ("EIO",),
    "ftruncate": ("EIO", "ENOSPC"),
    "openat": ("EIO", "ENOSPC", "EMFILE"),
    "rename": ("EIO", "ENOSPC"),
    "unlink": ("EIO", "EROFS"),
    "mkdir": ("ENOSPC",),
    "pread64": ("EIO",),
    "fcntl": ("ENOLCK",),
    "mmap": ("ENOMEM",),
}
KILL: Final = "signal=KILL"
FAULTS: Final = [
    (call, what)
    for call, errors in CALLS.items()
    for what in (*(f"error={error}" for error in errors), KILL)
]
SIDES: Final = ("events.db", "events.db-wal", "events.db-shm", "events.db.new", "events.db.new-wal")
NAMES: Final = (
    "",
    *(f"/{name}" for name in SIDES),
    "/events.db.new-journal",
    "/floor",
    "/floor.new",
)


class Told(NamedTuple):
    """What the process said: that it had a log, the last event and the last seal acknowledged."""

    opened: bool
    seq: int
    seals: int
    code: int
    complaint: str


def run(state: Path, *options: str) -> Told:
    """The life of a log under strace, which ends as its child does."""
    paths = [option for name in NAMES for option in ("-P", f"{state}{name}")]
    strace = ["strace", "-f", "-qq", *paths, *options]
    child = [sys.executable, "-m", "tests.eventstore.scripted", str(state)]
    done = subprocess.run(
        [*strace, *child], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    lines = [line.split() for line in done.stdout.splitlines(keepends=True) if line[-1] == "\n"]
    seqs = [int(line[0]) for line in lines if line[0].isdigit()]
    seals = [int(line[1]) for line in lines if line[0] == "sealed"]
    opened = ["open"] in lines
    return Told(opened, max(seqs, default=0), max(seals, default=0), done.returncode, done.stderr)


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Counter[str]:
    """How often a run without a fault makes each call."""
    if shutil.which("strace") is None:
        pytest.skip("strace(1) is not installed")
    place = tmp_path_factory.mktemp("counts")
    told = run(place / "state", "-o", f"{place}/trace", "-e", f"trace={','.join(CALLS)}")
    if told.code:
        pytest.skip(f"no process may be traced here: {told.complaint.strip()}")
    assert (told.seq, told.seals) == (30, 2)
    lines = (place / "trace").read_text().splitlines()
    return Counter(line.split(maxsplit=1)[1].partition("(")[0] for line in lines if "(" in line)


def chosen(call: str, what: str, count: int) -> list[int]:
    """Which calls are struck, from 1."""
    every = range(1, count + 1)
    if os.environ.get("AMO_INJECT") == "all":
        return list(every)
    return [random.Random(call + what).choice(every)]


@pytest.mark.parametrize(("call", "what"), FAULTS)
def test_rt_40_a_system_call_that_fails_or_is_the_last_loses_nothing_acknowledged(
    call: str, what: str, counts: Counter[str], memory: Path
) -> None:
    assert counts[call] > 0
    for when in chosen(call, what, counts[call]):
        state = memory / str(when)
        inject = f"inject={call}:{what}:when={when}"
        # the filter makes it quicker, and a signal is not delivered through it (strace 6.1)
        quick = () if what == KILL else ("--seccomp-bpf",)
        told = run(state, *quick, "-o", os.devnull, "-e", f"trace={call}", "-e", inject)
        ended = -signal.SIGKILL if what == KILL else 0
        assert (told.code, told.complaint) == (ended, ""), f"{inject}: {told}"
        holds(state, told, inject)


def test_rt_42_disk_that_turns_read_only_for_good_is_told_and_loses_nothing_acknowledged(
    counts: Counter[str], memory: Path
) -> None:
    for when in (counts["pwrite64"] // 2, counts["pwrite64"] * 2 // 3):
        state = memory / str(when)
        inject = f"inject=pwrite64:error=EROFS:when={when}+"
        told = run(state, "--seccomp-bpf", "-o", os.devnull, "-e", "trace=pwrite64", "-e", inject)
        assert (told.code, told.complaint, 0 < told.seq < 30) == (0, "", True)
        holds(state, told, inject)


def holds(state: Path, told: Told, inject: str) -> None:
    """The log is intact, has what was acknowledged, and goes on."""
    path = state / "events.db"
    if path.exists():
        verdict = verify(path)
        assert (verdict.verdict, verdict.events >= told.seq) == ("intact", True), inject
        with LogReader.open(path) as reader:
            assert len(list(reader.seals())) >= told.seals, inject
            assert lost_tail(reader, floor.read(state / "floor")) == (None, ""), inject
    else:
        assert not told.opened, inject
    with SqliteLog.open(state, create=True) as log:
        before = log.head().seq
        assert [recorded.seq for recorded in log.read()] == list(range(1, before + 1))
        assert log.append([draft()]) == before + 1
    assert verify(path).verdict == "intact", inject

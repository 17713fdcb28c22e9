"""The agent's own process is killed while it writes: what a reader saw committed is there.

AMO_KILLS says how often, 10 times where it is not set.
"""

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import cantools
import pytest

from agent.archive import owners_view
from agent.errors import AgentError
from agent.eventstore.log import Head
from agent.eventstore.reader import LogReader
from agent.eventstore.verify import verify
from agent.privacy import sealed

ROOT: Final = Path(__file__).parents[1]
DBC: Final = ROOT / "dbc" / "simcar.dbc"
KILLS: Final = int(os.environ.get("AMO_KILLS", "10"))
A_LOG: Final = 10
"""Starts on one log before the next log begins."""


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More traffic than any of these processes lives to read: a minute of a whole car."""
    chance = random.Random(1)
    database = cantools.database.can.Database()
    database.add_dbc_file(str(DBC))
    messages = [(message.frame_id, message.length) for message in database.messages]
    path = tmp_path_factory.mktemp("drive") / "drive.log"
    with path.open("w") as file:
        for number in range(100_000):
            frame, length = messages[number % len(messages)]
            data = chance.randbytes(length).hex().upper()
            file.write(f"({1_000_000_000 + number * 0.0006:.6f}) can0 {frame:03X}#{data}\n")
    return path


@contextmanager
def replaying(drive: Path, state: Path) -> Iterator[subprocess.Popen[bytes]]:
    command = ["-m", "agent", "replay", str(drive), "--dbc", str(DBC), "--state", str(state)]
    with subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.DEVNULL) as child:
        try:
            yield child
        finally:
            child.kill()


def watched(child: subprocess.Popen[bytes], path: Path, before: int, lasts_s: float) -> Head:
    """The last head that a reader saw in this time, counted from the first commit it saw."""
    seen, ends = Head(0, b""), float("inf")
    while time.monotonic() < ends:
        assert child.poll() is None, "the agent ended by itself"
        try:
            with LogReader.open(path) as reader:
                while (now := time.monotonic()) < ends and child.poll() is None:
                    seen = reader.head()
                    time.sleep(0.001)
                    if seen.seq > before:
                        ends = min(ends, now + lasts_s)
        except AgentError:
            assert ends == float("inf"), "a log in use could not be read"
            time.sleep(0.01)  # not born yet
    return seen


def test_an_agent_killed_at_any_moment_keeps_what_a_reader_saw_committed(
    drive: Path, tmp_path: Path
) -> None:
    moments = random.Random(11)
    before = 0
    for number in range(KILLS):
        state = tmp_path / str(number // A_LOG)
        before = before if number % A_LOG else 0
        with replaying(drive, state) as child:
            seen = watched(child, state / "events.db", before, moments.uniform(0.0, 0.3))
            child.kill()
        assert child.returncode == -signal.SIGKILL
        verdict = verify(state / "events.db")
        assert (verdict.verdict, verdict.events >= seen.seq) == ("intact", True), f"kill {number}"
        check(state, seen, after=before)
        before = verdict.events


def check(state: Path, seen: Head, *, after: int) -> None:
    """The log goes through what was seen, and what is sealed in it can be opened."""
    with LogReader.open(state / "events.db") as reader:
        first = reader.block_with(seen.seq)
        assert next(reader.blocks(first)).head_after == seen.hash
        with owners_view(state, reader.log_id) as opener:
            kept = [event for event in reader.read(after) if sealed(event.level)]
            assert all(opener.open(event.level, event.kind, event.payload) for event in kept)

"""Erases and is killed on the way. `python -m tests.cut_erasure FOLDER`: a child for each state
directory in FOLDER, killed before the step that the directory is named after, or, where that is
a number, after so many microseconds.
"""

import os
import signal
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any, Final

from agent import erase, files
from agent.archive import archive
from agent.clock import SECOND, SystemClock
from agent.eventstore.sqlite import SqliteLog
from agent.privacy import Level
from agent.wallet.segments import SegmentStore
from tests.conftest import START_NS

STEPS: Final[dict[str, tuple[Any, str, int]]] = {
    "note": (erase, "replace", 1),
    "note-synced": (files, "sync_directory", 1),
    "begun-written": (SqliteLog, "append", 1),
    "second-begun-written": (SqliteLog, "append", 2),
    "first-keys": (SegmentStore, "destroy", 1),
    "second-keys": (SegmentStore, "destroy", 2),
    "scrub": (erase.Eraser, "_scrub", 1),
    "readmodel": (erase, "remove", 1),
    "done-written": (SqliteLog, "append", 3),
    "second-done-written": (SqliteLog, "append", 4),
    "end": (erase.Eraser, "_end", 1),
}
"""Name -> whose function kills the process, and at which call, counted from the plan on."""


def arm(place: Any, name: str, at: int) -> None:
    original, calls = getattr(place, name), count(1)

    def call(*arguments: Any, **named: Any) -> Any:
        if next(calls) == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return original(*arguments, **named)

    setattr(place, name, call)


def erase_the_hour(state: Path, step: str) -> None:
    with archive(state, SystemClock(), wait=True) as parts:
        plan = parts.eraser.plan(Level.LV1, START_NS, START_NS + 3600 * SECOND, lambda *_: None)
        if step in STEPS:
            arm(*STEPS[step])
        parts.eraser.carry_out(plan, "owner")


def main(folder: Path) -> None:
    for state in sorted(folder.iterdir()):
        child = os.fork()
        if child == 0:
            erase_the_hour(state, state.name)
            os._exit(0)
        if state.name not in STEPS:
            time.sleep(int(state.name) / 1e6)
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert state.name not in STEPS or os.WTERMSIG(status) == signal.SIGKILL, state.name


if __name__ == "__main__":
    main(Path(sys.argv[1]))

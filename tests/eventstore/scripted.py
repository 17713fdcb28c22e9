"""A process with the whole life of a log in a moment; says what was acknowledged, line by line.

Argument: state directory. What the log refuses is said too, and it goes on; what ends the process
is an error that no caller of the log has to expect.
"""

import sys
from pathlib import Path

from agent.errors import AgentError
from agent.eventstore import sqlite
from agent.eventstore.sqlite import SqliteLog
from tests.eventstore.appender import say
from tests.eventstore.conftest import draft
from tests.eventstore.unkept import unkept

CHECKPOINT = ("wal_autocheckpoint", 8)
"""Pages; SQLite's own is 1,000."""


def main(state: Path) -> None:
    for _ in range(2):
        try:
            with SqliteLog.open(state, create=True) as log:
                say("open")
                for _ in range(4):
                    append(log)
                seal(log, state)
                append(log)
        except AgentError as error:
            say("refused", error)
    say("end")


def append(log: SqliteLog) -> None:
    try:
        first = log.append([draft(payload=bytes(2000))] * 3)
        say(first + 2)
    except AgentError as error:
        say("refused", error)


def seal(log: SqliteLog, state: Path) -> None:
    try:
        made = unkept(log, state).seal()
        say(*() if made is None else ("sealed", made.no))
    except AgentError as error:
        say("refused", error)


if __name__ == "__main__":
    vars(sqlite)["_LIFE"] += (CHECKPOINT,)
    main(Path(sys.argv[1]))

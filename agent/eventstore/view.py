"""The read model for those who only look: no question changes it or keeps it busy for long."""

from pathlib import Path
from typing import Final

import sqlite_utils

from agent.clock import SECOND, Clock
from agent.eventstore.modelfile import to_look

LIMIT_NS: Final = 5 * SECOND
"""For one statement and the fetching of its rows."""
_LOOK_EVERY: Final = 10_000
"""Instructions of SQLite's virtual machine between two looks at the clock: under 1 ms."""


def view(path: Path, clock: Clock, *, limit_ns: int = LIMIT_NS) -> sqlite_utils.Database:
    """From any process. A statement that takes longer ends as sqlite3.OperationalError.

    What a user typed belongs into the parameters of a statement, never into its text.
    Raises UsageError when there is nothing to see.
    """
    connection = to_look(path)
    until_ns = clock.mono_ns() + limit_ns

    def begin(_statement: str) -> None:
        nonlocal until_ns
        until_ns = clock.mono_ns() + limit_ns

    connection.set_trace_callback(begin)
    connection.set_progress_handler(lambda: clock.mono_ns() > until_ns, _LOOK_EVERY)
    return sqlite_utils.Database(connection, execute_plugins=False)

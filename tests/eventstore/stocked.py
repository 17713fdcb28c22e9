"""A sealed log whose events are all known to lie elsewhere, and what is known of it then."""

from collections.abc import Callable
from pathlib import Path

from agent.events import BodiesPruned, encode
from agent.eventstore.note import decode
from agent.eventstore.pruner import Pruner
from agent.eventstore.reader import LogReader
from agent.eventstore.retention import Facts, Ranges
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.privacy import Level
from tests.eventstore.conftest import draft

NOW_NS = 1_750_000_000_000_000_000 + 3600 * 10**9
"""An hour after the first draft of conftest.draft."""
ALL = Ranges([(1, 10**9)])


def unheld(_first: int, _last: int) -> bool:
    return False


def facts(
    *,
    sealed: int = 10**9,
    now_ns: int = NOW_NS,
    keep_ns: int = 0,
    stored: dict[Level, Ranges] | None = None,
    held: Callable[[int, int], bool] = unheld,
    nowhere: frozenset[str] = frozenset(),
) -> Facts:
    """Everything may go, but for what is said."""
    known = dict.fromkeys(Level, ALL) if stored is None else stored
    return Facts(sealed, now_ns, keep_ns, known, held, nowhere)


def sealed_through(state: Path) -> int:
    with LogReader.open(state / EVENTS) as reader:
        last = reader.last_seal()
    assert last is not None
    return decode(last.note).size


def announce(log: SqliteLog) -> Callable[[BodiesPruned], None]:
    """The event on disk, as the journal of an agent does it."""

    def write(event: BodiesPruned) -> None:
        log.append([draft(kind=event.kind, payload=encode(event))])

    return write


def prune(log: SqliteLog, state: Path, known: Facts | None = None) -> int:
    """One pass; how many bodies went. What tells of them stays."""
    given = facts(nowhere=frozenset({BodiesPruned.kind}), sealed=sealed_through(state))
    return sum(Pruner(log, state / EVENTS, announce(log)).prune(known or given))


def bodies(state: Path) -> list[int]:
    with LogReader.open(state / EVENTS) as reader:
        return list(reader.bodies())

"""The events of a time or a kind, found by the index of the read model instead of a scan.

Order is that of the sequence numbers; a clock that stepped may put a later event at an earlier
time, so a range of time is a set of ranges of the log.
"""

from collections.abc import Iterator
from typing import Final

import sqlite_utils

from agent.eventstore.kindbits import kind_bits
from agent.eventstore.log import EventReader, Recorded

_STRETCHES: Final = """SELECT first_seq, last_seq FROM stretch
    WHERE latest_ns >= ? AND earliest_ns <= ? AND (? IS NULL OR kinds & ?) ORDER BY first_seq"""
_KINDS: Final = "SELECT DISTINCT kind FROM kind_count WHERE substr(kind, 1, ?) = ?"


def ranges(
    model: sqlite_utils.Database, since_ns: int, until_ns: int, kind: str = ""
) -> list[tuple[int, int]]:
    """(first, last) sequence numbers of the parts of the log that may have events of this time.

    Both ends of the time belong to it. kind: or its beginning, of events that are asked for.
    A part may begin too early and end too late, by less than STRETCH events.
    """
    found: list[tuple[int, int]] = []
    kinds = _bits(model, kind) if kind else None
    for first, last in model.execute(_STRETCHES, (since_ns, until_ns, kinds, kinds)):
        if found and found[-1][1] + 1 == first:
            first = found.pop()[0]  # noqa: PLW2901 - the part before goes on
        found.append((first, last))
    return found


def between(
    model: sqlite_utils.Database, log: EventReader, since_ns: int, until_ns: int, kind: str = ""
) -> Iterator[Recorded]:
    """The events of a time, both ends belonging to it, and of a kind or its beginning, in order.

    What the model has not folded in yet is looked through. Raises as EventReader.read does.
    """
    ((through,),) = model.execute("SELECT coalesce(max(seq), 0) FROM cursor")
    head = log.head().seq
    behind = [(through + 1, head)] if through < head else []
    for first, last in ranges(model, since_ns, until_ns, kind) + behind:
        for recorded in log.read(first - 1, last):
            if since_ns <= recorded.t_ns <= until_ns and recorded.kind.startswith(kind):
                yield recorded


def _bits(model: sqlite_utils.Database, kind: str) -> int:
    return kind_bits(found for (found,) in model.execute(_KINDS, (len(kind), kind)))

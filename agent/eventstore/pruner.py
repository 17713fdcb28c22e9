"""Takes bodies away: what goes is told first, then its space is given back, some blocks at a time.

A cut between the two leaves bodies that were announced and are still there, which is no fault: the
next pass announces them again.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from agent.errors import LogCorruptError, MalformedInputError
from agent.events import BodiesPruned
from agent.eventstore.reader import Block, LogReader
from agent.eventstore.retention import Facts, Fate, Going, fate
from agent.eventstore.sift import block_with_body
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.walk import Walked, walk

AT_ONCE: Final = 200
"""Blocks in one transaction: the writer waits for it."""
LOOK: Final = 500
"""Blocks looked at in one step: under 0.2 s on a desk."""


class Pruner:
    """For one log, and one thread at a time. announce: returns when the event is on disk."""

    def __init__(
        self, log: SqliteLog, events_db: Path, announce: Callable[[BodiesPruned], None]
    ) -> None:
        self._log = log
        self._path = events_db
        self._announce = announce
        self._settled = 1  # what is before went, or stays for good

    def prune(self, facts: Facts) -> Iterator[int]:
        """One pass, spread over steps: how many bodies went in each.

        Raises LogCorruptError for a body that is not as it was written, StoreError.
        """
        run: list[Walked] = []
        no, waiting = self._settled - 1, None
        with LogReader.open(self._path) as reader:
            for count, no in enumerate(reader.bodies(self._settled), 1):
                block = block_with_body(reader, no)
                found = _fate(block, facts)
                if waiting is None and found in {"waits", "young"}:
                    waiting = no
                if run and (found != "goes" or no != run[-1].block.no + 1 or len(run) == AT_ONCE):
                    yield self._away(run)
                    run = []
                if found == "young" or block.first_seq > facts.reach:
                    break
                if found == "goes":
                    run.append(walk(block))
                elif not count % LOOK:
                    yield 0
            if run:
                yield self._away(run)
        self._settled = waiting or no + 1

    def _away(self, run: list[Walked]) -> int:
        try:
            going = Going.of(run)
        except MalformedInputError as error:
            raise LogCorruptError(str(error)) from error
        self._announce(going.event)
        self._log.prune(going.nodes)
        return len(run)


def _fate(block: Block, facts: Facts) -> Fate:
    try:
        return fate(block, facts)
    except MalformedInputError as error:
        raise LogCorruptError(f"block {block.no}: {error}") from error

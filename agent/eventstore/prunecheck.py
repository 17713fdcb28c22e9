"""Does the log tell of every body it lacks? What docs/formats/seal.md, "Pruning", asks for.

Without this, bodies could be taken away and the log would hold all the same: the seals bind what
is left of a pruned block, not that it was the agent who pruned it.
"""

from collections.abc import Iterator

from agent.events import BodiesPruned
from agent.eventstore.reader import LogReader
from agent.eventstore.retention import digest_over
from agent.eventstore.sealcheck import BadSealError
from agent.eventstore.walk import Walked, walk


class PruneChecker:
    """Is fed with blocks that hold, in their order, from the first."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._untold: dict[int, int] = {}
        self._last = 0

    def take(self, walked: Walked) -> None:
        """Raises BadSealError for an event that tells of other bodies than those that went."""
        block = walked.block
        if block.nodes is not None:
            self._untold[block.no] = block.first_seq
            self._last = block.first_seq + block.n - 1
        for _, event in walked.told:
            if isinstance(event, BodiesPruned):
                self._told(event)

    def finish(self, sealed: int) -> None:
        """The walk came to the end of the log. sealed: the last event under a seal that holds.

        Raises BadSealError for a body that is gone and that nothing tells of.
        """
        for no, seq in self._untold.items():
            raise BadSealError(seq, f"no event tells that block {no} was pruned")
        if self._last > sealed:
            raise BadSealError(sealed + 1, "a block was pruned that no seal covers")

    def _told(self, event: BodiesPruned) -> None:
        gone = [no for no in self._untold if event.first <= no <= event.last]
        if gone and digest_over(self._walked(event)) != event.digest:
            first = self._untold[gone[0]]
            raise BadSealError(first, f"blocks {event.first} to {event.last} are not those pruned")
        for no in gone:
            del self._untold[no]

    def _walked(self, event: BodiesPruned) -> Iterator[Walked]:
        """As they are now: some may have kept their body when the power failed."""
        for block in self._reader.blocks(event.first):
            if block.no > event.last:
                return
            yield walk(block)

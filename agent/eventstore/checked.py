"""Reading for those who have to believe what they read: a block is hashed before it comes out."""

from collections.abc import Iterator
from typing import Final

from agent.errors import LogCorruptError, MalformedInputError
from agent.eventstore import chain
from agent.eventstore.reader import Block, LogReader
from agent.eventstore.walks import looks

AT_FIRST: Final = 200
"""Blocks that are out before other processes are asked for help: some only look at a few."""


class CheckedReader(LogReader):
    """A LogReader whose `read` ends with a LogCorruptError before the first event that is not as
    it was written, or that does not follow from the one before it in what is read.

    A long log is hashed by other processes while its events come out here.
    """

    def span(self, first: int, last: int) -> Iterator[Block]:
        head, later = None, first + AT_FIRST
        for start, end in ((first, min(last, later - 1)), (later, last)):
            for block, good in self._judged(start, end):
                if not good or head not in (None, block.head_before):
                    raise LogCorruptError(f"{self._path}: block {block.no} was changed")
                yield block
                head = block.head_after

    def _judged(self, first: int, last: int) -> Iterator[tuple[Block, bool]]:
        there = range(first, min(last, self.last_block()) + 1)
        with looks(self, self._path, there, follows) as verdicts:
            yield from zip(super().span(first, last), verdicts, strict=False)


def follows(block: Block) -> bool:
    """Whether the events of a block lead from its one head to its other."""
    body, head = block.body, block.head_before
    try:
        return body is None or chain.hashes(body, head)[-1:] == [block.head_after]
    except MalformedInputError:
        return False

"""Events of a few kinds out of a large log, without decoding the others.

A kind stands in clear in the body of its block, so a body without those bytes has none of them.
"""

from collections.abc import Collection, Iterator

from agent.errors import LogCorruptError, MalformedInputError
from agent.eventstore import chain
from agent.eventstore.log import Recorded
from agent.eventstore.reader import Block, LogReader


def sift(
    reader: LogReader, kinds: Collection[str], first: int = 1
) -> Iterator[tuple[int, list[Recorded]]]:
    """Of each block from number `first` on that has its body: its number, and those events in it.

    Raises LogCorruptError, StoreError.
    """
    marks = [kind.encode("ascii") for kind in kinds]
    for no in reader.bodies(first):
        body = block_with_body(reader, no).body or b""
        found = [] if not any(mark in body for mark in marks) else _events(no, body)
        yield no, [event for event in found if event.kind in kinds]


def block_with_body(reader: LogReader, no: int) -> Block:
    """Raises LogCorruptError, StoreError."""
    block = next(reader.blocks(no), None)
    if block is None or block.no != no:
        raise LogCorruptError(f"body {no} is not that of a block")
    return block


def _events(no: int, body: bytes) -> list[Recorded]:
    try:
        return [chain.decode(event) for _, event in chain.unpack(body)]
    except MalformedInputError as error:
        raise LogCorruptError(f"block {no}: {error}") from error

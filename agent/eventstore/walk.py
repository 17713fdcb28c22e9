"""Do the events of a block follow from the head it begins with, and does a block from the last?

No I/O. Since a block says its head, blocks can be looked at in any order and by several processes
(`walk`); whoever has them in order then sees whether each begins where the one before it ended
(`Fold`).
"""

import msgspec

from agent.errors import MalformedInputError
from agent.events import (
    BodiesPruned,
    Event,
    LogChecked,
    LogSealed,
    ParcelRegistered,
    decode,
)
from agent.eventstore import chain
from agent.eventstore.reader import Block
from agent.eventstore.tree import nodes_of

TOLD = frozenset(event.kind for event in (LogSealed, LogChecked, BodiesPruned, ParcelRegistered))
"""Kinds that say something about the log itself."""


class Walked(msgspec.Struct, frozen=True, kw_only=True):
    """What was found in a block.

    block: without its body
    good:  events that hold, from the first on; head: after the last of them
    bad:   what is wrong with the event behind those; empty where nothing is
    boots: of the first and the last good event; None where there is none
    nodes: of the leaves, as seal.md has them; empty where something is bad
    told:  events about the log itself, with their sequence numbers
    """

    block: Block
    good: int
    head: bytes
    bad: str = ""
    boots: tuple[int, int] | None = None
    nodes: bytes = b""
    told: list[tuple[int, Event]] = []


def walk(block: Block) -> Walked:
    if block.body is None:
        return Walked(block=block, good=block.n, head=block.head_after, nodes=block.nodes or b"")
    steps = _Steps(block)
    bad = steps.go(block.body)
    if not bad and steps.head != block.head_after:
        steps.leaves.pop()  # the last event is the one that this hash belongs to
        bad = f"block {block.no} does not end with the hash it says"
    return Walked(
        block=msgspec.structs.replace(block, body=None),
        good=len(steps.leaves),
        head=steps.leaves[-1] if steps.leaves else block.head_before,
        bad=bad,
        boots=(steps.boots[0], steps.boots[-1]) if steps.boots else None,
        nodes=b"" if bad else nodes_of(block.first_seq - 1, steps.leaves),
        told=steps.told,
    )


class BrokenError(Exception):
    """The first thing that does not follow; the fold stands at the event before it."""


class Fold:
    """The log as far as it holds: each block goes on where the one before it ended."""

    def __init__(self) -> None:
        self.log_id = b""
        self.head = b""
        self.seq = 0
        self.blocks = 0
        self._boot = 1

    def begin(self, log_id: bytes, note: bytes) -> None:
        self.log_id = log_id
        self.head = chain.genesis(log_id, note)

    def take(self, walked: Walked) -> None:
        """Moves past a block. Raises BrokenError."""
        block = walked.block
        if block.no != self.blocks + 1:
            raise BrokenError(f"block {block.no} stands where {self.blocks + 1} should")
        if block.first_seq != self.seq + 1:
            raise BrokenError(f"block {block.no} says it begins with event {block.first_seq}")
        if block.head_before != self.head:
            raise BrokenError(f"block {block.no} does not follow the one before it")
        if walked.boots is not None:
            first, last = walked.boots
            if first < self._boot:
                raise BrokenError(f"boot {first} follows boot {self._boot}")
            self._boot = last
        self.seq += walked.good
        self.head = walked.head
        if walked.bad:
            raise BrokenError(walked.bad)
        self.blocks += 1


class _Steps:
    """The events of one block, as far as they hold."""

    def __init__(self, block: Block) -> None:
        self.head = block.head_before
        self.leaves: list[bytes] = []
        self.boots: list[int] = []
        self.told: list[tuple[int, Event]] = []
        self._block = block

    def go(self, body: bytes) -> str:
        """Empty, or what is wrong with the event behind the last leaf."""
        block, head, link = self._block, self.head, chain.link
        leaves, due, boot = self.leaves, block.first_seq, 0
        try:
            for check, event in chain.unpack(body):
                head = link(head, event)
                if head[: chain.CHECK_BYTES] != check:
                    return "the bytes of the event are not those that were hashed"
                seq, now, kind = chain.examine(event)
                if seq != due:
                    return f"the event says it is {seq}"
                if now != boot:
                    if now < boot:
                        return f"boot {now} follows boot {boot}"
                    self.boots.append(now)
                    boot = now
                if len(leaves) >= block.n:
                    return f"block {block.no} holds more than {block.n} events"
                if kind in TOLD:
                    self.told.append((seq, decode(kind, chain.decode(event).payload)))
                leaves.append(head)
                due += 1
        except MalformedInputError as error:
            return str(error)
        self.head = head
        return (
            "" if len(leaves) == block.n else f"block {block.no} holds fewer than {block.n} events"
        )

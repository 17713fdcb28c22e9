"""Which bodies may go, and what stays in their place. No I/O. docs/formats/seal.md, "Pruning".

A body goes when somebody else is known to have all of it: each of its events lies in a parcel of
its level that was read back from where it was stored. What goes into no parcel, what no seal
covers yet, what is held and what is young stays.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import sha3_512
from struct import Struct
from typing import Final, Literal, NamedTuple, Self

from agent.errors import MalformedInputError
from agent.events import BodiesPruned, LogSealed
from agent.eventstore import chain
from agent.eventstore.log import Recorded
from agent.eventstore.reader import Block
from agent.eventstore.walk import Walked
from agent.privacy import Level

AGAIN: Final = frozenset({LogSealed.kind})
"""Kinds that may go without a parcel: the table of seals has all they say."""
_HEADER: Final = Struct(">QQI")

Fate = Literal["goes", "stays", "waits", "young"]
"""stays: for good; waits: for a seal, a parcel or the end of a hold; young: for its time alone."""


class Ranges:
    """Sequence numbers, as ranges that include both ends."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for first, last in sorted(ranges):
            if self._ends and first <= self._ends[-1] + 1:
                self._ends[-1] = max(self._ends[-1], last)
            else:
                self._starts.append(first)
                self._ends.append(last)

    def __contains__(self, seq: int) -> bool:
        at = bisect_right(self._starts, seq)
        return at > 0 and seq <= self._ends[at - 1]

    @property
    def last(self) -> int:
        """0 where there are none."""
        return self._ends[-1] if self._ends else 0


class Facts(NamedTuple):
    """What is known when it is decided.

    sealed:  the last event under a seal
    now_ns:  UTC; keep_ns: how long a body stays here in any case, 0 where the disk is too full
    stored:  of each level, the events in parcels that were read back
    held:    whether any of the events first..last must be kept
    nowhere: kinds that go into no parcel
    """

    sealed: int
    now_ns: int
    keep_ns: int
    stored: Mapping[Level, Ranges]
    held: Callable[[int, int], bool]
    nowhere: frozenset[str]

    @property
    def reach(self) -> int:
        """Nothing that begins behind this event goes."""
        return min(self.sealed, max(ranges.last for ranges in self.stored.values()))


def fate(block: Block, facts: Facts) -> Fate:
    """Of a block that has its body. Raises MalformedInputError for one that cannot be read."""
    last = block.first_seq + block.n - 1
    if last > facts.sealed or facts.held(block.first_seq, last):
        return "waits"
    events = [chain.decode(event) for _, event in chain.unpack(block.body or b"")]
    needy = [event for event in events if event.kind not in AGAIN]
    if any(event.kind in facts.nowhere for event in needy):
        return "stays"
    if not all(_stored(event, facts) for event in needy):
        return "waits"
    return _by_age(facts, max(event.t_ns for event in events))


def _stored(event: Recorded, facts: Facts) -> bool:
    ranges = facts.stored.get(event.level)
    return ranges is not None and event.seq in ranges


def _by_age(facts: Facts, newest_ns: int) -> Fate:
    age_ns = facts.now_ns - newest_ns
    if age_ns >= facts.keep_ns or not facts.keep_ns:
        return "goes"
    return "young" if age_ns >= 0 else "waits"  # of a clock that stood ahead: says nothing


class Going(NamedTuple):
    """Blocks next to each other whose bodies go. nodes: of each, by its number."""

    event: BodiesPruned
    nodes: dict[int, bytes]

    @classmethod
    def of(cls, blocks: Sequence[Walked]) -> Self:
        """Raises MalformedInputError for a body that is not as its block says."""
        for walked in blocks:
            if walked.bad:
                raise MalformedInputError(f"block {walked.block.no}: {walked.bad}")
        nodes = {walked.block.no: walked.nodes for walked in blocks}
        first, last = blocks[0].block.no, blocks[-1].block.no
        return cls(BodiesPruned(first, last, digest_over(blocks)), nodes)


def digest_over(blocks: Iterable[Walked]) -> bytes:
    """What the event that tells of a pruning has to carry."""
    digest = sha3_512()
    for walked in blocks:
        block = walked.block
        header = _HEADER.pack(block.no, block.first_seq, block.n)
        digest.update(header + block.head_before + block.head_after + walked.nodes)
    return digest.digest()

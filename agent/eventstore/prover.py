"""Proofs out of a log: from its seals, its tiles and a few blocks, never from the whole of it."""

from bisect import bisect_left
from itertools import islice
from typing import TypeVar

from agent.errors import AgentError, LogCorruptError, MalformedInputError, UsageError
from agent.eventstore import chain, note
from agent.eventstore.note import Note
from agent.eventstore.proof import EventProof, Proof, SealsProof, SignedNote, check
from agent.eventstore.reader import Block, LogReader
from agent.eventstore.tree import (
    NODE_BYTES,
    TILE_HEIGHT,
    consistency,
    cover,
    inclusion,
    node,
)

_Proof = TypeVar("_Proof", bound=Proof)


class NotProvableError(AgentError):
    """The event is in the log, and the log cannot show that now."""


def prove_event(reader: LogReader, seq: int) -> EventProof:
    """By the first seal that covers the event.

    Raises UsageError for an event there is not, NotProvableError for one that is not sealed yet or
    whose body is gone, LogCorruptError for a log that does not hold where the proof needs it.
    """
    last = reader.head().seq
    if not 0 < seq <= last:
        raise UsageError(f"event {seq}; the log has 1 to {last}")
    seals = _Seals(reader)
    seal = seals.covering(seq)
    subtrees = _Subtrees(reader)
    before, event = subtrees.event(seq)
    path = inclusion(seq - 1, seals.note(seal).size, subtrees)
    return _holding(EventProof(event.hex(), before.hex(), _hex(path), seals.signed(seal)), reader)


def prove_seals(reader: LogReader, first: int, second: int) -> SealsProof:
    """That what was under seal `first` is the beginning of what is under seal `second`.

    Raises UsageError for seals there are not or in the wrong order, LogCorruptError.
    """
    seals = _Seals(reader)
    if not 0 < first <= second <= seals.last:
        has = f"1 to {seals.last}" if seals.last else "none"
        raise UsageError(f"seals {first} and {second}; the log has {has}")
    sizes = seals.note(first).size, seals.note(second).size
    path = consistency(*sizes, _Subtrees(reader))
    return _holding(SealsProof(seals.signed(first), seals.signed(second), _hex(path)), reader)


class _Seals:
    """The seals of a log by their numbers. last: 0 where there is none yet."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        seal = reader.last_seal()
        self.last = seal.no if seal else 0

    def signed(self, no: int) -> SignedNote:
        seal = next(self._reader.seals(no), None)
        if seal is None or seal.no != no:
            raise LogCorruptError(f"seal {no} is missing")
        return SignedNote(seal.note.hex(), seal.signature.hex())

    def note(self, no: int) -> Note:
        try:
            return note.decode(bytes.fromhex(self.signed(no).note))
        except MalformedInputError as error:
            raise LogCorruptError(f"seal {no}: {error}") from error

    def covering(self, seq: int) -> int:
        """The first over an event; sizes never fall, so it is found without reading them all."""
        numbers = range(1, self.last + 1)
        at = bisect_left(numbers, seq, key=lambda no: self.note(no).size)
        if at == len(numbers):
            raise NotProvableError(f"event {seq} is not sealed yet; {self.last} seals end before")
        return numbers[at]


class _Subtrees:
    """The hash of any complete subtree of a log, for a prover."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._known = {(no << TILE_HEIGHT, TILE_HEIGHT): tile for no, tile in reader.tiles()}
        self._loaded: list[range] = []

    def __call__(self, start: int, height: int) -> bytes:
        if height < TILE_HEIGHT:
            self._load(start)
        if (start, height) not in self._known:
            if not height:
                raise LogCorruptError(f"event {start + 1} is not where its block has it")
            half = 1 << height - 1
            left, right = self(start, height - 1), self(start + half, height - 1)
            self._known[start, height] = node(left, right)
        return self._known[start, height]

    def event(self, seq: int) -> tuple[bytes, bytes]:
        """h(seq - 1) and the bytes of the event."""
        block = self._block(seq)
        if block.body is None:
            raise NotProvableError(f"event {seq} was pruned; it is in the parcel of its block")
        at, heads = seq - block.first_seq, _heads(block, block.body)
        for _, event in islice(chain.unpack(block.body), at, None):
            return heads[at], event
        raise LogCorruptError(f"event {seq} is not where block {block.no} has it")

    def _load(self, index: int) -> None:
        """The subtrees that the block of a leaf gives."""
        if any(index in leaves for leaves in self._loaded):
            return
        block = self._block(index + 1)
        first = block.first_seq - 1
        self._loaded.append(range(first, first + block.n))
        if block.nodes is not None:
            parts = cover(first, block.n)
            found = [
                block.nodes[at : at + NODE_BYTES] for at in range(0, len(block.nodes), NODE_BYTES)
            ]
            self._known.update(zip(parts, found, strict=False))
        else:
            for at, leaf in enumerate(_heads(block, block.body or b"")[1:], first):
                self._known[at, 0] = leaf

    def _block(self, seq: int) -> Block:
        block = next(self._reader.blocks(self._reader.block_with(seq)), None)
        if block is None or not block.first_seq <= seq < block.first_seq + block.n:
            raise LogCorruptError(f"event {seq} is in no block")
        return block


def _heads(block: Block, body: bytes) -> list[bytes]:
    """The hash before its first event, and that of each. Raises LogCorruptError."""
    try:
        return [block.head_before, *chain.hashes(body, block.head_before)]
    except MalformedInputError as error:
        raise LogCorruptError(f"block {block.no}: {error}") from error


def _holding(proof: _Proof, reader: LogReader) -> _Proof:
    """The proof, checked as its reader will: a log that was changed gives none."""
    finding = check(proof)
    if not finding.holds:
        raise LogCorruptError(f"the log does not prove this: {finding.reason}")
    if any(seal.log != reader.log_id for seal in finding.seals):
        raise LogCorruptError("the log does not prove this: the seal is of another log")
    return proof


def _hex(path: list[bytes]) -> tuple[str, ...]:
    return tuple(each.hex() for each in path)

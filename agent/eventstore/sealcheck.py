"""Do the seals of a log hold? What docs/formats/seal.md, "Verifying seals", asks for.

The checker is fed with blocks that hold, in their order, and reads the seals one at a time.
"""

from collections.abc import Sequence
from hashlib import sha3_512
from typing import Final, Protocol

from agent.errors import LogCorruptError, MalformedInputError
from agent.events import Event, LogChecked, LogSealed
from agent.eventstore import note
from agent.eventstore.note import Note
from agent.eventstore.reader import LogReader, Seal
from agent.eventstore.signature import signed_by
from agent.eventstore.tree import NODE_BYTES, TILE, Tree
from agent.eventstore.walk import Walked

_TOO_MANY: Final = 1 << 63


class BadSealError(LogCorruptError):
    """seq: the first event that is not, or not any more, under a seal that holds."""

    def __init__(self, seq: int, message: str) -> None:
        super().__init__(message)
        self.seq = seq


class OwnersKeys(Protocol):
    """The keys of the seals, in their owner's hands.

    firsts: numbers of the seals whose key does not follow from the one before
    """

    @property
    def firsts(self) -> Sequence[int]: ...

    def mac(self, no: int, message: bytes) -> bytes:
        """As the device made it, 64 bytes. Raises SealError for a number without a key."""


class SealChecker:
    """
    seals:  how many hold so far
    sealed: the last event under them, 0 while there is none
    device: public key that made them; None while there is none and none was expected
    tree:   over the events so far
    """

    def __init__(
        self, reader: LogReader, *, device: bytes | None = None, keys: OwnersKeys | None = None
    ) -> None:
        """The seals there are now will be checked; those made during the walk are left alone.

        device: the public key that is expected. Raises BadSealError where the first seal is none.
        """
        self.seals = self.sealed = 0
        self.device = device
        self.tree = Tree()
        self._reader = reader
        self._keys = keys
        last = reader.last_seal()
        self._last = 0 if last is None else last.no
        self._prev = note.FIRST
        self._boot, self._counter = 1, -1
        self._declared = False
        self._due = self._next()

    def take(self, walked: Walked) -> None:
        """A block that holds, and every seal that ends with it. Raises BadSealError, SealError."""
        for seq, event in walked.told:
            self._told(seq, event)
        block, boot = walked.block, None if walked.boots is None else walked.boots[1]
        self._grow(walked)
        while self._due is not None and self._due[1].size <= self.tree.size:
            self._check(*self._due, block.head_after, boot)
            self._due = self._next()

    def finish(self) -> None:
        """The walk came to the end of the log. Raises BadSealError."""
        if self._due is not None:
            seal, due = self._due
            size = self.tree.size
            raise BadSealError(
                size + 1, f"seal {seal.no} is over {due.size} events; the log has {size}"
            )
        if not self._last:
            self._check_tiles()

    def _told(self, seq: int, event: Event) -> None:
        """What an event of the block says, before the block's own seal is looked at."""
        if isinstance(event, LogChecked):
            self._declared |= event.verdict in {"tail-lost", "key-lost"}
        if isinstance(event, LogSealed):
            self._names(seq, event)

    def _names(self, seq: int, event: LogSealed) -> None:
        seal = None
        if 0 < event.no <= self.seals or self._last < event.no < _TOO_MANY:  # or made as we walk
            seal = next(self._reader.seals(event.no), None)
        if seal is None or seal.no != event.no:
            raise BadSealError(seq, f"event {seq} tells of seal {event.no}, which is not before it")
        if sha3_512(seal.note).digest() != event.digest:
            raise BadSealError(seq, f"event {seq} tells of another seal {event.no}")

    def _grow(self, walked: Walked) -> None:
        block = walked.block
        try:
            self.tree.add_nodes(walked.nodes, block.n)
        except MalformedInputError as error:
            raise BadSealError(block.first_seq, f"block {block.no}: {error}") from error
        ends_with_leaf = self.tree.size % 2 or block.n == 1
        if ends_with_leaf and walked.nodes[-NODE_BYTES:] != block.head_after:
            last = block.first_seq + block.n - 1
            raise BadSealError(last, f"block {block.no}: its last node is not its last hash")

    def _next(self) -> tuple[Seal, Note] | None:
        """The seal that is due, as far as it can be read before its last event is reached."""
        if self.seals == self._last:
            return None
        no = self.seals + 1
        seal = next(self._reader.seals(no) if self.seals else self._reader.seals(), None)
        if seal is None or seal.no != no:
            raise self._bad(no, "is missing")
        try:
            due = note.decode(seal.note)
        except MalformedInputError as error:
            raise self._bad(no, f"is none: {error}") from error
        self._check_order(no, due)
        return seal, due

    def _check_order(self, no: int, due: Note) -> None:
        """Whether the note is of this log and follows the one before."""
        if due.log != self._reader.log_id:
            raise self._bad(no, f"is of log {due.log.hex()}")
        if due.no != no:
            raise self._bad(no, f"says it is seal {due.no}")
        if due.prev != self._prev:
            raise self._bad(no, "does not follow the one before")
        if due.size < self.sealed or due.boot < self._boot:
            raise self._bad(no, f"is over {due.size} events of boot {due.boot}, less than before")
        if due.counter is not None and due.counter <= self._counter:
            raise self._bad(no, f"has counter {due.counter} after {self._counter}")

    def _check(self, seal: Seal, due: Note, head: bytes, boot: int | None) -> None:
        self._check_place(due, head, boot)
        self.device = self.device or due.device
        if due.device != self.device:
            raise self._bad(seal.no, "is of another device")
        if not signed_by(self.device, note.to_sign(seal.note), seal.signature):
            raise self._bad(seal.no, "has a signature that is not its device's")
        if self._keys is not None:
            self._check_mac(seal, self._keys)
        self.seals, self.sealed = seal.no, due.size
        self._prev, self._boot = sha3_512(seal.note).digest(), due.boot
        self._counter = self._counter if due.counter is None else due.counter
        self._declared = False
        if self.seals == self._last:
            self._check_tiles()

    def _check_place(self, due: Note, head: bytes, boot: int | None) -> None:
        """Whether the note says what is true of the events so far."""
        no, size = self.seals + 1, self.tree.size
        if due.size != size:
            raise self._bad(no, f"ends at event {due.size}, within a block")
        if due.head != head:
            raise self._bad(no, f"has not the hash of event {size}")
        if due.root != self.tree.root():
            raise self._bad(no, f"has not the root of its {size} events")
        if boot is not None and due.boot > boot:
            raise self._bad(no, f"is of boot {due.boot}, its last event of boot {boot}")

    def _check_mac(self, seal: Seal, keys: OwnersKeys) -> None:
        if keys.mac(seal.no, note.to_mac(seal.note)) != seal.mac:
            raise self._bad(seal.no, "has a MAC that is not that of its number")
        if seal.no > 1 and seal.no in keys.firsts and not self._declared:
            raise self._bad(seal.no, "has a key begun anew, and no event says why")

    def _check_tiles(self) -> None:
        """At the last seal: there is each tile within it, and no other."""
        due = self.sealed // TILE
        stored = list(self._reader.tiles())
        last = self._reader.last_seal()
        if last is not None and last.no > self._last:  # made while we walk
            stored = stored[:due]
        if not due and not stored:
            return
        try:
            whole = [no for no, _ in stored] == list(range(due))
            if whole and self.tree.has_tiles(digest for _, digest in stored[:due]):
                return
        except MalformedInputError:
            pass  # a tile that is no hash
        there = dict(stored)
        wrong = next((no for no, digest in self.tree.tiles if there.get(no) != digest), due)
        raise BadSealError(wrong * TILE + 1, f"tile {wrong} is not that of its events")

    def _bad(self, no: int, what: str) -> BadSealError:
        return BadSealError(self.sealed + 1, f"seal {no} {what}")

"""Seals, made of what was read back from the disk. Form: docs/formats/seal.md.

What the writer believes to have written is worth nothing here: everything since the last seal is
read again on a connection of its own and hashed again, and has to end where the writer stands.
"""

from hashlib import sha3_512
from pathlib import Path
from typing import Literal, NamedTuple, Protocol

from agent.clock import Clock
from agent.errors import LogCorruptError, MalformedInputError
from agent.events import LogSealed
from agent.eventstore import chain, floor, note
from agent.eventstore.ending import sealed_end
from agent.eventstore.floor import Floor
from agent.eventstore.log import Head
from agent.eventstore.note import Note
from agent.eventstore.reader import Block, LogReader, Seal
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.tree import NODE_BYTES, TILE, Tree, cover


class SealKeys(Protocol):
    """What seals are made with. The keys themselves stay out of this room.

    public: of the device key, 65 bytes, uncompressed; custody: where that key lies
    """

    @property
    def public(self) -> bytes: ...

    @property
    def custody(self) -> Literal["file", "pkcs11", "tpm"]: ...

    def sign(self, message: bytes) -> bytes:
        """ECDSA P-256 over SHA-256: r and s, 64 bytes, s low. Raises SealError."""

    def mac(self, no: int, message: bytes) -> bytes:
        """HMAC-SHA3-512 under the key of seal `no`, 64 bytes. Raises SealError."""

    def rise(self) -> int | None:
        """Raises the counter beside the device key; what it is then. None where there is none.

        Raises SealError.
        """

    def advance(self, no: int) -> None:
        """Seal `no` is on disk; its key is forgotten. Raises SealError."""


class Firmware(NamedTuple):
    """version: of the agent; image: SHA3-256 over its files."""

    version: str
    image: bytes


class Sealer:
    """Seals one log, from the last seal on. For one thread at a time.

    seals: number of the last seal, 0 for none
    """

    def __init__(
        self,
        log: SqliteLog,
        events_db: Path,
        *,
        keys: SealKeys,
        firmware: Firmware,
        clock: Clock,
        floor_file: Path,
    ) -> None:
        """Raises LogCorruptError when the last seal does not hold, StoreError."""
        self._log = log
        self._path = events_db
        self._keys = keys
        self._firmware = firmware
        self._clock = clock
        self._floor = floor_file
        with LogReader.open(events_db) as reader:
            last = sealed_end(reader)
            self._tree, self._head = resume(reader, last)
        self.seals = 0 if last is None else last.no
        self._prev = note.FIRST if last is None else sha3_512(note.encode(last)).digest()

    def seal(self) -> LogSealed | None:
        """Makes a seal over all that is on disk, if anything came: the event that tells of it.

        Raises LogCorruptError when the disk does not hold what was written, StoreError, SealError.
        """
        end = self._log.head()
        with LogReader.open(self._path) as reader:
            if not self._anything(reader, end):
                return None
            self._walk(reader, end)
            seal = self._made()
            self._log.seal(seal, self._tree.tiles)
            if reader.last_seal() != seal:
                raise LogCorruptError(f"seal {seal.no} is not on disk as it was made")
        self._tree.tiles.clear()
        self.seals, self._prev = seal.no, sha3_512(seal.note).digest()
        self._keys.advance(seal.no)
        self.lay_floor(end)
        return LogSealed(seal.no, self._prev)

    def lay_floor(self, end: Head) -> None:
        """end: an event that is on disk. Raises StoreError."""
        floor.write(self._floor, Floor(self._log.log_id, self.seals, end))

    def _anything(self, reader: LogReader, end: Head) -> bool:
        """Whether more came than the event that tells of the last seal."""
        came = end.seq - self._tree.size
        if came == 1:
            return next(reader.read(self._tree.size)).kind != LogSealed.kind
        return came > 1

    def _walk(self, reader: LogReader, end: Head) -> None:
        """The tree and the head over everything up to `end`, from the bytes on disk."""
        for block in reader.blocks(reader.block_with(self._tree.size + 1)):
            if block.head_before != self._head or block.first_seq != self._tree.size + 1:
                raise LogCorruptError(f"block {block.no} does not follow what was sealed")
            for leaf in _leaves(block):
                self._tree.append(leaf)
            self._head = block.head_after
            if self._tree.size >= end.seq:
                break
        if Head(self._tree.size, self._head) != end:
            raise LogCorruptError(f"the log on disk is not the one written up to event {end.seq}")

    def _made(self) -> Seal:
        clock, keys = self._clock, self._keys
        data = note.encode(
            Note(
                log=self._log.log_id,
                no=self.seals + 1,
                size=self._tree.size,
                head=self._head,
                root=self._tree.root(),
                prev=self._prev,
                boot=self._log.boot,
                t=clock.now_ns(),
                clock=clock.quality,
                firmware=self._firmware.version,
                image=self._firmware.image,
                counter=keys.rise(),
                custody=keys.custody,
                device=keys.public,
            )
        )
        no = self.seals + 1
        return Seal(no, data, keys.mac(no, note.to_mac(data)), keys.sign(note.to_sign(data)))


def resume(reader: LogReader, last: Note | None) -> tuple[Tree, bytes]:
    """Tree and head of what the last seal covers, by its tiles and the leaves behind them.

    Raises LogCorruptError when that is not the tree that was sealed.
    """
    if last is None:
        return Tree(), chain.genesis(reader.log_id, reader.note)
    try:
        tree = Tree.from_tiles(tile for _, tile in reader.tiles())
        if tree.size == last.size - last.size % TILE:
            _add_rest(tree, reader, last.size)
    except MalformedInputError as error:
        raise LogCorruptError(f"seal {last.no} over {last.size} events: {error}") from error
    if tree.size != last.size or tree.root() != last.root:
        raise LogCorruptError(f"seal {last.no}: tiles and events do not give its root")
    return tree, last.head


def _add_rest(tree: Tree, reader: LogReader, size: int) -> None:
    for block in reader.blocks(reader.block_with(tree.size + 1)):
        if tree.size >= size:
            break
        if block.nodes is not None:
            _add_nodes(tree, block, block.nodes)
            continue
        for leaf in _leaves(block)[tree.size + 1 - block.first_seq :]:
            tree.append(leaf)


def _add_nodes(tree: Tree, block: Block, nodes: bytes) -> None:
    """Those of a pruned block that the tiles do not hold: none of them crosses the last tile."""
    start = block.first_seq - 1
    covered = sum(first < tree.size for first, _ in cover(start, block.n))
    tree.add_nodes(nodes[NODE_BYTES * covered :], start + block.n - tree.size)


def _leaves(block: Block) -> list[bytes]:
    """h(i) of its events, from the bytes on disk. Raises LogCorruptError."""
    try:
        found = chain.hashes(block.body or b"", block.head_before)
    except MalformedInputError as error:
        raise LogCorruptError(f"block {block.no}: {error}") from error
    if len(found) != block.n or found[-1] != block.head_after:
        raise LogCorruptError(f"block {block.no} is not as it was written")
    return found

"""The Merkle tree over the chain hashes, as docs/formats/seal.md lays it down. No I/O.

    node(left, right) = SHA3-512(0x01 | left | right)
    root(one leaf)    = the leaf

Its shape, its inclusion and its consistency proofs are those of RFC 9162, sections 2.1.1, 2.1.3 and
2.1.4. A leaf is h(i) of chain.py at index i - 1; a subtree is named by the index of its first leaf
and its height, and is complete: 2**height leaves from a multiple of 2**height on.
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha3_512
from typing import Final, Self

from agent.errors import MalformedInputError

NODE_BYTES: Final = 64
TILE_HEIGHT: Final = 8
TILE: Final = 1 << TILE_HEIGHT
"""Leaves of a tile, the complete subtree whose hash is kept in the table `tile`."""
MAX_PATH: Final = 64
"""Nodes of a proof."""

Subtree = Callable[[int, int], bytes]
"""What a prover needs: (first index, height) of a complete subtree -> its hash."""


def node(left: bytes, right: bytes) -> bytes:
    return sha3_512(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows at its right edge and remembers nothing else.

    size:  leaves so far
    edge:  hashes of the complete subtrees that make the tree, left to right
    tiles: (number, hash) of each tile since the start or since the caller emptied the list; those
           inside a node of add_nodes that is higher than a tile cannot be known and are not here
    """

    def __init__(self) -> None:
        self.size = 0
        self.tiles: list[tuple[int, bytes]] = []
        self.edge: list[bytes] = []

    @classmethod
    def from_tiles(cls, tiles: Iterable[bytes]) -> Self:
        """The tree of these first tiles; its own list begins behind them.

        Raises MalformedInputError for a tile that is no hash.
        """
        tree = cls()
        for tile in tiles:
            if len(tile) != NODE_BYTES:
                raise MalformedInputError(f"tile of {len(tile)} bytes; it has {NODE_BYTES}")
            tree._add(tile, TILE_HEIGHT)
        tree.tiles.clear()
        return tree

    def append(self, leaf: bytes) -> None:
        left = self.size + 1
        if not left % TILE:
            self._add(leaf, 0)
            return
        self.size, edge = left, self.edge
        while not left & 1:  # as in _add, spelled out, since it is done for every event
            leaf = sha3_512(b"\x01" + edge.pop() + leaf).digest()
            left >>= 1
        edge.append(leaf)

    def add_nodes(self, nodes: bytes, n: int) -> None:
        """So many leaves more, of which there is what `nodes_of` gave.

        Raises MalformedInputError.
        """
        parts = cover(self.size, n)
        if len(nodes) != len(parts) * NODE_BYTES:
            raise MalformedInputError(
                f"{len(nodes)} bytes of nodes for {n} events; {len(parts) * NODE_BYTES} are due"
            )
        for at, (_, height) in enumerate(parts):
            self._add(nodes[at * NODE_BYTES : (at + 1) * NODE_BYTES], height)

    def root(self) -> bytes:
        """Of the leaves so far. A tree without leaves has none: ValueError."""
        return _joined(self.edge)

    def has_tiles(self, tiles: Iterable[bytes]) -> bool:
        """Whether these are the hashes of all tiles of this tree. Raises as from_tiles does."""
        other = self.from_tiles(tiles)
        begins = self.edge[: len(other.edge)] == other.edge
        return begins and other.size == self.size - self.size % TILE

    def _add(self, subtree: bytes, height: int) -> None:
        """A complete subtree at the right edge; it has a place there by its height."""
        start = self.size
        self.size += 1 << height
        if height == TILE_HEIGHT:
            self.tiles.append((start >> TILE_HEIGHT, subtree))
        while start >> height & 1:
            subtree = node(self.edge.pop(), subtree)
            height += 1
            if height == TILE_HEIGHT:
                self.tiles.append((start >> TILE_HEIGHT, subtree))
        self.edge.append(subtree)


def cover(first_index: int, n: int) -> list[tuple[int, int]]:
    """The largest complete subtrees over n leaves, left to right, as (first index, height)."""
    found = []
    end = first_index + n
    while first_index < end:
        height = (end - first_index).bit_length() - 1
        if first_index:
            height = min(height, (first_index & -first_index).bit_length() - 1)
        found.append((first_index, height))
        first_index += 1 << height
    return found


def nodes_of(first_index: int, leaves: Sequence[bytes]) -> bytes:
    """What is left of a pruned block: the hashes of the subtrees that `cover` its leaves."""
    parts = []
    for start, height in cover(first_index, len(leaves)):
        at = start - first_index
        level = list(leaves[at : at + (1 << height)])
        while len(level) > 1:
            level = [node(*pair) for pair in zip(level[::2], level[1::2], strict=True)]
        parts += level
    return b"".join(parts)


def inclusion(index: int, size: int, subtree: Subtree) -> list[bytes]:
    """The path of a leaf in the tree of `size` leaves, from the leaf upwards."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} of a tree with {size}")
    path = []
    start, end = 0, size
    while end - start > 1:
        middle = _middle(start, end)
        if index < middle:
            path.append(_span(middle, end, subtree))
            end = middle
        else:
            path.append(_span(start, middle, subtree))
            start = middle
    return path[::-1]


def consistency(first: int, second: int, subtree: Subtree) -> list[bytes]:
    """The path that shows the tree of `first` leaves to be the beginning of that of `second`."""
    if not 0 < first <= second:
        raise ValueError(f"a tree of {first} leaves does not begin one of {second}")
    path = []
    start, end = 0, second
    while end != first:
        middle = _middle(start, end)
        if first <= middle:
            path.append(_span(middle, end, subtree))
            end = middle
        else:
            path.append(_span(start, middle, subtree))
            start = middle
    if start:  # else it is the first tree itself, whose root the checker has
        path.append(_span(start, end, subtree))
    return path[::-1]


def check_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """RFC 9162, section 2.1.3.2. Any numbers and bytes may come; what does not lead there is no."""
    if not (0 <= index < size and _are_nodes((leaf, root, *path))):
        return False
    at, last = index, size - 1
    for sibling in path:
        if not last:
            return False
        if at & 1 or at == last:
            leaf = node(sibling, leaf)
            at, last = _past_missing(at, last)
        else:
            leaf = node(leaf, sibling)
        at, last = at >> 1, last >> 1
    return not last and leaf == root


def check_consistency(
    first: int, second: int, path: Sequence[bytes], first_root: bytes, second_root: bytes
) -> bool:
    """RFC 9162, section 2.1.4.2. Any numbers and bytes may come; what does not lead there is no."""
    if not (0 < first <= second and _are_nodes((first_root, second_root, *path))):
        return False
    if first == second:
        return not path and first_root == second_root
    steps = list(path) if first & (first - 1) else [first_root, *path]
    if not steps:
        return False
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = steps[0]
    for sibling in steps[1:]:
        if not last:
            return False
        if at & 1 or at == last:
            old, new = node(sibling, old), node(sibling, new)
            at, last = _past_missing(at, last)
        else:
            new = node(new, sibling)
        at, last = at >> 1, last >> 1
    return not last and old == first_root and new == second_root


def _past_missing(at: int, last: int) -> tuple[int, int]:
    """At the right edge: up to the level where the subtree has a sibling again."""
    while at and not at & 1:
        at, last = at >> 1, last >> 1
    return at, last


def _are_nodes(hashes: Sequence[bytes]) -> bool:
    return len(hashes) <= MAX_PATH + 2 and all(len(each) == NODE_BYTES for each in hashes)


def _middle(start: int, end: int) -> int:
    """Where the tree over these leaves is split: at the largest power of two below their number."""
    return start + (1 << (end - start - 1).bit_length() - 1)


def _span(start: int, end: int, subtree: Subtree) -> bytes:
    """Root of the tree over the leaves from start to before end."""
    return _joined([subtree(*part) for part in cover(start, end - start)])


def _joined(subtrees: Sequence[bytes]) -> bytes:
    """Root over complete subtrees that grow smaller to the right."""
    if not subtrees:
        raise ValueError("a tree without leaves has no root")
    *others, root = subtrees
    for left in reversed(others):
        root = node(left, root)
    return root

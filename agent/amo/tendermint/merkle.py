"""The Merkle tree of Tendermint 0.33: SHA-256, leaves and nodes told apart by a first byte.

A list is split at the largest power of two below its length; an empty list has an empty root.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Proof:
    """One leaf is in the list with that root. aunts: sibling hashes from the leaf upwards."""

    total: int
    index: int
    leaf_hash: bytes
    aunts: tuple[bytes, ...]

    def root(self) -> bytes:
        """The root this proof leads to; empty when the number of aunts does not fit."""
        return _climb(self.index, self.total, self.leaf_hash, self.aunts)


def leaf_hash(item: bytes) -> bytes:
    return sha256(b"\x00" + item).digest()


def root(items: Sequence[bytes]) -> bytes:
    return _root([leaf_hash(item) for item in items])


def proof(items: Sequence[bytes], index: int) -> Proof:
    leaves = [leaf_hash(item) for item in items]
    return Proof(len(items), index, leaves[index], tuple(_aunts(leaves, index)))


def _root(leaves: Sequence[bytes]) -> bytes:
    if len(leaves) <= 1:
        return leaves[0] if leaves else b""
    split = _split(len(leaves))
    return _inner(_root(leaves[:split]), _root(leaves[split:]))


def _aunts(leaves: Sequence[bytes], index: int) -> list[bytes]:
    if len(leaves) <= 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*_aunts(leaves[:split], index), _root(leaves[split:])]
    return [*_aunts(leaves[split:], index - split), _root(leaves[:split])]


def _climb(index: int, total: int, leaf: bytes, aunts: Sequence[bytes]) -> bytes:
    if not 0 <= index < total:
        return b""
    if total == 1:
        return b"" if aunts else leaf
    if not aunts:
        return b""
    split = _split(total)
    if index < split:
        left = _climb(index, split, leaf, aunts[:-1])
        return _inner(left, aunts[-1]) if left else b""
    right = _climb(index - split, total - split, leaf, aunts[:-1])
    return _inner(aunts[-1], right) if right else b""


def _inner(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(length: int) -> int:
    return 1 << ((length - 1).bit_length() - 1)

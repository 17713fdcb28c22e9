"""The state tree: a balanced, versioned, hashed map (IAVL 0.13), whose root is the app hash.

Nodes never change: a write makes new nodes from the leaf to the root, so an older root still
shows the older state. The hash depends on the order of the writes, not on the contents alone;
it is that of the reference, with its quirk that writing an equal value counts as a change.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Final

from agent.amo.tendermint.amino import sized, zigzag


class Leaf:
    """version: that of the tree when this was written."""

    __slots__ = ("_hash", "key", "value", "version")
    height: Final = 0
    size: Final = 1

    def __init__(self, key: bytes, value: bytes, version: int) -> None:
        self.key = key
        self.value = value
        self.version = version
        self._hash = b""

    def hash(self) -> bytes:
        if not self._hash:
            digest = sha256(self.value).digest()
            body = zigzag(0) + zigzag(1) + zigzag(self.version) + sized(self.key) + sized(digest)
            self._hash = sha256(body).digest()
        return self._hash


class Inner:
    """key: the least key of the right side; size: leaves below."""

    __slots__ = ("_hash", "height", "key", "left", "right", "size", "version")

    def __init__(self, key: bytes, left: "Node", right: "Node", version: int) -> None:
        self.key = key
        self.left = left
        self.right = right
        self.version = version
        self.height: int = 1 + max(left.height, right.height)
        self.size: int = left.size + right.size
        self._hash = b""

    @property
    def lean(self) -> int:
        """Positive when the left side is the higher one."""
        return self.left.height - self.right.height

    def hash(self) -> bytes:
        if not self._hash:
            numbers = zigzag(self.height) + zigzag(self.size) + zigzag(self.version)
            children = sized(self.left.hash()) + sized(self.right.hash())
            self._hash = sha256(numbers + children).digest()
        return self._hash


Node = Leaf | Inner


class Tree:
    """A map from bytes to bytes in key order. `save` ends a version and names its root."""

    def __init__(self, root: Node | None = None, version: int = 0) -> None:
        self._root = root
        self._version = version

    def get(self, key: bytes) -> bytes | None:
        node = self._root
        while isinstance(node, Inner):
            node = node.left if key < node.key else node.right
        return node.value if node is not None and node.key == key else None

    def set(self, key: bytes, value: bytes) -> None:
        leaf = Leaf(key, value, self._version + 1)
        self._root = leaf if self._root is None else self._put(self._root, leaf)

    def remove(self, key: bytes) -> None:
        """Does nothing, not even to the hash, when the key is not there."""
        if self._root is not None and self.get(key) is not None:
            self._root, _ = self._without(self._root, key)

    def items(self, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key begins so, in key order, as they are now."""
        return _walk(self._root, prefix)

    def save(self) -> bytes:
        """The root hash (empty for an empty tree); later writes belong to the next version."""
        self._version += 1
        return self._root.hash() if self._root is not None else b""

    def snapshot(self) -> "Tree":
        """The state as it is now, whatever is written here afterwards."""
        return Tree(self._root, self._version)

    def _put(self, node: Node, leaf: Leaf) -> Node:
        if isinstance(node, Inner):
            if leaf.key < node.key:
                return self._join(node.key, self._put(node.left, leaf), node.right)
            return self._join(node.key, node.left, self._put(node.right, leaf))
        if leaf.key == node.key:
            return leaf
        left, right = sorted((node, leaf), key=lambda each: each.key)
        return Inner(right.key, left, right, leaf.version)

    def _without(self, node: Node, key: bytes) -> tuple[Node | None, bytes | None]:
        """What is left of the node, and its new least key where that changed."""
        if isinstance(node, Leaf):
            return None, None
        if key < node.key:
            left, least = self._without(node.left, key)
            if left is None:
                return node.right, node.key
            return self._join(node.key, left, node.right), least
        right, least = self._without(node.right, key)
        if right is None:
            return node.left, None
        return self._join(least or node.key, node.left, right), None

    def _join(self, key: bytes, left: Node, right: Node) -> Node:
        """The new node over both sides, rotated where one is higher by more than one."""
        node = self._inner(key, left, right)
        if node.lean > 1 and isinstance(left, Inner):
            return self._turn_right(node, left if left.lean >= 0 else self._turn_left(left))
        if node.lean < -1 and isinstance(right, Inner):
            return self._turn_left(node, right if right.lean <= 0 else self._turn_right(right))
        return node

    def _turn_right(self, node: Inner, left: Node | None = None) -> Inner:
        top = node.left if left is None else left
        assert isinstance(top, Inner)
        return self._inner(top.key, top.left, self._inner(node.key, top.right, node.right))

    def _turn_left(self, node: Inner, right: Node | None = None) -> Inner:
        top = node.right if right is None else right
        assert isinstance(top, Inner)
        return self._inner(top.key, self._inner(node.key, node.left, top.left), top.right)

    def _inner(self, key: bytes, left: Node, right: Node) -> Inner:
        return Inner(key, left, right, self._version + 1)


def _walk(node: Node | None, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
    if node is None:
        return
    if isinstance(node, Leaf):
        if node.key.startswith(prefix):
            yield node.key, node.value
        return
    if prefix < node.key:
        yield from _walk(node.left, prefix)
    if node.key[: len(prefix)] <= prefix:
        yield from _walk(node.right, prefix)

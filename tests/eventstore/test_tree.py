"""The tree against its definition, written down naively here, for every size up to 300."""

import random
from collections.abc import Callable, Sequence
from hashlib import sha3_512

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.eventstore.tree import (
    MAX_PATH,
    NODE_BYTES,
    TILE,
    Tree,
    check_consistency,
    check_inclusion,
    consistency,
    cover,
    inclusion,
    nodes_of,
)

SIZES = range(1, 301)


def leaf(index: int) -> bytes:
    return sha3_512(b"leaf %d" % index).digest()


LEAVES = [leaf(index) for index in range(1200)]


def pair(left: bytes, right: bytes) -> bytes:
    return sha3_512(b"\x01" + left + right).digest()


def half(n: int) -> int:
    """The largest power of two below n."""
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def naive(leaves: Sequence[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, over leaves that are hashes already."""
    if len(leaves) == 1:
        return leaves[0]
    k = half(len(leaves))
    return pair(naive(leaves[:k]), naive(leaves[k:]))


def naive_path(index: int, leaves: Sequence[bytes]) -> list[bytes]:
    """RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    k = half(len(leaves))
    if index < k:
        return [*naive_path(index, leaves[:k]), naive(leaves[k:])]
    return [*naive_path(index - k, leaves[k:]), naive(leaves[:k])]


def naive_subproof(first: int, leaves: Sequence[bytes], *, whole: bool) -> list[bytes]:
    """RFC 9162, section 2.1.4.1."""
    if first == len(leaves):
        return [] if whole else [naive(leaves)]
    k = half(len(leaves))
    if first <= k:
        return [*naive_subproof(first, leaves[:k], whole=whole), naive(leaves[k:])]
    return [*naive_subproof(first - k, leaves[k:], whole=False), naive(leaves[:k])]


ROOTS = [b"", *(naive(LEAVES[:size]) for size in SIZES)]


def subtree(start: int, height: int) -> bytes:
    assert start % (1 << height) == 0, "a prover asks for complete subtrees alone"
    return naive(LEAVES[start : start + (1 << height)])


def grown(leaves: Sequence[bytes]) -> Tree:
    tree = Tree()
    for each in leaves:
        tree.append(each)
    return tree


def test_rt_26_root_of_every_size_up_to_300_is_that_of_the_rfc_without_doubling() -> None:
    tree = Tree()
    for size in SIZES:
        tree.append(LEAVES[size - 1])
        assert (tree.size, tree.root()) == (size, ROOTS[size])
        assert tree.root() != naive([*LEAVES[:size], LEAVES[size - 1]])  # CVE-2012-2459
    assert len(set(ROOTS)) == len(ROOTS)


def test_tree_without_leaves_has_no_root() -> None:
    with pytest.raises(ValueError, match="no root"):
        Tree().root()


def test_tree_of_seven_is_shaped_as_in_the_rfc() -> None:
    """RFC 9162, section 2.1.5: a to j are hashes of leaves or nodes, d1 … d6 leaves."""
    a, b, c, d, e, f, j = LEAVES[:7]
    g, h, i = pair(a, b), pair(c, d), pair(e, f)
    k = pair(g, h)
    root = pair(k, pair(i, j))
    assert grown(LEAVES[:7]).root() == root

    assert inclusion(0, 7, subtree) == [b, h, pair(i, j)]
    assert inclusion(3, 7, subtree) == [c, g, pair(i, j)]
    assert inclusion(4, 7, subtree) == [f, j, k]
    assert inclusion(6, 7, subtree) == [i, k]

    assert consistency(3, 7, subtree) == [c, d, g, pair(i, j)]
    assert consistency(4, 7, subtree) == [pair(i, j)]
    assert consistency(6, 7, subtree) == [i, j, k]


def test_every_inclusion_path_up_to_size_64_is_that_of_the_rfc_and_holds() -> None:
    for size in range(1, 65):
        for index in range(size):
            path = inclusion(index, size, subtree)
            assert path == naive_path(index, LEAVES[:size])
            assert check_inclusion(LEAVES[index], index, size, path, ROOTS[size])


def test_inclusion_holds_at_both_edges_and_the_middle_of_every_size_up_to_300() -> None:
    for size in SIZES:
        for index in {0, size // 2, size - 1}:
            path = inclusion(index, size, subtree)
            assert check_inclusion(LEAVES[index], index, size, path, ROOTS[size])


def test_every_consistency_path_up_to_size_64_is_that_of_the_rfc_and_holds() -> None:
    for second in range(1, 65):
        for first in range(1, second + 1):
            path = consistency(first, second, subtree)
            assert path == naive_subproof(first, LEAVES[:second], whole=True)
            assert check_consistency(first, second, path, ROOTS[first], ROOTS[second])


def test_consistency_holds_between_every_size_up_to_300_and_its_neighbours() -> None:
    for second in SIZES:
        for first in {1, second // 2 or 1, max(1, second - 1), second}:
            path = consistency(first, second, subtree)
            assert check_consistency(first, second, path, ROOTS[first], ROOTS[second])


sizes = st.integers(1, 2**62)


def shallow(start: int, height: int) -> bytes:
    """Stands for subtrees nobody can compute: any leaf will do where its place alone counts."""
    return sha3_512(b"%d %d" % (start, height)).digest()


@given(sizes, st.data())
def test_paths_of_trees_of_any_size_are_short_and_ask_for_complete_subtrees(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    asked: list[tuple[int, int]] = []

    def counting(start: int, height: int) -> bytes:
        assert start % (1 << height) == 0
        assert start + (1 << height) <= size
        asked.append((start, height))
        return shallow(start, height)

    assert len(inclusion(index, size, counting)) <= MAX_PATH
    assert len(asked) <= 2 * MAX_PATH
    assert len(consistency(index + 1, size, counting)) <= MAX_PATH


@given(st.integers(1, 1200), st.data())
def test_larger_trees_hold_their_leaves_and_their_beginnings(
    size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = grown(LEAVES[:size]).root()
    path = inclusion(index, size, subtree)
    assert check_inclusion(LEAVES[index], index, size, path, root)
    steps = consistency(index + 1, size, subtree)
    assert check_consistency(index + 1, size, steps, grown(LEAVES[: index + 1]).root(), root)


@given(st.integers(1, 1200), st.data())
def test_rt_24_changed_path_of_inclusion_is_refused(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root = grown(LEAVES[:size]).root()
    path = inclusion(index, size, subtree)
    extra = data.draw(st.sampled_from([leaf(0), bytes(NODE_BYTES), root]))
    at = data.draw(st.integers(0, len(path)))
    wrong: list[tuple[bytes, int, int, list[bytes], bytes]] = [
        (LEAVES[index], size, size, path, root),
        (LEAVES[index], -1, size, path, root),
        (LEAVES[index], index + 2**70, size, path, root),
        (LEAVES[index], index, 0, path, root),
        (LEAVES[index], index, -size, path, root),
        (LEAVES[index], index, size, [*path[:at], extra, *path[at:]], root),
        (leaf(9999), index, size, path, root),
        (LEAVES[index][:-1], index, size, path, root),
        (LEAVES[index], index, size, path, leaf(9999)),
        (LEAVES[index], index, size, path, root[:-1]),
        (LEAVES[index], index, size, [*path, *[extra] * MAX_PATH], root),
    ]
    if path:
        at = data.draw(st.integers(0, len(path) - 1))
        tail = path[at + 1 :]
        wrong += [
            (LEAVES[index], index, size, [], root),
            (LEAVES[index], index, size, path[:at] + tail, root),
            (LEAVES[index], index, size, [*path[:at], path[at][:63], *tail], root),
            (LEAVES[index], index, size, [*path[:at], path[at] + b"\0", *tail], root),
            (LEAVES[index], index, size, [*path[:at], leaf(9999), *tail], root),
        ]
    for case in wrong:
        assert not check_inclusion(*case), case


def test_rt_24_no_path_holds_for_another_index_or_size() -> None:
    for size in range(2, 33):
        for index in range(size):
            path = inclusion(index, size, subtree)
            for other in range(size):
                held = check_inclusion(LEAVES[index], other, size, path, ROOTS[size])
                assert held == (other == index)


def test_rt_27_consistency_of_nothing_backwards_or_of_two_roots_of_one_size_is_refused() -> None:
    for second in range(1, 65):
        for first in range(1, second + 1):
            path = consistency(first, second, subtree)
            one, two = ROOTS[first], ROOTS[second]
            assert not check_consistency(0, second, path, one, two)
            assert not check_consistency(0, second, path, b"", two)
            assert not check_consistency(-first, second, path, one, two)
            assert not check_consistency(first, second, path, leaf(9999), two)
            assert not check_consistency(first, second, path, one, leaf(9999))
            assert not check_consistency(first, second, [*path, leaf(1)], one, two)
            if path:
                assert not check_consistency(first, second, path[:-1], one, two)
                assert not check_consistency(first, second, path[1:], one, two)
                assert not check_consistency(second, first, path, two, one)
                assert not check_consistency(first, second, [], one, two)
    assert not check_consistency(5, 5, [], ROOTS[5], ROOTS[6])
    assert not check_consistency(5, 5, [leaf(1)], ROOTS[5], ROOTS[5])
    assert not check_consistency(0, 0, [], ROOTS[1], ROOTS[1])


def test_rt_27_no_beginning_but_the_true_one_is_consistent() -> None:
    forged = grown([leaf(9999), *LEAVES[1:20]])
    for first in range(1, 20):
        other = grown([leaf(9999), *LEAVES[1:first]]).root()
        path = consistency(first, 20, subtree)
        assert not check_consistency(first, 20, path, other, ROOTS[20])
        assert not check_consistency(first, 20, path, ROOTS[first], forged.root())


def test_rt_25_an_inner_node_is_no_leaf_of_its_tree() -> None:
    """Not at the size that was signed; and who checks a proof makes the leaf from the event."""
    inner = pair(LEAVES[0], LEAVES[1])
    assert not check_inclusion(inner, 0, 4, [pair(LEAVES[2], LEAVES[3])], ROOTS[4])
    assert check_inclusion(inner, 0, 2, [pair(LEAVES[2], LEAVES[3])], ROOTS[4])  # size is signed


@pytest.mark.parametrize("index", [-1, 7, 2**64])
def test_prover_refuses_a_leaf_there_is_not(index: int) -> None:
    with pytest.raises(ValueError, match="of a tree with 7"):
        inclusion(index, 7, subtree)


@pytest.mark.parametrize(("first", "second"), [(0, 7), (8, 7), (-1, 7)])
def test_prover_refuses_a_beginning_there_is_not(first: int, second: int) -> None:
    with pytest.raises(ValueError, match="does not begin"):
        consistency(first, second, subtree)


@given(st.integers(0, 2**63), st.integers(0, 2**63))
def test_cover_is_complete_aligned_and_as_large_as_can_be(first: int, n: int) -> None:
    at = first
    parts = cover(first, n)
    for start, height in parts:
        assert start == at
        assert start % (1 << height) == 0
        at += 1 << height
        parent = start >> height + 1 << height + 1
        assert parent < first or parent + (2 << height) > first + n
    assert at == first + n
    assert len(parts) <= 2 * 64


@given(st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=6))
def test_pruned_blocks_leave_the_same_root_and_tiles_as_their_leaves(
    blocks: list[tuple[int, bool]],
) -> None:
    whole, pruned = Tree(), Tree()
    at = 0
    for n, is_pruned in blocks:
        leaves = [leaf(index) for index in range(at, at + n)]
        for each in leaves:
            whole.append(each)
        if is_pruned:
            pruned.add_nodes(nodes_of(at, leaves), n)
        else:
            for each in leaves:
                pruned.append(each)
        at += n
    assert (pruned.size, pruned.root()) == (whole.size, whole.root())
    assert pruned.tiles == whole.tiles  # no block of 400 covers a subtree above a tile


def test_tiles_are_listed_when_their_last_leaf_comes() -> None:
    tree = Tree()
    for index in range(3 * TILE + 17):
        tree.append(leaf(index))
        assert len(tree.tiles) == tree.size // TILE
    assert tree.tiles == [
        (no, naive([leaf(i) for i in range(no * TILE, (no + 1) * TILE)])) for no in range(3)
    ]


def test_tiles_inside_one_higher_node_are_not_known_and_the_next_is() -> None:
    tree = Tree()
    tree.add_nodes(nodes_of(0, LEAVES[:512]), 512)
    assert tree.tiles == []
    for each in LEAVES[512:768]:
        tree.append(each)
    assert tree.tiles == [(2, naive(LEAVES[512:768]))]
    assert tree.has_tiles([naive(LEAVES[at : at + TILE]) for at in (0, 256, 512)])


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 511, 512, 767, 768, 1024, 1199])
def test_tree_goes_on_from_its_tiles_and_the_leaves_behind_them(size: int) -> None:
    whole = grown(LEAVES[:size])
    again = Tree.from_tiles(digest for _, digest in whole.tiles)
    assert again.tiles == []
    for each in LEAVES[again.size : size]:
        again.append(each)
    for each in LEAVES[size:]:
        again.append(each)
        whole.append(each)
    assert (again.size, again.root()) == (whole.size, whole.root())
    assert again.tiles == whole.tiles[size // TILE :]


@pytest.mark.parametrize("size", [0, 255, 256, 600, 1024, 1199])
def test_wrong_missing_or_additional_tiles_are_told_from_the_right_ones(size: int) -> None:
    tree = grown(LEAVES[:size])
    right = [digest for _, digest in tree.tiles]
    assert tree.has_tiles(right)
    assert not tree.has_tiles([*right, leaf(1)])
    for at in range(len(right)):
        assert not tree.has_tiles(right[:at] + right[at + 1 :])
        assert not tree.has_tiles([*right[:at], leaf(1), *right[at + 1 :]])
    with pytest.raises(MalformedInputError, match="63 bytes"):
        tree.has_tiles([leaf(1)[:63], leaf(1) + b"\0"])


@pytest.mark.parametrize("change", [lambda n: n[:-1], lambda n: n + b"\0" * 64, lambda _: b""])
def test_nodes_of_another_number_are_malformed(change: Callable[[bytes], bytes]) -> None:
    tree = grown(LEAVES[:3])
    before = tree.root()
    with pytest.raises(MalformedInputError, match="are due"):
        tree.add_nodes(change(nodes_of(3, LEAVES[3:10])), 7)
    assert (tree.size, tree.root()) == (3, before)


def test_any_numbers_and_bytes_get_an_answer() -> None:
    chosen = random.Random(5)
    for _ in range(2000):
        path = [
            chosen.randbytes(chosen.choice([0, 63, 64, 64, 64, 65]))
            for _ in range(chosen.randrange(70))
        ]
        first, second = (chosen.choice([0, 1, 2**64, chosen.getrandbits(70)]) for _ in range(2))
        root = chosen.randbytes(64)
        assert not check_inclusion(leaf(0), first, second, path, root)
        assert not check_consistency(first, second, path, leaf(0), root)


def test_rt_24_path_that_goes_on_above_the_root_is_refused_whatever_the_root() -> None:
    """Who makes up a root, too, gets no further than his numbers: the size says where to stop."""
    extra = leaf(9999)
    assert not check_inclusion(LEAVES[0], 0, 1, [extra], pair(extra, LEAVES[0]))
    for first, second in [(3, 5), (5, 7), (6, 11)]:
        path = consistency(first, second, subtree)
        roots = pair(extra, ROOTS[first]), pair(extra, ROOTS[second])
        assert not check_consistency(first, second, [*path, extra], *roots)


def test_rt_27_path_that_stops_below_the_root_is_refused_whatever_the_root() -> None:
    for first, size, claimed in [(3, 4, 5), (3, 4, 300), (5, 8, 9), (6, 7, 9)]:
        path = consistency(first, size, subtree)
        assert check_consistency(first, size, path, ROOTS[first], ROOTS[size])
        assert not check_consistency(first, claimed, path, ROOTS[first], ROOTS[size])


def test_rt_33_bytes_do_not_move_from_one_node_to_its_sibling() -> None:
    """63 and 65 bytes hash like 64 and 64."""
    one, other = LEAVES[0][:63], LEAVES[0][63:] + LEAVES[1]
    assert pair(one, other) == ROOTS[2]
    assert not check_inclusion(one, 0, 2, [other], ROOTS[2])
    assert not check_consistency(1, 2, [other], one, ROOTS[2])


def test_rt_34_path_of_more_than_64_nodes_is_refused_whatever_the_size() -> None:
    path, roots = [leaf(1)] * (MAX_PATH + 1), [leaf(0)]
    for sibling in path:
        roots.append(pair(roots[-1], sibling))
    assert check_inclusion(leaf(0), 0, 2**MAX_PATH, path[:-1], roots[-2])
    assert not check_inclusion(leaf(0), 0, 2 ** (MAX_PATH + 1), path, roots[-1])
    assert check_consistency(1, 2**MAX_PATH, path[:-1], leaf(0), roots[-2])
    assert not check_consistency(1, 2 ** (MAX_PATH + 1), path, leaf(0), roots[-1])

"""Which bodies may go: each rule alone is enough to keep one."""

from hashlib import sha3_512

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import SECOND, ClockQuality
from agent.errors import MalformedInputError
from agent.events import BodiesPruned, LogSealed, ParcelRegistered, RangeHeld
from agent.eventstore import chain
from agent.eventstore.holds import Hold, held
from agent.eventstore.log import Draft
from agent.eventstore.reader import Block
from agent.eventstore.retention import Fate, Going, Ranges, digest_over, fate
from agent.eventstore.tree import nodes_of
from agent.eventstore.walk import walk
from agent.privacy import Level
from agent.upload import NOT_IN_PARCELS
from tests.eventstore.stocked import NOW_NS, facts

DAY_NS = 86_400 * SECOND


def event(kind: str = "dtc-set/1", level: Level = Level.LV3, age_ns: int = DAY_NS) -> Draft:
    return Draft(kind, level, NOW_NS - age_ns, 0, ClockQuality.GNSS, b"x")


def block(*events: Draft, no: int = 4, first: int = 11) -> Block:
    before = bytes(64)
    body, after = chain.pack(chain.encode_all(events, first, 1), before)
    return Block(no, first, len(events), before, after, body)


PAIR = block(event(), event("position-fixed/1", Level.LV2))


def test_body_of_which_everything_lies_elsewhere_goes() -> None:
    assert fate(PAIR, facts(nowhere=NOT_IN_PARCELS)) == "goes"


@pytest.mark.parametrize("sealed", [0, 10, 11])
def test_body_that_no_seal_covers_whole_waits(sealed: int) -> None:
    assert fate(PAIR, facts(sealed=sealed)) == "waits"
    assert fate(PAIR, facts(sealed=12)) == "goes"


@pytest.mark.parametrize(
    "stored",
    [
        {},
        {Level.LV3: Ranges([(1, 99)])},
        {Level.LV3: Ranges([(1, 99)]), Level.LV2: Ranges([(1, 11), (13, 99)])},
        {Level.LV3: Ranges([(12, 99)]), Level.LV2: Ranges([(12, 99)])},
        {Level.LV1: Ranges([(1, 99)]), Level.LV4: Ranges([(1, 99)])},
    ],
)
def test_rt_86_each_event_has_to_lie_in_a_parcel_of_its_own_level(
    stored: dict[Level, Ranges],
) -> None:
    assert fate(PAIR, facts(stored=stored)) == "waits"


def test_each_level_of_a_block_may_lie_in_another_parcel() -> None:
    stored = {Level.LV3: Ranges([(11, 11)]), Level.LV2: Ranges([(12, 12)])}
    assert fate(PAIR, facts(stored=stored)) == "goes"


@pytest.mark.parametrize(("first", "last"), [(1, 11), (12, 12), (12, 99), (1, 99)])
def test_rt_70_body_of_which_an_event_is_held_waits(first: int, last: int) -> None:
    holds = [Hold(200, first, last, "crash")]
    assert fate(PAIR, facts(held=lambda a, b: held(holds, a, b) is not None)) == "waits"


@pytest.mark.parametrize("kind", [ParcelRegistered.kind, BodiesPruned.kind, RangeHeld.kind])
def test_body_with_an_event_that_goes_into_no_parcel_stays(kind: str) -> None:
    assert fate(block(event(), event(kind)), facts(nowhere=NOT_IN_PARCELS)) == "stays"


def test_what_tells_of_a_seal_keeps_no_body() -> None:
    told = block(event(), event(LogSealed.kind))
    stored = {Level.LV3: Ranges([(11, 11)])}
    assert fate(told, facts(nowhere=NOT_IN_PARCELS, stored=stored)) == "goes"


@pytest.mark.parametrize(
    ("ages", "found"),
    [
        ((3 * DAY_NS, 3 * DAY_NS), "goes"),
        ((3 * DAY_NS, 2 * DAY_NS), "goes"),
        ((3 * DAY_NS, 2 * DAY_NS - 1), "young"),
        ((3 * DAY_NS, 0), "young"),
        ((3 * DAY_NS, -1), "waits"),
    ],
)
def test_youngest_event_decides(ages: tuple[int, int], found: Fate) -> None:
    two = block(*(event(age_ns=age) for age in ages))
    assert fate(two, facts(keep_ns=2 * DAY_NS)) == found


def test_age_counts_for_nothing_where_the_disk_is_too_full() -> None:
    assert fate(block(event(age_ns=0), event(age_ns=-DAY_NS)), facts(keep_ns=0)) == "goes"


def test_body_that_cannot_be_read_is_told_of() -> None:
    cut = Block(4, 11, 2, bytes(64), bytes(64), (PAIR.body or b"")[:-70])
    with pytest.raises(MalformedInputError):
        fate(cut, facts())


def test_what_is_told_of_blocks_that_go_is_as_seal_md_says() -> None:
    one, two = block(event(), event(), event()), block(event(), no=5, first=14)
    going = Going.of([walk(one), walk(two)])

    said = b""
    for found in (one, two):
        leaves = chain.hashes(found.body or b"", found.head_before)
        numbers = found.no.to_bytes(8) + found.first_seq.to_bytes(8) + found.n.to_bytes(4)
        said += numbers + found.head_before + found.head_after
        said += nodes_of(found.first_seq - 1, leaves)
    assert going.event == BodiesPruned(4, 5, sha3_512(said).digest())
    assert set(going.nodes) == {4, 5}
    assert all(len(nodes) % 64 == 0 for nodes in going.nodes.values())


def test_digest_is_the_same_once_the_bodies_are_gone() -> None:
    before = [walk(block(event(), event(), event()))]
    nodes = Going.of(before).nodes
    gone = Block(4, 11, 3, bytes(64), before[0].head, None, nodes[4])
    assert digest_over([walk(gone)]) == digest_over(before)


def test_body_that_is_not_as_its_block_says_never_goes() -> None:
    changed = Block(4, 11, 2, bytes(64), b"?" * 64, PAIR.body)
    with pytest.raises(MalformedInputError, match="block 4"):
        Going.of([walk(changed)])


@given(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 9))), st.integers(0, 80))
def test_ranges_hold_what_one_of_them_holds(pairs: list[tuple[int, int]], seq: int) -> None:
    ranges = [(first, first + more) for first, more in pairs]
    assert (seq in Ranges(ranges)) == any(first <= seq <= last for first, last in ranges)
    assert Ranges(ranges).last == max((last for _, last in ranges), default=0)


def test_nothing_goes_behind_the_last_seal_or_the_last_parcel() -> None:
    stored = {Level.LV3: Ranges([(1, 50)]), Level.LV2: Ranges([(1, 70)])}
    assert facts(sealed=60, stored=stored).reach == 60
    assert facts(sealed=90, stored=stored).reach == 70

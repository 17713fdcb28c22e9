"""Ranges that must be kept: known from the log alone, until they are released."""

import pytest

from agent.clock import ClockQuality
from agent.errors import MalformedInputError
from agent.events import DtcSet, Event, RangeHeld, RangeReleased, encode
from agent.eventstore.holds import REASONS, Hold, held, take
from agent.eventstore.log import Recorded

HOLDS = [Hold(30, 10, 20, "crash"), Hold(40, 35, 35, "claim")]


def recorded(seq: int, event: Event) -> Recorded:
    return Recorded(seq, event.kind, event.level, 0, 0, 1, ClockQuality.FREE, encode(event))


def folded(*events: Event) -> dict[int, Hold]:
    holds: dict[int, Hold] = {}
    for seq, event in enumerate(events, 1):
        take(holds, recorded(seq, event))
    return holds


@pytest.mark.parametrize(("first", "last"), [(1, 10), (20, 25), (12, 13), (1, 100), (10, 20)])
def test_a_range_that_shares_an_event_with_a_hold_is_held(first: int, last: int) -> None:
    assert held(HOLDS, first, last) == HOLDS[0]


@pytest.mark.parametrize(("first", "last"), [(1, 9), (21, 34), (36, 100)])
def test_a_range_beside_every_hold_is_free(first: int, last: int) -> None:
    assert held(HOLDS, first, last) is None


def test_a_hold_has_the_number_of_its_event() -> None:
    assert folded(DtcSet("P0301", "7E8"), RangeHeld(1, 1, "crash")) == {2: Hold(2, 1, 1, "crash")}


def test_a_released_hold_holds_no_more_and_the_others_do() -> None:
    left = folded(RangeHeld(1, 5, "crash"), RangeHeld(3, 9, "order"), RangeReleased(1))
    assert left == {2: Hold(2, 3, 9, "order")}


def test_releasing_what_is_not_held_changes_nothing() -> None:
    assert folded(RangeHeld(1, 5, "crash"), RangeReleased(77)) == {1: Hold(1, 1, 5, "crash")}


def test_a_hold_that_cannot_be_read_is_not_passed_over() -> None:
    event = Recorded(1, RangeHeld.kind, RangeHeld.level, 0, 0, 1, ClockQuality.FREE, b"\xc1")
    with pytest.raises(MalformedInputError, match=RangeHeld.kind):
        take({}, event)


def test_a_hold_names_itself_and_why() -> None:
    assert str(HOLDS[0]) == "hold 30 (crash, events 10 to 20)"
    assert HOLDS[0].reason in REASONS

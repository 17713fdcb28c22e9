"""The owner's holds: a time becomes a range of the log, which is kept until it is released."""

import pytest

from agent.archive import Archive
from agent.clock import SECOND, ManualClock
from agent.errors import UsageError
from agent.events import DtcSet, RangeHeld, RangeReleased
from agent.hold import Holder
from tests.conftest import START_NS
from tests.opened import opened, recorded


def nobody(_done: int, _total: int) -> None:
    """Watches the progress."""


@pytest.fixture
def holder(parts: Archive, clock: ManualClock) -> Holder:
    """Over a log with an event at each of the seconds 1 to 5."""
    for number in range(1, 6):
        clock.advance(SECOND)
        parts.journal.write(DtcSet(f"P000{number}", "7E8"))
    parts.writer.flush()
    return Holder(parts.log, parts.journal)


def at(second: int) -> int:
    return START_NS + second * SECOND


def test_a_time_becomes_the_range_of_its_events(parts: Archive, holder: Holder) -> None:
    places = [event.seq for event in recorded(parts, DtcSet)]

    hold = holder.hold(at(2), at(4), "crash", nobody)

    assert (hold.first_seq, hold.last_seq) == (places[1], places[3])
    assert RangeHeld(hold.first_seq, hold.last_seq, "crash") in opened(parts)


def test_a_clock_that_stepped_back_makes_the_range_longer_never_shorter(
    parts: Archive, clock: ManualClock, holder: Holder
) -> None:
    clock.step(at(2))
    parts.journal.write(DtcSet("P0009", "7E8"))
    last = recorded(parts, DtcSet)[-1].seq
    assert holder.hold(at(2), at(2), "claim", nobody).last_seq == last


def test_a_time_without_an_event_cannot_be_held(holder: Holder) -> None:
    with pytest.raises(UsageError, match="no event"):
        holder.hold(at(100), at(200), "crash", nobody)


def test_a_released_hold_is_told_and_is_gone(parts: Archive, holder: Holder) -> None:
    hold = holder.hold(at(1), at(1), "order", nobody)
    assert holder.release(hold.no) == hold
    assert RangeReleased(hold.no) in opened(parts)
    with pytest.raises(UsageError, match="there are none"):
        holder.release(hold.no)


def test_releasing_another_number_names_the_holds_there_are(holder: Holder) -> None:
    hold = holder.hold(at(1), at(1), "order", nobody)
    with pytest.raises(UsageError, match=f"no hold 1: hold {hold.no} .order"):
        holder.release(1)


def test_holds_do_not_disturb_each_other(holder: Holder) -> None:
    first = holder.hold(at(1), at(2), "order", nobody)
    second = holder.hold(at(2), at(3), "crash", nobody)
    assert first.no < second.no
    assert holder.release(first.no) == first
    assert holder.release(second.no) == second

from agent.clock import MS, SECOND
from agent.eventstore.pending import Pending
from tests.eventstore.conftest import draft


def test_block_is_due_with_its_hundredth_event() -> None:
    pending = Pending()
    due = [pending.add(draft(i), urgent=False, mono_ns=0) for i in range(100)]
    assert due == [False] * 99 + [True]


def test_block_is_due_one_second_after_its_first_event() -> None:
    pending = Pending()
    pending.add(draft(), urgent=False, mono_ns=5 * SECOND)
    assert not pending.add(draft(), urgent=False, mono_ns=6 * SECOND - MS)
    assert pending.due(6 * SECOND)


def test_urgent_event_is_due_at_once_with_what_came_before_it() -> None:
    pending = Pending()
    pending.add(draft(1), urgent=False, mono_ns=0)
    assert pending.add(draft(2), urgent=True, mono_ns=0)
    assert pending.take() == [draft(1), draft(2)]


def test_block_stays_due_until_it_is_taken() -> None:
    pending = Pending()
    pending.add(draft(1), urgent=True, mono_ns=0)
    assert pending.add(draft(2), urgent=False, mono_ns=0)
    pending.take()
    assert not pending.due(0)


def test_age_of_the_next_block_counts_from_its_own_first_event() -> None:
    pending = Pending()
    pending.add(draft(1), urgent=False, mono_ns=0)
    pending.take()
    assert not pending.add(draft(2), urgent=False, mono_ns=10 * SECOND)


def test_nothing_pending_is_never_due() -> None:
    assert not Pending().due(10**18)
    assert Pending().take() == []

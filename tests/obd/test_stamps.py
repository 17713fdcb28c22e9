"""Odd times are counted; they change neither the order of frames nor their number."""

from agent.clock import MS, SECOND
from agent.obd.stamps import Stamps


def looked(*at_ms: int) -> Stamps:
    stamps = Stamps()
    for ms in at_ms:
        stamps.look(ms * MS)
    return stamps


def test_steady_times_have_nothing_odd() -> None:
    stamps = looked(*range(5, 20_000, 7))
    assert (stamps.back, stamps.gaps, stamps.whole) == (0, 0, False)


def test_times_that_go_back_are_counted_with_the_largest_step() -> None:
    stamps = looked(1500, 1499, 1500, 500, 600)
    assert (stamps.back, stamps.back_ns) == (2, SECOND)


def test_equal_times_do_not_go_back() -> None:
    assert looked(1500, 1500, 1500).back == 0


def test_gap_of_a_minute_is_counted_and_one_of_ten_seconds_is_not() -> None:
    stamps = looked(1500, 11_500, 71_500)
    assert (stamps.gaps, stamps.gap_ns) == (1, 60 * SECOND)


def test_first_time_is_neither_a_gap_nor_a_step_back() -> None:
    stamps = looked(1_600_000_000_000)
    assert (stamps.back, stamps.gaps) == (0, 0)


def test_whole_seconds_are_noticed() -> None:
    assert looked(1000, 1000, 2000).whole
    assert not looked(1000, 1001, 2000).whole

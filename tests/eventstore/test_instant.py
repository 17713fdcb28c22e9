from agent.clock import ClockQuality
from agent.eventstore.instant import last_at
from agent.eventstore.log import Recorded
from agent.privacy import Level


def log(*boots: list[int]) -> list[Recorded]:
    """Events of several starts of the agent, by their times."""
    times = [(boot, t_ns) for boot, times in enumerate(boots, 1) for t_ns in times]
    return [
        Recorded(seq, "x/1", Level.LV3, t_ns, 0, boot, ClockQuality.FREE, b"")
        for seq, (boot, t_ns) in enumerate(times, 1)
    ]


def test_last_event_at_the_time_or_before_it_is_found() -> None:
    events = log([10, 20, 30])
    assert [last_at(events, t) for t in (9, 10, 15, 20, 30, 99)] == [0, 1, 1, 2, 3, 3]


def test_time_between_two_starts_is_the_end_of_the_first() -> None:
    events = log([10, 20], [50, 60])
    assert [last_at(events, t) for t in (20, 35, 49, 50, 60, 61)] == [2, 2, 2, 3, 4, 4]


def test_start_with_a_clock_that_was_set_later_is_placed_by_its_end() -> None:
    events = log([100, 110], [0, 1, 120, 130])  # the second one began in 1970
    assert last_at(events, 105) == 1
    assert last_at(events, 125) == 5
    assert last_at(events, 115) == 4  # in 1970 by its clock, yet after the start before it


def test_rt_57_start_whose_clock_was_never_set_is_where_its_number_puts_it() -> None:
    events = log([100, 110], [0, 1], [120, 130])
    assert [last_at(events, t) for t in (0, 105, 110, 120)] == [0, 1, 2, 5]
    assert last_at(events, 119) == 4


def test_step_back_within_a_start_ends_at_the_last_event_of_that_time() -> None:
    assert last_at(log([10, 40, 20, 30, 50]), 30) == 4


def test_empty_log_has_no_event_at_any_time() -> None:
    assert last_at([], 5) == 0

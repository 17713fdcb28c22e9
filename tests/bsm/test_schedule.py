import pytest

from agent.bsm.schedule import Schedule
from agent.clock import MS, ManualClock
from tests.bsm.drive import NOON


def aligned(now_ns: int = NOON + 37 * MS, mono_ns: int = 5 * MS) -> Schedule:
    schedule = Schedule()
    schedule.align(now_ns, mono_ns)
    return schedule


def test_the_first_tick_is_on_the_next_full_100_ms_of_utc() -> None:
    schedule = aligned()
    assert schedule.due_ns == 68 * MS
    assert schedule.tick(68 * MS).t_ns == NOON + 100 * MS


def test_ticks_follow_each_other_without_drift() -> None:
    schedule = aligned()
    seen = [schedule.tick(schedule.due_ns + 3 * MS).t_ns for _ in range(50)]
    assert seen == [NOON + 100 * MS * n for n in range(1, 51)]


def test_a_late_tick_is_counted_with_its_lateness() -> None:
    schedule = aligned()
    tick = schedule.tick(schedule.due_ns + 40 * MS)
    assert (tick.lateness_ns, tick.skipped) == (40 * MS, 0)
    assert (schedule.late, schedule.skipped, schedule.worst_ns) == (1, 0, 40 * MS)


def test_missed_intervals_are_skipped_and_counted() -> None:
    schedule = aligned()
    due_ns = schedule.due_ns

    tick = schedule.tick(due_ns + 350 * MS)

    assert (tick.skipped, tick.t_ns, tick.mono_ns) == (3, NOON + 400 * MS, due_ns + 300 * MS)
    assert schedule.due_ns == due_ns + 400 * MS
    assert schedule.skipped == 3


def test_the_worst_lateness_is_kept() -> None:
    schedule = aligned()
    for late in (1, 30, 2):
        schedule.tick(schedule.due_ns + late * MS)
    assert schedule.worst_ns == 30 * MS


def test_a_clock_that_was_set_moves_the_grid() -> None:
    schedule = aligned()
    schedule.align(NOON + 1_000_000_020 * MS, 500 * MS)
    assert schedule.tick(schedule.due_ns).t_ns == NOON + 1_000_000_100 * MS


def test_an_interval_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="0 ms"):
        Schedule(0)


async def test_a_loop_round_it_ticks_ten_times_a_second() -> None:
    clock = ManualClock(NOON + 1)
    schedule = Schedule()
    schedule.align(clock.now_ns(), clock.mono_ns())

    instants = []
    for _ in range(10):
        await clock.sleep_until(schedule.due_ns)
        instants.append(schedule.tick(clock.mono_ns()).t_ns)

    assert instants == [NOON + 100 * MS * n for n in range(1, 11)]
    assert clock.now_ns() == NOON + 1000 * MS

import itertools
from collections.abc import Callable

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


def followed(arrivals_ms: Callable[[int], int], ticks: int, *, every: int = 1) -> list[int]:
    """UTC ms of ticks while fix n arrives so many ms after the epoch 100 n ms."""
    schedule = aligned(NOON, 0)
    instants = []
    for number in range(ticks):
        instants.append((schedule.tick(schedule.due_ns).t_ns - NOON) // MS)
        if number % every == 0:
            epoch_ms = instants[-1] // 100 * 100
            schedule.follow(NOON + (epoch_ms + arrivals_ms(number)) * MS)
    return instants


@pytest.mark.parametrize("arrival_ms", [0, 20, 60, 85, 130])
def test_ticks_come_a_little_after_the_fixes_from_the_first_on(arrival_ms: int) -> None:
    instants = followed(lambda _: arrival_ms, 20)
    assert {instant % 100 for instant in instants[1:]} == {(arrival_ms + 10) % 100}


@pytest.mark.parametrize("every", [1, 10])
def test_ticks_follow_a_receiver_that_changes_its_pace(every: int) -> None:
    instants = followed(lambda number: 60 if number < 100 else 85, 1000, every=every)
    assert instants[-1] % 100 == pytest.approx(95, abs=1)


def test_two_ticks_stay_100_ms_apart_within_5_ms_while_they_move() -> None:
    instants = followed(lambda number: 60 if number < 100 else 15, 300)[1:]
    steps = [after - before for before, after in itertools.pairwise(instants)]
    assert 94 <= min(steps) < 100  # whole ms: rounded down
    assert max(steps) <= 106


def test_an_uneven_receiver_moves_a_tick_by_a_part_of_its_unevenness() -> None:
    schedule = aligned(NOON, 0)
    schedule.follow(NOON + 90 * MS)
    before = schedule.due_ns
    schedule.follow(NOON + 98 * MS)
    schedule.follow(NOON + 98 * MS)
    assert schedule.due_ns - before == MS


def test_without_a_fix_the_ticks_stay_where_they_are() -> None:
    schedule = aligned(NOON, 0)
    schedule.follow(None)
    assert schedule.due_ns == 100 * MS

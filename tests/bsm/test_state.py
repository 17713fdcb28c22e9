import math

import pytest

from agent.bsm.state import LATENCIES, NAMES, VehicleState
from agent.clock import MS, SECOND
from agent.privacy import LEVELS
from tests.bsm.drive import NOON, fix, signal


def newest(state: VehicleState, name: str, ms: int) -> tuple[str, float | None]:
    origin, track = state.track(name, NOON + ms * MS)
    return origin, track[-1][1] if track else None


def test_every_name_is_one_of_the_signal_list() -> None:
    assert set(NAMES) <= set(LEVELS)


def test_a_name_no_message_needs_leaves_no_trace() -> None:
    state = VehicleState()
    for number in range(1000):
        state.update(signal(f"can.Message.{number}", 1.0, number))
    assert set(state._tracks) == set(NAMES)


def test_the_freshest_of_two_buses_wins() -> None:
    state = VehicleState()
    state.update(signal("yaw.rate", 0.1, 0, "can0"))
    state.update(signal("yaw.rate", 0.2, 5, "can1"))
    assert newest(state, "yaw.rate", 10) == ("can1", 0.2)


def test_no_message_is_made_of_a_name_that_is_doubted_and_it_is_still_told() -> None:
    state = VehicleState()
    state.update(signal("yaw.rate", 0.1, 0, "can0"))
    state.doubted = frozenset(["yaw.rate"])
    assert newest(state, "yaw.rate", 10) == ("", None)
    assert state.told("yaw.rate", NOON)[1][-1][1] == 0.1


@pytest.mark.parametrize(("ms", "origin"), [(499, "can0"), (500, "obd")])
def test_obd_speed_counts_once_the_bus_was_silent_for_half_a_second(ms: int, origin: str) -> None:
    state = VehicleState()
    state.update(signal("speed.vehicle", 20.02, 0, "can0"))
    state.update(signal("speed.vehicle", 20.0, ms, "obd"))
    assert newest(state, "speed.vehicle", ms)[0] == origin


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_sample_that_is_no_number_is_counted_and_refused(value: float) -> None:
    state = VehicleState()
    state.update(signal("yaw.rate", value, 0))
    assert newest(state, "yaw.rate", 0) == ("", None)
    assert state.refused == 1


def test_a_sample_that_comes_late_is_counted_and_refused() -> None:
    state = VehicleState()
    state.update(signal("yaw.rate", 0.2, 10))
    state.update(signal("yaw.rate", 0.1, 0))
    assert newest(state, "yaw.rate", 10) == ("can0", 0.2)
    assert state.refused == 1


def test_a_clock_set_back_starts_a_new_track() -> None:
    state = VehicleState()
    state.update(signal("yaw.rate", 0.2, 5_000))
    state.update(signal("yaw.rate", 0.1, 0))
    assert list(state.track("yaw.rate", NOON)[1]) == [(NOON, 0.1)]


def test_history_stays_bounded_and_reaches_half_a_second_back() -> None:
    state = VehicleState()
    for ms in range(10_000):
        state.update(signal("yaw.rate", 0.0, ms))
    _, track = state.track("yaw.rate", NOON + 10_000 * MS)
    assert len(track) == 512
    assert track[-1][0] == NOON + 9_999 * MS
    assert track[-1][0] - track[0][0] >= 500 * MS


def test_a_fix_older_than_the_last_is_refused() -> None:
    state = VehicleState()
    state.fix(fix(200))
    state.fix(fix(100))
    assert state.position == fix(200)
    assert state.refused == 1


def test_a_fix_counts_from_its_epoch_where_the_clock_is_right() -> None:
    state = VehicleState()
    state.fix(fix(0, late_ns=150 * MS))
    assert state.shift_ns == 0


def test_a_fix_counts_from_its_arrival_where_the_clock_is_years_off() -> None:
    state = VehicleState()
    state.fix(fix(0, late_ns=-100_000_000 * SECOND))
    assert state.shift_ns == -100_000_000 * SECOND


def test_the_heading_of_a_reversing_car_points_against_its_course() -> None:
    state = VehicleState()
    state.update(signal("gear", 3.0, 0))
    state.fix(fix(0, speed=3.0, course=90.0))
    assert state.heading.deg == 270.0


@pytest.mark.parametrize(("origin", "ms"), [("can0", 10), ("vcan1", 10), ("obd", 50)])
def test_samples_count_from_when_they_were_true(origin: str, ms: int) -> None:
    state = VehicleState(LATENCIES)
    state.update(signal("yaw.rate", 0.1, 100, origin))
    assert list(state.track("yaw.rate", NOON)[1]) == [(NOON + (100 - ms) * MS, 0.1)]


def test_a_wrong_clock_is_tied_to_the_epochs_by_the_soonest_fix() -> None:
    state = VehicleState({"gnss": 60 * MS})
    for ms, late_ms in ((0, 190), (100, 60), (200, 150)):
        state.fix(fix(ms, late_ns=-500 * SECOND + late_ms * MS))
    assert state.shift_ns == pytest.approx(-500 * SECOND, abs=MS)


def test_a_clock_that_is_set_right_meanwhile_is_believed() -> None:
    state = VehicleState()
    state.fix(fix(0, late_ns=-500 * SECOND))
    state.fix(fix(100, late_ns=60 * MS))
    assert state.shift_ns == 0


def test_a_change_of_a_light_is_remembered_with_its_time() -> None:
    state = VehicleState()
    state.update(signal("lights.fog", 0.0, 0))
    assert state.changed_ns("lights.fog") is None
    state.update(signal("lights.fog", 1.0, 30))
    assert state.changed_ns("lights.fog") == NOON + 30 * MS

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm.align import instant, speed_at, switch_at, value_at
from agent.bsm.geodesy import distance_m
from agent.bsm.identity import Stamp
from agent.bsm.message import (
    ALL_WHEELS,
    Applied,
    BasicSafetyMessage,
    Control,
    Surroundings,
    Transmission,
    Wiper,
)
from agent.bsm.snapshot import sec_mark_ms, snapshot, surroundings_at
from agent.bsm.state import VehicleState
from agent.clock import MS, SECOND
from tests.bsm.drive import LATITUDE, LONGITUDE, NOON, SIZE, fix, signal

HOLD = 150 * MS


def taken(state: VehicleState, ms: int, events: frozenset[str] = frozenset()) -> BasicSafetyMessage:
    stamp = Stamp(b"\1\2\3\4", 7)
    return snapshot(state, NOON + ms * MS, stamp=stamp, size=SIZE, events=events)


def driving(*signals: tuple[str, float, int]) -> VehicleState:
    """A fix at noon and the samples given."""
    state = VehicleState()
    for name, value, ms in signals:
        state.update(signal(name, value, ms))
    state.fix(fix(0))
    return state


def test_a_value_between_two_samples_is_interpolated() -> None:
    assert value_at([(0, 1.0), (100 * MS, 2.0)], 25 * MS, HOLD) == 1.25


def test_a_value_after_the_last_sample_is_held_for_its_limit() -> None:
    assert value_at([(0, 1.0)], HOLD, HOLD) == 1.0
    assert value_at([(0, 1.0)], HOLD + 1, HOLD) is None


def test_a_value_before_the_first_sample_is_held_for_its_limit() -> None:
    assert value_at([(HOLD, 1.0)], 0, HOLD) == 1.0
    assert value_at([(HOLD + 1, 1.0)], 0, HOLD) is None


def test_a_gap_is_not_bridged() -> None:
    track = [(0, 1.0), (SECOND, 2.0)]
    assert value_at(track, 500 * MS, HOLD) is None
    assert value_at(track, 900 * MS, HOLD) == 2.0
    assert value_at(track, 100 * MS, HOLD) == 1.0


def test_no_samples_give_no_value() -> None:
    assert value_at([], 0, HOLD) is None
    assert switch_at([], 0) is None


@settings(deadline=None, max_examples=60)
@given(
    samples=st.lists(st.tuples(st.integers(0, 10**9), st.floats(-50, 50)), max_size=20),
    t_ns=st.integers(-(10**9), 2 * 10**9),
)
def test_a_value_never_leaves_the_range_of_its_samples(
    samples: list[tuple[int, float]], t_ns: int
) -> None:
    track = sorted(dict(samples).items())
    value = value_at(track, t_ns, HOLD)
    if value is not None:
        values = [sample[1] for sample in track]
        assert min(values) - 1e-9 <= value <= max(values) + 1e-9


def test_a_switch_is_held_for_a_second() -> None:
    assert switch_at([(0, 1.0)], SECOND) is True
    assert switch_at([(0, 0.0)], SECOND) is False
    assert switch_at([(0, 1.0)], SECOND + 1) is None


def test_a_switch_is_as_it_was_then_not_as_it_is_now() -> None:
    assert switch_at([(0, 0.0), (100 * MS, 1.0)], 99 * MS) is False


def test_the_newest_fix_is_the_instant_while_it_is_fresh() -> None:
    assert instant(NOON, NOON + 149 * MS) == NOON
    assert instant(NOON, NOON + 150 * MS) == NOON + 100 * MS
    assert instant(None, NOON + 7) == NOON + 7


def test_a_slow_receiver_is_followed_on_the_grid_of_its_epochs() -> None:
    last = None
    instants = []
    for due in range(80, 980, 100):
        last = instant(NOON, NOON + due * MS, last)
        instants.append((last - NOON) // MS)
    assert instants == list(range(0, 900, 100))


def test_a_clock_that_was_set_back_does_not_stop_the_instants() -> None:
    assert instant(NOON, NOON + 80 * MS, NOON + 3600 * SECOND) == NOON


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.tuples(st.integers(95, 205), st.none() | st.integers(-20, 700)), max_size=60)
)
def test_instants_rise_and_never_lie_ahead_whatever_the_receiver_does(
    steps: list[tuple[int, int | None]],
) -> None:
    due, epoch, last = NOON, None, None
    for step_ms, late_ms in steps:
        due += step_ms * MS
        epoch = epoch if late_ms is None else max(epoch or 0, due - late_ms * MS)
        now = instant(epoch, due, last)
        assert now <= due
        assert last is None or now > last
        last = now


def test_at_its_epoch_a_position_is_that_of_the_fix() -> None:
    message = taken(driving(), 0)
    assert (message.latitude_deg, message.longitude_deg) == (LATITUDE, LONGITUDE)
    assert (message.elevation_m, message.heading_deg) == (74.5, 90.0)
    assert (message.semi_major_m, message.semi_minor_m, message.orientation_deg) == (1.5, 1.0, 45.0)


def test_a_position_is_carried_on_along_the_heading() -> None:
    message = taken(driving(), 400)
    assert message.latitude_deg == pytest.approx(LATITUDE, abs=1e-7)
    assert message.longitude_deg is not None
    assert message.longitude_deg > LONGITUDE
    way = distance_m(LATITUDE, LONGITUDE, (LATITUDE, message.longitude_deg))
    assert way == pytest.approx(8.0, abs=0.01)


def test_a_position_is_carried_on_backwards_while_reversing() -> None:
    state = VehicleState()
    state.update(signal("gear", 3.0, 0))
    state.fix(fix(0, speed=5.0, course=90.0))
    message = taken(state, 200)
    assert message.heading_deg == 270.0
    assert message.longitude_deg is not None
    assert message.longitude_deg > LONGITUDE


def test_a_turn_moves_the_heading_with_the_position() -> None:
    message = taken(driving(("yaw.rate", math.radians(10.0), 0)), 100)
    assert message.heading_deg == pytest.approx(89.0)  # to the left


def test_a_position_over_half_a_second_away_is_unavailable() -> None:
    state = driving()
    assert taken(state, 500).latitude_deg is not None
    message = taken(state, 501)
    assert (message.latitude_deg, message.elevation_m, message.semi_major_m) == (None, None, None)


def test_a_standing_car_stays_where_it_is() -> None:
    state = VehicleState()
    state.fix(fix(0, speed=0.0, course=None))
    message = taken(state, 300)
    assert (message.latitude_deg, message.longitude_deg) == (LATITUDE, LONGITUDE)
    assert message.heading_deg is None


def test_a_position_is_not_carried_on_without_a_speed() -> None:
    state = VehicleState()
    state.fix(fix(0, speed=None))
    assert taken(state, 100).latitude_deg is None


def test_the_second_mark_is_that_of_the_instant() -> None:
    assert taken(driving(), 12).sec_mark_ms == 12
    assert sec_mark_ms(NOON + 59_999 * MS + 999_999) == 59_999
    assert sec_mark_ms(NOON + 60_000 * MS) == 0


def test_the_second_mark_is_gnss_time_where_the_clock_is_wrong() -> None:
    state = VehicleState()
    state.fix(fix(300, late_ns=-777 * SECOND))
    local = NOON + 300 * MS - 777 * SECOND
    message = snapshot(state, local, stamp=Stamp(bytes(4), 0), size=SIZE)
    assert message.sec_mark_ms == 300
    assert message.latitude_deg == LATITUDE


def test_bus_speed_goes_before_gnss_and_gnss_before_obd() -> None:
    state = VehicleState()
    state.fix(fix(0, speed=20.0))
    assert speed_at(state, NOON) == 20.0
    state.update(signal("speed.vehicle", 19.0, 0, "obd"))
    assert speed_at(state, NOON) == 20.0
    state.update(signal("speed.vehicle", 20.3, 0, "can0"))
    assert speed_at(state, NOON) == 20.3


def test_obd_speed_is_used_when_nothing_else_is_there() -> None:
    state = VehicleState()
    state.update(signal("speed.vehicle", 19.0, 0, "obd"))
    assert speed_at(state, NOON) == 19.0
    assert speed_at(state, NOON + 151 * MS) is None


def test_speed_is_carried_on_by_the_acceleration() -> None:
    state = driving(("speed.vehicle", 20.0, 0), ("acceleration.longitudinal", -5.0, 0))
    assert speed_at(state, NOON + 100 * MS) == pytest.approx(19.5)


def test_speed_is_never_carried_on_below_standstill() -> None:
    state = driving(("speed.vehicle", 0.1, 0), ("acceleration.longitudinal", -5.0, 0))
    assert speed_at(state, NOON + 100 * MS) == 0.0


def test_a_dynamic_value_over_150_ms_old_is_unavailable() -> None:
    state = driving(("steering.angle", 0.3, 0), ("acceleration.lateral", 1.0, 0))
    assert taken(state, 150).steering_angle_rad == 0.3
    assert taken(state, 151).steering_angle_rad is None
    assert taken(state, 151).acceleration_lateral_mps2 is None


@pytest.mark.parametrize(
    ("gear", "transmission"),
    [
        (0.0, Transmission.NEUTRAL),
        (1.0, Transmission.PARK),
        (2.0, Transmission.FORWARD),
        (3.0, Transmission.REVERSE),
        (9.0, None),
    ],
)
def test_gears_are_those_of_the_signal_list(gear: float, transmission: Transmission | None) -> None:
    assert taken(driving(("gear", gear, 0)), 0).transmission is transmission


def test_brakes_say_what_the_switches_say() -> None:
    state = driving(("brake.pedal", 1.0, 0), ("abs.active", 0.0, 0), ("brake.parking", 0.0, 0))
    brakes = taken(state, 0).brakes
    assert brakes.wheels == ALL_WHEELS
    assert (brakes.abs, brakes.traction, brakes.auxiliary) == (Control.ON, None, Applied.OFF)


def test_a_released_pedal_and_an_unknown_one_differ() -> None:
    assert taken(driving(("brake.pedal", 0.0, 0)), 0).brakes.wheels == frozenset()
    assert taken(driving(), 0).brakes.wheels is None


def test_lights_are_unknown_until_one_is_known() -> None:
    assert taken(driving(), 0).lights is None
    lit = driving(("lights.low_beam", 1.0, 0), ("lights.fog", 0.0, 0))
    assert taken(lit, 0).lights == frozenset({"lowBeamHeadlightsOn"})


def test_an_intervention_is_an_event_after_100_ms() -> None:
    state = driving(("abs.active", 0.0, 0), ("abs.active", 1.0, 50), ("abs.active", 1.0, 160))
    assert taken(state, 140).events == frozenset()
    assert taken(state, 150).events == {"eventABSactivated"}


def test_flags_detected_elsewhere_join_those_of_the_state() -> None:
    state = driving(("lights.hazard", 1.0, 0))
    message = taken(state, 0, events=frozenset({"eventHardBraking"}))
    assert message.events == {"eventHazardLights", "eventHardBraking"}


def test_gear_and_lights_are_held_for_ten_seconds_as_cars_send_them_on_change() -> None:
    state = driving(("gear", 2.0, 0), ("lights.low_beam", 1.0, 0), ("brake.parking", 0.0, 0))
    late = taken(state, 10_000)
    assert late.transmission is Transmission.FORWARD
    assert late.lights == frozenset({"lowBeamHeadlightsOn"})
    assert late.brakes.auxiliary is Applied.OFF
    assert taken(state, 10_001).transmission is None
    assert taken(state, 10_001).lights is None


def test_a_controller_that_is_switched_off_is_off() -> None:
    state = driving(("traction.off", 1.0, 0), ("traction.active", 0.0, 0), ("brake.assist", 1.0, 0))
    brakes = taken(state, 0).brakes
    assert (brakes.traction, brakes.stability, brakes.boost) == (Control.OFF, None, Applied.ON)


def test_weather_is_known_for_a_minute_and_only_what_the_car_tells() -> None:
    state = driving(("air.temperature", 280.0, 0), ("wiper.front", 4.0, 0), ("wiper.rear", 0.0, 0))
    around = surroundings_at(state, NOON)
    assert around == Surroundings(air_temperature_k=280.0, wiper_front=Wiper.HIGH)
    assert surroundings_at(state, NOON + 60 * SECOND) == Surroundings(air_temperature_k=280.0)
    assert surroundings_at(state, NOON + 61 * SECOND) is None

import math
from itertools import pairwise

import pytest

from agent.obd.route import HALF_LAP_S, TRACK_M, WHEELBASE_M, CarState, Route

LAP_S = 2 * HALF_LAP_S
HARD_MPS2 = 3.92  # 0.4 g
METRES_PER_DEGREE = 111_195.0  # on a sphere of 6,371 km; good to half a percent


@pytest.fixture(scope="module")
def route() -> Route:
    return Route()


@pytest.fixture(scope="module")
def lap(route: Route) -> list[CarState]:
    """Every 20 ms of a whole lap and a little more."""
    return [route.at(index * 0.02) for index in range(round(LAP_S / 0.02) + 50)]


def apart_m(a: CarState, b: CarState) -> float:
    north = (b.latitude_deg - a.latitude_deg) * METRES_PER_DEGREE
    shrunk = METRES_PER_DEGREE * math.cos(math.radians(a.latitude_deg))
    return math.hypot(north, (b.longitude_deg - a.longitude_deg) * shrunk)


def test_distance_is_the_integral_of_speed(lap: list[CarState]) -> None:
    travelled = sum((a.speed_mps + b.speed_mps) / 2 * 0.02 for a, b in pairwise(lap))
    assert lap[-1].distance_m == pytest.approx(travelled, rel=1e-5)


def test_odometer_grows_by_the_distance(lap: list[CarState]) -> None:
    assert lap[-1].odometer_m - lap[0].odometer_m == pytest.approx(lap[-1].distance_m)


def test_acceleration_is_the_change_of_speed(lap: list[CarState]) -> None:
    for before, now, after in zip(lap, lap[1:], lap[2:], strict=False):
        change = (after.speed_mps - before.speed_mps) / 0.04
        assert now.acceleration_mps2 == pytest.approx(change, abs=0.02)


def test_position_moves_as_far_as_the_distance_says(lap: list[CarState]) -> None:
    moved = sum(apart_m(a, b) for a, b in pairwise(lap))
    assert moved == pytest.approx(lap[-1].distance_m, rel=0.005)


def test_position_moves_where_the_heading_points(lap: list[CarState]) -> None:
    for a, b in pairwise(lap[::25]):
        if min(a.speed_mps, b.speed_mps) > 2.0:
            north = (b.latitude_deg - a.latitude_deg) / math.cos(math.radians(a.latitude_deg))
            course = math.degrees(math.atan2(b.longitude_deg - a.longitude_deg, north)) % 360
            middle = a.heading_deg + ((b.heading_deg - a.heading_deg + 180) % 360 - 180) / 2
            assert abs((course - middle + 180) % 360 - 180) < 1.0


def test_left_turn_has_positive_yaw_and_falling_heading(lap: list[CarState]) -> None:
    for before, now, after in zip(lap, lap[1:], lap[2:], strict=False):
        turned = (after.heading_deg - before.heading_deg + 180) % 360 - 180
        assert math.degrees(now.yaw_rps) == pytest.approx(-turned / 0.04, abs=0.1)


def test_lateral_acceleration_is_speed_times_yaw_rate(lap: list[CarState]) -> None:
    for state in lap[::10]:
        assert state.lateral_mps2 == pytest.approx(state.speed_mps * state.yaw_rps)


def test_a_tyre_could_hold_the_car(lap: list[CarState]) -> None:
    forces = (math.hypot(state.acceleration_mps2, state.lateral_mps2) for state in lap)
    assert max(forces) < 8.0


def test_wheels_inside_a_left_turn_are_slower(route: Route) -> None:
    turning = route.at(18.0)
    front_left, front_right, rear_left, rear_right = turning.wheel_speeds_mps
    assert turning.yaw_rps > 0.3
    assert front_left < front_right
    assert rear_right - rear_left == pytest.approx(turning.yaw_rps * TRACK_M)
    assert (rear_left + rear_right) / 2 == pytest.approx(turning.speed_mps)


def test_steering_follows_the_bicycle_model(route: Route) -> None:
    turning = route.at(18.0)
    road_wheel = math.atan(WHEELBASE_M * turning.yaw_rps / turning.speed_mps)
    assert turning.steering_rad == pytest.approx(14.2 * road_wheel)


def test_steering_rate_is_the_change_of_the_angle(route: Route) -> None:
    change = (route.at(17.01).steering_rad - route.at(16.99).steering_rad) / 0.02
    assert route.at(17.0).steering_rate_rps == pytest.approx(change, rel=0.01)


def test_hard_brake_comes_before_thirty_seconds_and_lasts(lap: list[CarState]) -> None:
    hard = [s.t_s for s in lap if s.t_s < 30 and s.acceleration_mps2 < -HARD_MPS2]
    assert 12.0 < hard[0] < 14.0
    assert hard[-1] - hard[0] > 1.0


def test_there_is_one_hard_brake_in_a_half_lap(lap: list[CarState]) -> None:
    begins = [
        b.t_s
        for a, b in pairwise(lap)
        if a.acceleration_mps2 >= -HARD_MPS2 > b.acceleration_mps2 and b.t_s < HALF_LAP_S
    ]
    assert len(begins) == 1


def test_brake_pedal_is_down_in_the_hard_brake_and_at_a_stop(route: Route) -> None:
    assert route.at(13.3).brake_pedal
    assert route.at(13.3).brake_pa > 5e6
    assert route.at(40.0).brake_pedal
    assert not route.at(10.0).brake_pedal
    assert route.at(10.0).brake_pa == 0.0


def test_motorway_is_driven_at_a_hundred(lap: list[CarState]) -> None:
    assert max(state.speed_mps for state in lap) == pytest.approx(28.0)


def test_speed_is_never_negative(lap: list[CarState]) -> None:
    assert min(state.speed_mps for state in lap) == 0.0


def test_turn_signal_of_that_side_only_is_on_before_a_turn(route: Route) -> None:
    assert (route.at(13.0).left_signal, route.at(13.0).right_signal) == (True, False)
    assert (route.at(55.0).left_signal, route.at(55.0).right_signal) == (False, True)
    assert (route.at(45.0).left_signal, route.at(45.0).right_signal) == (False, False)


def test_charge_falls_over_a_lap_and_rises_while_braking(route: Route) -> None:
    assert route.at(LAP_S).charge < route.at(0.0).charge
    assert route.at(14.4).charge > route.at(12.5).charge


def test_charge_is_the_integral_of_the_power(route: Route, lap: list[CarState]) -> None:
    energy = sum((a.power_w + b.power_w) / 2 * 0.02 for a, b in pairwise(lap[:6001]))
    used = (route.at(0.0).charge - route.at(HALF_LAP_S).charge) * 64_000 * 3600
    assert used == pytest.approx(energy, rel=1e-3)


def test_voltage_times_current_is_the_power(lap: list[CarState]) -> None:
    for state in lap[::50]:
        assert state.voltage_v * state.current_a == pytest.approx(state.power_w)


def test_a_lap_ends_where_it_began(route: Route) -> None:
    first, last = route.at(0.0), route.at(LAP_S)
    assert apart_m(first, last) < 0.01
    assert last.heading_deg == pytest.approx(first.heading_deg)


def test_there_is_no_jump_between_half_laps(route: Route) -> None:
    for seam in (HALF_LAP_S, LAP_S, 3 * HALF_LAP_S):
        assert apart_m(route.at(seam - 1e-9), route.at(seam)) < 0.01


def test_the_drive_goes_on_for_a_year(route: Route) -> None:
    state = route.at(365 * 86_400.0 + 13.3)
    assert state.acceleration_mps2 < -6.0 or state.speed_mps >= 0.0
    assert apart_m(route.at(0.0), state) < 4000.0
    assert state.charge > 0.0


@pytest.mark.parametrize("t_s", [-0.001, math.nan, math.inf])
def test_no_instant_before_the_start_or_beyond_numbers(route: Route, t_s: float) -> None:
    with pytest.raises(ValueError, match="0 s"):
        route.at(t_s)


def test_repr_does_not_say_where_the_car_is(route: Route) -> None:
    assert "37." not in repr(route.at(5.0))

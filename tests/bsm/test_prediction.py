import math

import pytest

from agent.bsm.message import PathPrediction
from agent.bsm.prediction import NOT_KNOWN, STRAIGHT, LowPass, Prediction, confidence
from agent.clock import MS, SECOND


def fed(speed: float | None, yaw_dps: float | None, count: int = 100) -> PathPrediction:
    prediction = Prediction()
    yaw = None if yaw_dps is None else math.radians(yaw_dps)
    for tick in range(count):
        last = prediction.take(tick * 100 * MS, speed, yaw)
    return last


def test_a_steady_turn_is_a_circle_of_speed_over_yaw_rate() -> None:
    ahead = fed(10.0, 5.0)
    assert ahead.radius_m == pytest.approx(10.0 / math.radians(5.0))
    assert ahead.confidence == 1.0


def test_a_turn_to_the_right_has_a_negative_radius() -> None:
    radius = fed(10.0, -5.0).radius_m
    assert radius is not None
    assert radius < 0


def test_a_reversing_car_turns_about_the_other_side() -> None:
    radius = fed(-5.0, 5.0).radius_m
    assert radius == pytest.approx(-5.0 / math.radians(5.0))


@pytest.mark.parametrize(("speed", "yaw_dps"), [(0.99, 20.0), (30.0, 0.6875), (20.0, 0.0)])
def test_slow_and_hardly_turning_cars_go_straight(speed: float, yaw_dps: float) -> None:
    assert fed(speed, yaw_dps) == STRAIGHT


def test_a_radius_just_below_2500_m_is_told() -> None:
    radius = fed(30.0, 0.6886).radius_m
    assert radius == pytest.approx(2496, abs=2)


@pytest.mark.parametrize(("speed", "yaw_dps"), [(None, 1.0), (10.0, None)])
def test_without_speed_or_yaw_rate_there_is_no_confidence(
    speed: float | None, yaw_dps: float | None
) -> None:
    assert fed(speed, yaw_dps) == NOT_KNOWN


@pytest.mark.parametrize(
    ("change", "share"),
    [(0, 1.0), (1, 0.8), (2.5, 0.5), (5, 0.4), (10, 0.3), (24.9, 0.002), (25, 0), (-1, 0.8)],
)
def test_confidence_falls_with_the_change_of_the_yaw_rate(change: float, share: float) -> None:
    assert confidence(change) == pytest.approx(share)


def test_the_first_two_samples_pass_as_they_are() -> None:
    low = LowPass(0.33)
    assert [low.take(1.0), low.take(5.0)] == [1.0, 5.0]


def test_the_third_sample_is_that_of_the_difference_equation() -> None:
    low = LowPass(0.33)
    low.take(1.0)
    low.take(2.0)
    w_t = 2 * math.pi * 0.33 * 0.1
    expected = (-1.0 + (2 + 2 * w_t) * 2.0 + w_t**2 * 3.0) / (1 + 2 * w_t + w_t**2)
    assert low.take(3.0) == pytest.approx(expected)


def test_the_filter_takes_a_second_and_not_a_sample_to_follow_a_step() -> None:
    low = LowPass(0.33)
    low.take(0.0)
    low.take(0.0)
    out = [low.take(1.0) for _ in range(40)]
    assert out[0] < 0.1
    half = next(index for index, value in enumerate(out) if value > 0.5)
    assert 5 <= half <= 12
    assert out[-1] == pytest.approx(1.0, abs=0.02)


def test_entering_a_turn_costs_confidence_and_driving_it_gives_it_back() -> None:
    prediction = Prediction()
    shares = []
    for tick in range(60):
        yaw = math.radians(min(10.0, max(0.0, (tick - 20) * 1.0)))  # 10 deg/s2 for a second
        shares.append(prediction.take(tick * 100 * MS, 10.0, yaw).confidence)
    assert shares[19] == 1.0
    assert min(shares[20:35]) < 0.5
    assert shares[-1] > 0.9


@pytest.mark.parametrize("gone_ns", [2 * SECOND, -SECOND])
def test_after_a_pause_the_filter_begins_anew(gone_ns: int) -> None:
    prediction = Prediction()
    for tick in range(50):
        prediction.take(tick * 100 * MS, 10.0, 0.1)
    ahead = prediction.take(4900 * MS + gone_ns, 10.0, -0.2)
    assert ahead.radius_m == pytest.approx(-50.0)

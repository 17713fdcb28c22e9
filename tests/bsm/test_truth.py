import math
from collections.abc import Callable
from typing import Any

import pytest

from agent.bsm.state import VehicleState
from agent.bsm.truth import Truth
from agent.clock import MS
from agent.events import SignalDoubted
from agent.position import PositionFix
from agent.signals import Signal
from tests.bsm.drive import NOON

PERIOD_S = 8.0


def speed(t: float) -> float:
    return 15.0 + 4.0 * math.sin(math.tau * t / PERIOD_S)


def acceleration(t: float) -> float:
    return 4.0 * math.tau / PERIOD_S * math.cos(math.tau * t / PERIOD_S)


def yaw(t: float) -> float:
    return 0.2 * math.sin(math.tau * t / 6.0)


def course(t: float) -> float:
    return math.degrees(0.2 * 6.0 / math.tau * (math.cos(math.tau * t / 6.0) - 1)) % 360.0


RIGHT: dict[str, Callable[[float], float]] = {
    "speed.vehicle": speed,
    "acceleration.longitudinal": acceleration,
    "acceleration.lateral": lambda t: speed(t) * yaw(t),
    "yaw.rate": yaw,
    "steering.angle": lambda t: steering(speed(t), yaw(t)),
}


def steering(mps: float, radps: float) -> float:
    """Of a car of 2.9 m wheelbase, steered 14:1, that understeers a little."""
    return 14.0 * math.atan(2.9 * radps / mps * (1 + (mps / 28.0) ** 2))


def found(
    *,
    seconds: float = 30.0,
    calm: bool = False,
    start_s: float = 0.0,
    truth: Truth | None = None,
    **wrong: Callable[[float], float],
) -> list[SignalDoubted]:
    """Findings of a winding drive. wrong: quantities, with _ for the dot, that lie"""
    truth = truth or Truth()
    state = VehicleState()
    given = RIGHT | {name.replace("_", "."): value for name, value in wrong.items()}
    findings = []
    for tick in range(int(seconds * 10)):
        for step in range(5):
            t = start_s + tick / 10 + step / 50
            at = start_s if calm else t
            for name, value in given.items():
                state.update(Signal(name, value(at), NOON + int(t * 1e9), "can0"))
        t = start_s + tick / 10
        state.fix(
            PositionFix(
                t_ns=NOON + int(t * 1e9),
                arrived_ns=NOON + int(t * 1e9) + 60 * MS,
                latitude_deg=50.0,
                longitude_deg=8.0,
                speed_mps=speed(start_s if calm else t),
                heading_deg=course(start_s if calm else t),
            )
        )
        findings += truth.look(state, NOON + int(t * 1e9) + 100 * MS)
    return findings


def test_a_car_that_tells_the_truth_is_not_doubted() -> None:
    assert found() == []


def test_an_inverted_acceleration_is_found_once() -> None:
    [doubt] = found(seconds=60, acceleration_longitudinal=lambda t: -acceleration(t))
    assert doubt.name == "acceleration.longitudinal"
    assert "sign" in doubt.reason
    assert doubt.stated == pytest.approx(-doubt.expected, rel=0.1)
    assert abs(doubt.expected) > 2.0


def test_an_inverted_acceleration_is_found_on_a_slope_too() -> None:
    [doubt] = found(acceleration_longitudinal=lambda t: 1.2 - acceleration(t))
    assert doubt.name == "acceleration.longitudinal"


def test_a_slope_alone_is_no_reason_to_doubt() -> None:
    assert found(acceleration_longitudinal=lambda t: acceleration(t) + 1.5) == []


def test_an_acceleration_in_g_is_found_by_its_size() -> None:
    [doubt] = found(acceleration_longitudinal=lambda t: acceleration(t) / 9.81)
    assert (doubt.name, "size" in doubt.reason) == ("acceleration.longitudinal", True)


def test_an_inverted_lateral_acceleration_is_found() -> None:
    [doubt] = found(acceleration_lateral=lambda t: -speed(t) * yaw(t))
    assert doubt.name == "acceleration.lateral"


def test_an_inverted_yaw_rate_is_found_by_the_course_of_the_receiver() -> None:
    findings = found(yaw_rate=lambda t: -yaw(t))
    assert "yaw.rate" in {doubt.name for doubt in findings}


def test_a_speed_that_is_not_that_of_the_receiver_is_found() -> None:
    doubts = {doubt.name: doubt for doubt in found(speed_vehicle=lambda t: speed(t) / 1.609)}
    assert doubts["speed.vehicle"].stated < 0.7 * doubts["speed.vehicle"].expected


def test_a_speedometer_that_flatters_is_not_doubted() -> None:
    assert found(speed_vehicle=lambda t: speed(t) * 1.08) == []


def test_a_car_that_does_nothing_proves_nothing() -> None:
    assert found(calm=True, acceleration_longitudinal=lambda t: -acceleration(t)) == []


def test_a_reversing_car_is_not_doubted_for_its_direction() -> None:
    """Reverse gear: the speed has no sign, the acceleration keeps that of its axis."""
    assert (
        found(
            gear=lambda _: 3.0,
            acceleration_longitudinal=lambda t: -acceleration(t),
            acceleration_lateral=lambda t: -speed(t) * yaw(t),
            steering_angle=lambda t: -RIGHT["steering.angle"](t),
        )
        == []
    )


def test_noise_is_not_doubted() -> None:
    assert found(acceleration_longitudinal=lambda t: math.sin(t * 977.0)) == []


@pytest.mark.parametrize(
    ("factor", "what"), [(-1.0, "sign"), (57.3, "size"), (1 / 57.3, "size"), (0.2, "size")]
)
def test_a_steering_angle_of_wrong_sign_or_unit_is_found(factor: float, what: str) -> None:
    [doubt] = found(steering_angle=lambda t: factor * RIGHT["steering.angle"](t))
    assert (doubt.name, what in doubt.reason) == ("steering.angle", True)


@pytest.mark.parametrize("factor", [0.6, 1.6])
def test_a_car_that_is_steered_more_or_less_than_others_is_not_doubted(factor: float) -> None:
    assert found(steering_angle=lambda t: factor * RIGHT["steering.angle"](t) + 0.1) == []


@pytest.mark.parametrize("name", [name for name in RIGHT if name != "speed.vehicle"])
def test_a_signal_that_stands_still_is_found(name: str) -> None:
    still: dict[str, Any] = {name.replace(".", "_"): lambda _: 0.25}
    [doubt] = found(**still)
    assert (doubt.name, "stands still" in doubt.reason) == (name, True)


def test_a_speed_that_stands_still_is_found_whatever_its_mean() -> None:
    [doubt] = found(speed_vehicle=lambda _: 15.0)
    assert (doubt.name, "stands still" in doubt.reason) == ("speed.vehicle", True)


@pytest.mark.parametrize("factor", [3.6, 1 / 3.6, 1.609, 1 / 1.609])
def test_a_wrong_speed_is_not_held_against_the_accelerations(factor: float) -> None:
    doubts = found(speed_vehicle=lambda t: factor * speed(t))
    assert [doubt.name for doubt in doubts] == ["speed.vehicle"]


@pytest.mark.parametrize("factor", [-1.0, 57.3, 1 / 57.3])
def test_a_wrong_yaw_rate_is_not_held_against_acceleration_and_steering(factor: float) -> None:
    doubts = found(yaw_rate=lambda t: factor * yaw(t))
    assert [doubt.name for doubt in doubts] == ["yaw.rate"]


def test_what_is_doubted_stays_so_until_it_agrees_again() -> None:
    truth = Truth()

    def lie(start_s: float, *, calm: bool) -> frozenset[str]:
        found(
            truth=truth,
            start_s=start_s,
            calm=calm,
            acceleration_longitudinal=lambda t: -acceleration(t),
        )
        return truth.doubted

    after_lies, after_nothing = lie(0.0, calm=False), lie(40.0, calm=True)
    found(truth=truth, start_s=80.0)
    assert after_lies == after_nothing == {"acceleration.longitudinal"}
    assert truth.doubted == set()


def test_a_new_drive_does_not_believe_what_was_doubted() -> None:
    truth = Truth()
    found(truth=truth, yaw_rate=lambda t: -yaw(t))
    found(truth=truth, seconds=2, start_s=3600.0, yaw_rate=lambda t: -yaw(t))
    assert truth.doubted == {"yaw.rate"}


def test_a_new_drive_is_told_anew() -> None:
    truth = Truth()

    def doubts(start_s: float) -> int:
        lies = found(
            truth=truth, start_s=start_s, acceleration_longitudinal=lambda t: -acceleration(t)
        )
        return len(lies)

    assert [doubts(0.0), doubts(60.0), doubts(480.0)] == [1, 0, 1]

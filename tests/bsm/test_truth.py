import math
from collections.abc import Callable

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
}


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
        )
        == []
    )


def test_noise_is_not_doubted() -> None:
    assert found(acceleration_longitudinal=lambda t: math.sin(t * 977.0)) == []


def test_a_new_drive_is_told_anew() -> None:
    truth = Truth()

    def doubts(start_s: float) -> int:
        lies = found(
            truth=truth, start_s=start_s, acceleration_longitudinal=lambda t: -acceleration(t)
        )
        return len(lies)

    assert [doubts(0.0), doubts(60.0), doubts(480.0)] == [1, 0, 1]

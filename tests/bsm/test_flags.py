import pytest

from agent.bsm.flags import events_at, lights_at
from agent.bsm.state import LIGHTS, VehicleState
from agent.clock import MS
from tests.bsm.drive import NOON, signal


def told(*samples: tuple[str, float, int], at_ms: int) -> frozenset[str]:
    state = VehicleState()
    for name, value, ms in samples:
        state.update(signal(name, value, ms))
    return events_at(state, NOON + at_ms * MS)


@pytest.mark.parametrize(
    ("name", "flag"),
    [
        ("abs.active", "eventABSactivated"),
        ("traction.active", "eventTractionControlLoss"),
        ("stability.active", "eventStabilityControlactivated"),
    ],
)
def test_a_controller_that_acts_for_100_ms_is_an_event(name: str, flag: str) -> None:
    samples = [(name, 1.0, ms) for ms in range(0, 200, 20)]
    assert told(*samples, at_ms=99) == frozenset()
    assert told(*samples, at_ms=100) == {flag}


def test_an_intervention_with_a_break_counts_from_the_break() -> None:
    samples = [("abs.active", 0.0 if ms == 60 else 1.0, ms) for ms in range(0, 200, 20)]
    assert told(*samples, at_ms=170) == frozenset()
    assert told(*samples, at_ms=180) == {"eventABSactivated"}


def test_hazard_lights_are_an_event_as_long_as_they_flash() -> None:
    on = ("lights.hazard", 1.0, 0)
    assert "eventHazardLights" in told(on, at_ms=5000)
    assert "eventHazardLights" not in told(on, ("lights.hazard", 0.0, 3000), at_ms=5000)


@pytest.mark.parametrize(
    ("name", "flag"),
    [("tyre.flat", "eventFlatTire"), ("airbag.deployed", "eventAirBagDeployment")],
)
def test_a_condition_is_an_event_while_the_car_tells_it(name: str, flag: str) -> None:
    assert told((name, 1.0, 0), at_ms=10) == {flag}
    assert told((name, 0.0, 0), at_ms=10) == frozenset()


@pytest.mark.parametrize("name", sorted(LIGHTS))
def test_a_light_that_changes_is_told_for_two_seconds(name: str) -> None:
    samples = [(name, 1.0, 0), (name, 0.0, 500)]
    assert "eventLightsChanged" not in told(*samples, at_ms=499)
    assert "eventLightsChanged" in told(*samples, at_ms=500)
    assert "eventLightsChanged" in told(*samples, at_ms=2500)
    assert "eventLightsChanged" not in told(*samples, at_ms=2501)


def test_wipers_that_change_are_told_and_a_first_sample_is_no_change() -> None:
    assert told(("wiper.front", 3.0, 0), at_ms=10) == frozenset()
    assert told(("wiper.front", 1.0, 0), ("wiper.front", 3.0, 9), at_ms=10) == {
        "eventWipersChanged"
    }
    assert told(("wiper.rear", 1.0, 0), ("wiper.rear", 2.0, 9), at_ms=10) == {"eventWipersChanged"}


def test_two_buses_that_differ_are_no_change() -> None:
    state = VehicleState()
    for ms in range(0, 100, 20):
        state.update(signal("lights.fog", 1.0, ms, "can0"))
        state.update(signal("lights.fog", 0.0, ms + 1, "can1"))
    assert events_at(state, NOON + 90 * MS) == frozenset()


def test_every_light_has_its_own_bit() -> None:
    state = VehicleState()
    assert lights_at(state, NOON) is None
    for name in LIGHTS:
        state.update(signal(name, 1.0, 0))
    assert lights_at(state, NOON) == frozenset(LIGHTS.values())
    assert len(set(LIGHTS.values())) == 9

"""The sleep guard against cars of several kinds: none is kept awake, and none is forgotten."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.clock import SECOND
from agent.obd.guard import (
    ASK_S,
    FIRST_PAUSE_S,
    LONGEST_PAUSE_S,
    SILENT_S,
    VOLTAGE_TAU_S,
    Guard,
    Limits,
    LowPass,
    State,
)
from tests.obd.parked import ParkedCar

HOUR = 3600
BUDGET_S = 600  # 5 Wh at 30 W


def test_a_car_that_sleeps_when_left_alone_is_left_alone() -> None:
    with ParkedCar(sleep_s=20) as car:
        car.live(10 * 60)
        assert (car.awake, car.guard.state) == (False, State.ASLEEP)
        assert car.states() == ["on", "off", "paused", "asleep"]
        assert car.changes[-1].reason == "the bus fell silent when we paused"
        asked = car.asked_s
        car.live(2 * HOUR)
        assert car.asked_s == asked


@pytest.mark.parametrize("sleep_s", [10, 45, 180, 600, 900])
def test_a_car_that_questions_keep_awake_falls_asleep_all_the_same(sleep_s: int) -> None:
    with ParkedCar(sleep_s) as car:
        car.live(2 * HOUR)
        assert car.states()[-1] == "asleep"
        assert car.asked_s <= 120 + BUDGET_S + 10
        assert car.awake_s < 120 + BUDGET_S + 2 * LONGEST_PAUSE_S + sleep_s
        asked = car.asked_s
        car.live(HOUR)
        assert car.asked_s == asked


def test_a_voltage_that_rises_while_the_car_is_off_keeps_nobody_asking() -> None:
    with ParkedCar(300, supply=lambda awake: 14.4 if awake else 12.5) as car:
        car.live(2 * HOUR)
        assert car.states()[-1] == "asleep"
        assert car.states().count("on") == 1  # the agent's start
        assert car.changes[-1].voltage_v == pytest.approx(14.4, abs=0.05)
        assert not car.awake


@pytest.mark.parametrize("pids", [(0x0D,), ()])
def test_a_car_without_voltage_and_engine_speed_is_asked_for_two_minutes_and_no_more(
    pids: tuple[int, ...],
) -> None:
    with ParkedCar(10_000, pids=pids, shows=False) as car:
        car.live(HOUR)
        assert car.asked_s <= 123
        assert car.changes[-1].reason == "the bus carries nothing but answers to us"
        assert car.changes[-1].voltage_v is None


def test_a_bus_that_carries_nothing_but_answers_is_asked_while_the_engine_turns() -> None:
    with ParkedCar(10, shows=False) as car:
        car.running = True
        car.live(HOUR)
        assert (car.states(), car.asked_s) == (["on"], HOUR)


def test_frames_that_nobody_asked_for_wake_it_and_the_engine_keeps_it_asking() -> None:
    with ParkedCar(20) as car:
        car.live(HOUR)
        assert car.states()[-1] == "asleep"
        car.running = True
        car.live(10)
        assert car.states()[-2:] == ["off", "on"]
        assert "did not cause" in car.changes[-2].reason
        car.live(HOUR)
        assert car.states()[-1] == "on"


def test_one_frame_is_not_a_car_that_wakes() -> None:
    guard = Guard("can0", Limits(off_after_s=10), 0)
    step_until(guard, State.ASLEEP)
    for second in range(100, 1000, 60):
        guard.heard(second * SECOND)
        assert guard.step(second * SECOND) is None
    assert guard.state is State.ASLEEP


def test_a_night_of_a_car_that_is_awake_by_itself_costs_the_budget_and_looks() -> None:
    with ParkedCar(10**9) as car:
        car.live(4 * HOUR)
        looks = car.states().count("paused")
        assert looks < 12 + 4 * HOUR / LONGEST_PAUSE_S
        assert car.asked_s <= 120 + BUDGET_S + ASK_S + 3 * looks
        assert "the budget of 5 Wh is spent" in [change.reason for change in car.changes]


def test_a_car_that_wakes_every_hour_gets_no_new_budget_for_it() -> None:
    with ParkedCar(120) as car:
        for _ in range(6):
            car.live(HOUR)
            car.wake()
        assert car.asked_s <= 120 + BUDGET_S + ASK_S + 3 * car.states().count("paused")
        assert car.changes[-1].left_wh == 0.0


def test_driving_fills_the_budget_again_by_its_length() -> None:
    with ParkedCar(10**9, Limits(energy_wh=4.0)) as car:
        car.live(2 * HOUR)
        assert car.changes[-1].left_wh == 0.0
        car.running = True
        while car.states()[-1] != "on":
            car.live(1)
        car.live(900)
        car.running = False
        car.live(100)
        assert car.states()[-1] == "off"
        assert car.changes[-1].left_wh == pytest.approx(2.0, abs=0.1)


def test_a_low_supply_ends_asking_at_once() -> None:
    with ParkedCar(10**9, supply=lambda _: 11.7) as car:
        car.live(60)
        assert car.asked_s <= 25
        assert car.changes[-1].reason == "supply at 11.70 V, lowest 12 V"


def test_an_engine_that_turns_is_asked_whatever_the_supply_says() -> None:
    guard = Guard("can0", Limits(), 0)
    for second in range(HOUR):
        guard.signal("supply.voltage", 11.0, second * SECOND)
        guard.signal("engine.speed", 14.0, second * SECOND)
        guard.step(second * SECOND)
        assert guard.asking


def test_a_stop_at_the_lights_is_asked_on() -> None:
    with ParkedCar(10**9) as car:
        car.running = True
        car.live(600)
        car.running = False  # start-stop: the engine stands, the supply falls
        car.live(75)
        car.running = True
        car.live(600)
        assert car.asked_s == 1275


def test_a_bus_where_nothing_is_ever_heard_is_looked_at_where_the_owner_wants_it() -> None:
    with ParkedCar(30, Limits(probe_s=1800), shows=False) as car:
        car.live(1700)
        asked = car.asked_s
        car.live(300)
        assert 1 <= car.asked_s - asked <= 3
        car.running = True
        car.live(HOUR)
        assert car.states()[-1] == "on"


def test_where_no_frames_are_heard_a_supply_that_rises_is_looked_into() -> None:
    with ParkedCar(30, shows=False, meter=True) as car:
        car.live(HOUR)
        assert car.states()[-1] == "asleep"
        asked = car.asked_s
        car.live(HOUR)
        assert car.asked_s == asked
        car.running = True
        car.live(90)
        assert car.states()[-2:] == ["off", "on"]


@pytest.mark.parametrize("sleep_s", [60, 900])
def test_a_supply_that_is_high_because_we_look_is_looked_into_ever_less(sleep_s: int) -> None:
    supply = lambda awake: 14.4 if awake else 12.5  # noqa: E731
    with ParkedCar(sleep_s, shows=False, meter=True, supply=supply) as car:
        car.live(3 * HOUR)
        assert not car.awake
        assert car.awake_s < 120 + 2 * LONGEST_PAUSE_S + sleep_s
        asked = car.asked_s
        car.live(2 * HOUR)
        assert car.asked_s == asked


def test_a_cranking_engine_does_not_show_in_the_filtered_voltage() -> None:
    voltage = LowPass(VOLTAGE_TAU_S)
    for second in range(100):
        voltage.update(12.6, second * SECOND)
    voltage.update(8.0, 101 * SECOND)
    assert voltage.value is not None
    assert voltage.value > 12.3


def test_the_voltage_follows_a_step_by_its_time_constant() -> None:
    voltage = LowPass(VOLTAGE_TAU_S)
    voltage.update(12.0, 0)
    for second in range(1, 46):
        voltage.update(14.0, second * SECOND)
    assert voltage.value == pytest.approx(12.0 + 2.0 * 0.632, abs=0.01)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0, -3.0])
def test_a_voltage_that_is_none_is_passed_over(value: float) -> None:
    guard = Guard("can0", Limits(), 0)
    guard.signal("supply.voltage", value, 0)
    change = guard.step(SECOND)
    assert change is not None
    assert change.voltage_v is None


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(1, 900),
            st.booleans(),
            st.floats(0.0, 20.0),
            st.floats(0.0, 3.0),
        ),
        max_size=60,
    )
)
def test_whatever_comes_the_budget_stays_within_its_limits_and_silence_ends_in_sleep(
    life: list[tuple[int, bool, float, float]],
) -> None:
    guard, now = Guard("can0", Limits(), 0), 0
    for seconds, own, volts, turns in life:
        now += seconds * SECOND
        if own:
            guard.heard(now)
        guard.signal("supply.voltage", volts, now)
        guard.signal("engine.speed", turns, now)
        change = guard.step(now)
        assert change is None or 0.0 <= change.left_wh <= 5.0
        assert guard.asking == (guard.state in {State.ON, State.OFF})
    quiet_s = 120 + ASK_S + FIRST_PAUSE_S + SILENT_S
    for _ in range(int(quiet_s) + 5):
        now += SECOND
        guard.step(now)
    assert guard.state is State.ASLEEP


def step_until(guard: Guard, state: State) -> None:
    for second in range(1, 100):
        guard.step(second * SECOND)
        if guard.state is state:
            return
    raise AssertionError(f"not {state} in 100 s")

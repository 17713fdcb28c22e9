"""As the disk fills, what matters less goes first, and nothing goes to and fro."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import ClockQuality
from agent.events import (
    AgentStopped,
    BsmHeard,
    ConsentGranted,
    DiskNarrowed,
    DtcSet,
    Event,
    InputLost,
    InputOpened,
    LogSealed,
    PositionFixed,
    SignalsSampled,
)
from agent.eventstore.ladder import FROM_PERCENT, HYSTERESIS_PERCENT, Step, climb, why_not
from agent.eventstore.log import Draft
from agent.privacy import Level


def kept(step: Step, event: type[Event], level: Level | None = None) -> bool:
    draft = Draft(event.kind, level or event.level, 0, 0, ClockQuality.FREE, b"")
    return not why_not(step, draft, urgent=event.urgent)


@pytest.mark.parametrize(
    ("percent", "step"),
    [(0.0, 0), (79.9, 0), (80.0, 1), (89.9, 1), (90.0, 2), (94.9, 2), (95.0, 3), (97.9, 3),
     (98.0, 4), (100.0, 4)],
)  # fmt: skip
def test_rt_42_each_step_has_its_percentage(percent: float, step: int) -> None:
    assert climb(Step.ALL, percent) == step


@pytest.mark.parametrize(("percent", "step"), [(98.0, 4), (96.0, 4), (95.9, 3), (93.0, 3),
                                               (92.9, 2), (88.0, 2), (87.9, 1), (78.0, 1),
                                               (77.9, 0)])  # fmt: skip
def test_a_step_is_left_two_points_below_it(percent: float, step: int) -> None:
    assert climb(Step.URGENT, percent) == step


@given(st.sampled_from(Step), st.floats(0, 100), st.floats(-0.99, 0.99))
def test_a_disk_that_hovers_changes_nothing_after_the_first_look(
    now: Step, percent: float, by: float
) -> None:
    there = climb(now, percent)
    assert climb(there, percent) == there
    if any(abs(percent - at) < 0.001 for at in FROM_PERCENT.values()):
        assert climb(there, percent - HYSTERESIS_PERCENT / 2 + by / 2) == there


def test_nothing_is_dropped_while_there_is_room() -> None:
    for event in Event.__subclasses__():
        for level in Level:
            assert kept(Step.ALL, event, level)
            assert kept(Step.EARLY, event, level)


def test_bulk_goes_first() -> None:
    assert not kept(Step.NO_BULK, SignalsSampled, Level.LV4)
    assert kept(Step.NO_BULK, SignalsSampled, Level.LV3)


def test_then_samples_of_the_car_but_no_personal_ones_and_no_events() -> None:
    step = Step.NO_SAMPLES
    assert not kept(step, SignalsSampled, Level.LV3)
    assert not kept(step, SignalsSampled, Level.LV4)
    assert kept(step, SignalsSampled, Level.LV2)
    assert kept(step, SignalsSampled, Level.LV1)
    assert all(kept(step, event) for event in (PositionFixed, BsmHeard, DtcSet, InputOpened))


def test_at_last_only_what_is_urgent_and_what_tells_of_losses_and_seals() -> None:
    step = Step.URGENT
    assert all(
        kept(step, event)
        for event in (DtcSet, ConsentGranted, AgentStopped, DiskNarrowed, InputLost, LogSealed)
    )
    assert not any(kept(step, event) for event in (PositionFixed, BsmHeard, InputOpened))


@given(st.sampled_from(list(Event.__subclasses__())), st.sampled_from(Level))
def test_a_higher_step_never_keeps_what_a_lower_one_drops(event: type[Event], level: Level) -> None:
    found = [kept(step, event, level) for step in Step]
    assert found == sorted(found, reverse=True)

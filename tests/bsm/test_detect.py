import math
from collections.abc import Iterable

import pytest

from agent.bsm.detect import HardBraking
from agent.clock import MS
from agent.events import BrakedHard
from agent.signals import Signal
from tests.bsm.drive import NOON, signal


def fed(detector: HardBraking, signals: Iterable[Signal]) -> list[BrakedHard]:
    return [event for s in signals if (event := detector.update(s)) is not None]


def braking(deceleration: float, start_ms: int, end_ms: int, *, every_ms: int = 20) -> list[Signal]:
    return [
        signal("acceleration.longitudinal", -deceleration, ms)
        for ms in range(start_ms, end_ms + 1, every_ms)
    ]


def test_a_braking_over_the_limit_is_one_event_when_it_ends() -> None:
    detector = HardBraking()
    detector.update(signal("speed.vehicle", 22.0, 0))
    events = fed(
        detector, [*braking(5.0, 0, 300), *braking(6.0, 320, 400), *braking(1.0, 420, 500)]
    )

    [event] = events
    assert event == BrakedHard(NOON, 6.0, 400, 22.0)


def test_a_braking_at_the_limit_is_none() -> None:
    detector = HardBraking()
    assert fed(detector, [*braking(3.92, 0, 500), *braking(0.0, 520, 600)]) == []
    assert detector.flags == frozenset()


def test_a_jerk_shorter_than_100_ms_is_none() -> None:
    detector = HardBraking()
    assert fed(detector, [*braking(9.0, 0, 80), *braking(0.0, 100, 200)]) == []


def test_the_flag_is_set_from_100_ms_until_the_end() -> None:
    detector = HardBraking()
    fed(detector, braking(5.0, 0, 80))
    assert detector.flags == frozenset()
    fed(detector, braking(5.0, 100, 100))
    assert detector.flags == {"eventHardBraking"}
    fed(detector, braking(1.0, 120, 120))
    assert detector.flags == frozenset()


def test_a_braking_over_two_seconds_is_reported_while_it_lasts_and_once() -> None:
    detector = HardBraking()
    detector.update(signal("speed.vehicle", 30.0, 0))
    early = fed(detector, braking(5.0, 0, 2100))
    late = fed(detector, [*braking(5.0, 2120, 3000), *braking(0.0, 3020, 3100)])

    assert [event.held_ms for event in early] == [2020]
    assert late == []


def test_the_flag_stays_set_after_the_report() -> None:
    detector = HardBraking()
    fed(detector, braking(5.0, 0, 2500))
    assert detector.flags == {"eventHardBraking"}


def test_two_brakings_are_two_events() -> None:
    detector = HardBraking()
    signals = [*braking(5.0, 0, 200), *braking(0.0, 220, 400), *braking(7.0, 420, 700)]
    events = fed(detector, [*signals, *braking(0.0, 720, 800)])
    assert [(event.peak_mps2, event.held_ms) for event in events] == [(5.0, 200), (7.0, 280)]


def test_a_braking_that_goes_on_at_the_end_of_the_input_is_an_event() -> None:
    detector = HardBraking()
    fed(detector, braking(5.0, 0, 300))
    event = detector.finish()
    assert event is not None
    assert event.held_ms == 300
    assert detector.finish() is None


def test_silence_of_the_sensor_ends_a_braking() -> None:
    detector = HardBraking()
    fed(detector, braking(5.0, 0, 300))
    [event] = fed(detector, braking(5.0, 900, 900))
    assert event.held_ms == 300
    assert not detector.active


def test_any_other_signal_ends_a_braking_whose_sensor_is_silent() -> None:
    detector = HardBraking()
    fed(detector, braking(5.0, 0, 300))
    [event] = fed(detector, [signal("engine.speed", 30.0, 810)])
    assert event.held_ms == 300
    assert detector.flags == frozenset()


def test_the_flag_of_a_silent_sensor_is_not_sent() -> None:
    detector = HardBraking()
    fed(detector, braking(5.0, 0, 300))
    assert detector.flags_at(NOON + 799 * MS) == {"eventHardBraking"}
    assert detector.flags_at(NOON + 800 * MS) == frozenset()


def test_an_onset_without_a_speed_is_not_known() -> None:
    detector = HardBraking()
    [event] = fed(detector, [*braking(5.0, 0, 300), *braking(0.0, 320, 320)])
    assert event.onset_mps is None


def slowing(deceleration: float, until_ms: int, every_ms: int, origin: str) -> list[Signal]:
    """From 25 m/s, a second of steady driving first."""
    return [
        signal("speed.vehicle", 25.0 - deceleration * max(0, ms - 1000) / 1000, ms, origin)
        for ms in range(0, until_ms, every_ms)
    ]


@pytest.mark.parametrize("every_ms", [10, 100])
def test_a_braking_shows_in_the_speed_where_no_sensor_tells(every_ms: int) -> None:
    detector = HardBraking()
    events = fed(detector, slowing(8.0, 3000, every_ms, "can0"))
    events += [event for event in [detector.finish()] if event]
    [event] = events
    assert event.peak_mps2 == pytest.approx(8.0, abs=0.2)
    assert event.onset_mps is not None
    assert 17.0 < event.onset_mps < 25.0


def test_whole_km_an_hour_of_a_gentle_braking_are_no_event() -> None:
    detector = HardBraking()
    samples = [
        signal("speed.vehicle", round((25.0 - 1.5 * ms / 1000) * 3.6) / 3.6, ms, "obd")
        for ms in range(0, 10_000, 100)
    ]
    assert fed(detector, samples) == []
    assert detector.finish() is None


def test_two_sources_that_differ_are_no_braking() -> None:
    detector = HardBraking()
    samples = []
    for ms in range(0, 3000, 100):
        samples.append(signal("speed.vehicle", 25.0, ms, "can0"))
        samples.append(signal("speed.vehicle", 23.0, ms + 50, "obd"))
    assert fed(detector, samples) == []


def test_a_sensor_goes_before_the_slope_of_the_speed() -> None:
    detector = HardBraking()
    both = [
        s
        for pair in zip(slowing(8.0, 3000, 20, "can0"), braking(1.0, 0, 2980), strict=True)
        for s in pair
    ]
    assert fed(detector, both) == []


def test_samples_that_are_no_numbers_are_passed_over() -> None:
    detector = HardBraking()
    bad = signal("acceleration.longitudinal", math.nan, 100)
    [event] = fed(
        detector, [*braking(5.0, 0, 80), bad, *braking(5.0, 120, 200), *braking(0.0, 220, 220)]
    )
    assert event.peak_mps2 == 5.0


def test_a_reversing_car_brakes_with_a_positive_acceleration() -> None:
    detector = HardBraking()
    detector.update(signal("gear", 3.0, 0))
    detector.update(signal("speed.vehicle", 4.0, 0))
    [event] = fed(detector, [*braking(-6.0, 0, 300), *braking(0.0, 320, 340)])
    assert (event.peak_mps2, event.onset_mps) == (6.0, 4.0)


def test_a_reversing_car_that_gains_speed_does_not_brake() -> None:
    detector = HardBraking()
    detector.update(signal("gear", 3.0, 0))
    assert fed(detector, [*braking(6.0, 0, 300), *braking(0.0, 320, 340)]) == []


def test_a_speed_with_a_sign_tells_the_direction_without_a_gear() -> None:
    detector = HardBraking()
    detector.update(signal("speed.vehicle", -4.0, 0))
    [event] = fed(detector, [*braking(-6.0, 0, 300), *braking(0.0, 320, 340)])
    assert event.onset_mps == 4.0


def test_a_reverse_braking_shows_in_the_size_of_the_speed() -> None:
    detector = HardBraking()
    events = fed(
        detector,
        [signal("speed.vehicle", -8.0 + 6.0 * ms / 1000, ms) for ms in range(0, 1200, 20)],
    )
    events += [event for event in [detector.finish()] if event]
    assert len(events) == 1

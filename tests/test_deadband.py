import math
from itertools import pairwise

from agent.clock import SECOND
from agent.deadband import Band, DeadBand
from agent.signals import Signal

NAME = "engine.speed"
BAND = Band(width=0.5, longest_ns=60 * SECOND)


def kept(band: DeadBand, *values: float, step_s: float = 1.0) -> list[float]:
    signals = [
        Signal(NAME, value, round(place * step_s * SECOND), "obd")
        for place, value in enumerate(values)
    ]
    return [signal.value for signal in band.passed(signals)]


def test_a_value_within_the_band_of_the_last_recorded_one_is_left_out() -> None:
    band = DeadBand({NAME: BAND})
    assert kept(band, 10.0, 10.5, 9.5, 10.6, 10.2, 10.0) == [10.0, 10.6, 10.0]
    assert band.take() == {"obd": 3}
    assert band.take() == {}


def test_a_slow_drift_is_recorded_in_steps_of_the_band() -> None:
    drift = [place * 0.1 for place in range(100)]
    found = kept(DeadBand({NAME: BAND}), *drift)
    assert all(abs(a - b) <= 0.6 + 1e-9 for a, b in pairwise(found))
    assert 15 <= len(found) <= 20


def test_a_value_that_stands_is_recorded_once_in_the_longest_interval() -> None:
    assert len(kept(DeadBand({NAME: BAND}), *[7.0] * 241)) == 5


def test_a_band_of_no_width_leaves_out_equal_values_alone() -> None:
    band = DeadBand({NAME: Band(0.0, 60 * SECOND)})
    assert kept(band, 1.0, 1.0, 1.0000001, 1.0) == [1.0, 1.0000001, 1.0]


def test_what_is_no_number_is_recorded() -> None:
    found = kept(DeadBand({NAME: BAND}), 1.0, math.nan, math.nan, math.inf)
    assert len(found) == 4


def test_each_source_of_a_signal_and_each_signal_stands_alone() -> None:
    band = DeadBand({NAME: BAND})
    batch = [Signal(NAME, 1.0, 0, "obd"), Signal(NAME, 1.0, 0, "can0"), Signal("gear", 1, 0, "obd")]
    assert band.passed(batch) == batch
    assert band.passed(batch) == batch[2:]


def test_a_clock_that_is_set_back_hides_nothing() -> None:
    assert kept(DeadBand({NAME: BAND}), 1.0, 1.0, step_s=-3600.0) == [1.0, 1.0]

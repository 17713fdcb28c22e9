"""The age of what a source tells, where our clock is good enough to say."""

from pathlib import Path

import pytest

from agent.archive import archive
from agent.clock import MS, SECOND, ClockQuality, ManualClock
from agent.compose import recorder
from agent.events import SourceTimed
from agent.installed import codec
from agent.latency import EVERY_NS, Latency
from agent.position import PositionFix
from tests.conftest import START_NS
from tests.opened import opened

NTP = ClockQuality.NTP


def test_ages_are_told_every_ten_minutes_and_at_the_end() -> None:
    latency = Latency("gnss")
    due = [latency.take(age * MS, n * SECOND, NTP) for n, age in enumerate([80, 120, 100])]
    assert due == [None] * 3
    assert latency.take(500 * MS, EVERY_NS, NTP) == SourceTimed(
        "gnss", 3, 80 * MS, 100 * MS, 120 * MS
    )
    assert latency.finish() == SourceTimed("gnss", 1, 500 * MS, 500 * MS, 500 * MS)
    assert latency.finish() is None


@pytest.mark.parametrize("quality", [quality for quality in ClockQuality if quality != NTP])
def test_nothing_is_measured_with_a_clock_that_nobody_keeps_right(quality: ClockQuality) -> None:
    latency = Latency("gnss")
    latency.take(80 * MS, 0, quality)
    assert latency.finish() is None


@pytest.mark.parametrize("age_ns", [-1, SECOND + 1, -86_400 * SECOND])
def test_an_age_that_none_can_be_is_that_of_a_wrong_clock(age_ns: int) -> None:
    latency = Latency("gnss")
    latency.take(age_ns, 0, NTP)
    assert latency.finish() is None


class KeptClock(ManualClock):
    quality = NTP


def test_the_age_of_the_fixes_of_a_drive_is_in_its_log(tmp_path: Path) -> None:
    clock = KeptClock(START_NS)
    with archive(tmp_path / "state", clock, wait=True) as parts:
        core = recorder(parts, None, codec())
        for n in range(20):
            clock.advance(100 * MS)
            now_ns = clock.now_ns()
            core.position(
                PositionFix(
                    t_ns=now_ns - (60 + n) * MS,
                    arrived_ns=now_ns,
                    latitude_deg=50.0,
                    longitude_deg=8.0,
                )
            )
        core.finish()
        told = [event for event in opened(parts) if isinstance(event, SourceTimed)]
    assert told == [SourceTimed("gnss", 20, 60 * MS, 69_500_000, 79 * MS)]

"""The file of polls: what is refused, how that is said, and what comes of it."""

from pathlib import Path

import pytest

from agent.clock import SECOND
from agent.deadband import Band
from agent.errors import ConfigError
from agent.obd.needs import STORED_CODES, VIN
from agent.obd.poll import Need
from agent.obd.question import Question
from agent.polls import Polls, parse_polls

GOOD = """
version = 1
serial = 1
[[signal]]
name = "engine.speed"
period_s = 0.1
deadline_s = 0.3
priority = 5
dead_band = 0.5
longest_s = 10
[[signal]]
name = "fuel.level"
period_s = 30
[[signal]]
name = "can.Doors.Front"
dead_band = 0
"""


def loaded(tmp_path: Path, text: str) -> Polls:
    return parse_polls(tmp_path / "polls.toml", text.encode())


def test_what_has_a_period_is_asked_beside_vin_and_codes_and_nothing_else(tmp_path: Path) -> None:
    needs = loaded(tmp_path, GOOD).needs()
    assert {VIN, STORED_CODES} < {need.question for need in needs}
    values = [
        need for need in needs if need.question.service == 1 and (need.question.pid or 0) % 32 > 1
    ]
    assert values == [
        Need(Question(0x01, 0x0C), 0.1, 0.3, 5),
        Need(Question(0x01, 0x2F), 30.0, 30.0, 0),
    ]


def test_what_has_a_dead_band_is_thinned(tmp_path: Path) -> None:
    assert loaded(tmp_path, GOOD).bands() == {
        "engine.speed": Band(0.5, 10 * SECOND),
        "can.Doors.Front": Band(0.0, 60 * SECOND),
    }


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("version = 1", "version = 2", "version = 2: Expected `int` <= 1"),
        ("version = 1", "", "missing required field `version`"),
        ("serial = 1", "", "missing required field `serial`"),
        ("serial = 1", "serial = 0", "serial = 0: Expected `int` >= 1"),
        ("serial = 1", f"serial = {1 << 63}", f"serial = {1 << 63}: "),
        (
            "period_s = 0.1",
            "period_s = 0.01",
            "signal[0].period_s = 0.01: Expected `float` >= 0.05",
        ),
        ("priority = 5", "priority = 10", "signal[0].priority = 10: Expected `int` <= 9"),
        ("dead_band = 0.5", "dead_band = nan", "signal[0].dead_band = nan"),
        ("dead_band = 0.5", "dead_band = -1", "signal[0].dead_band = -1: Expected `float` >= 0"),
        (
            "longest_s = 10",
            "longest_s = 9999",
            "signal[0].longest_s = 9999: Expected `float` <= 36",
        ),
        ("deadline_s", "dedline_s", "unknown field `dedline_s`"),
        ("fuel.level", "fuel.levl", "signal[1].name = 'fuel.levl': neither in docs/signals.md"),
        ("fuel.level", "engine.speed", "signal[1].name = 'engine.speed': it is signal[0] as well"),
        ("fuel.level", "brake.pedal", "signal[1].period_s = 30.0: no question brings brake.pedal"),
        (
            "dead_band = 0\n",
            "",
            "signal[2].name = 'can.Doors.Front': one of period_s and dead_band",
        ),
        ("dead_band = 0\n", "dead_band = 0\npriority = 3", "signal[2].priority = 3: only together"),
        (
            "period_s = 30",
            "period_s = 30\nlongest_s = 5",
            "signal[1].longest_s = 5.0: only together",
        ),
        ("version = 1", "version = = 1", "not TOML"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_with_key_value_and_limit(
    tmp_path: Path, old: str, new: str, said: str
) -> None:
    assert old in GOOD
    with pytest.raises(ConfigError) as caught:
        loaded(tmp_path, GOOD.replace(old, new, 1))
    assert said in str(caught.value)
    assert "polls.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_example_in_the_repository_loads() -> None:
    example = Path(__file__).parent.parent / "systemd" / "polls.toml"
    assert parse_polls(example, example.read_bytes()).needs()

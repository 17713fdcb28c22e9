import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError
from agent.obd.condition import LONGEST, Condition

CAR = {"speed.vehicle": 20.0, "brake.pedal": 0.0, "can.Doors.Front": 1.0}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("speed.vehicle > 5", True),
        ("speed.vehicle > 5 and brake.pedal > 0", False),
        ("speed.vehicle > 50 or can.Doors.Front == 1", True),
        ("not brake.pedal > 0", True),
        ("10 < speed.vehicle <= 20", True),
        ("10 < speed.vehicle < 20", False),
        ("-speed.vehicle < -19.5", True),
        ("(brake.pedal != 0 or speed.vehicle >= 20.0) and not can.Doors.Front < 1", True),
    ],
)
def test_a_condition_holds_as_it_reads(text: str, holds: bool) -> None:
    assert Condition(text).holds(CAR) is holds


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("fuel.level < 1", False),
        ("not fuel.level < 1", False),
        ("fuel.level < 1 or speed.vehicle > 5", True),
        ("fuel.level < 1 and speed.vehicle > 5", False),
        ("not (fuel.level < 1 and speed.vehicle > 50)", True),
    ],
)
def test_a_signal_nobody_has_seen_makes_nothing_true(text: str, holds: bool) -> None:
    assert Condition(text).holds(CAR) is holds


def test_names_are_those_of_the_signals() -> None:
    assert Condition("1 < a.b and not c.d.e == f").names == {"a.b", "c.d.e", "f"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "speed.vehicle",
        "1",
        "True",
        "speed.vehicle > True",
        "speed.vehicle > 'x'",
        "speed.vehicle > 1j",
        "speed.vehicle + 1 > 2",
        "speed.vehicle in 1",
        "speed.vehicle is 1",
        "__import__('os').system('true') > 0",
        "().__class__ > 1",
        "[x for x in y] > 1",
        "(lambda: 1)() > 0",
        "f'{1}' > 1",
        "a.b[0] > 1",
        "(a := 1) > 0",
        "a > 1 if b > 1 else c > 1",
        "a > 1; b > 1",
        "a > 1\nb > 1",
        "a > 1or b > 2",
        "\0",
        "(" * 300 + "a > 1" + ")" * 300 + " " * 0,
        "not " * 120 + "a",
        "a > 1" + " or a > 1" * LONGEST,
    ],
)
def test_what_is_outside_the_grammar_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Condition(text)
    assert "\n" not in str(caught.value)


@given(st.text(alphabet="ab.<>=!()andornt 01-+*'\"[]{}:;,\\\n", max_size=LONGEST))
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    try:
        condition = Condition(text)
    except ConfigError:
        return
    assert condition.holds({}) in {True, False}

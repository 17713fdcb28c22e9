"""Answers of four real cars, with the values their owners published (OBDb contributors)."""

from collections import Counter
from math import isclose

import msgspec
import pytest

from agent.errors import MalformedInputError
from agent.obd.answer import Recorded, decoded
from agent.obd.bitfield import Value
from agent.obd.signalset import load_signal_set, signal_set
from tests.shared import SHARED, needs_shared

OBD = SHARED / "data" / "obd"
ROWS = {
    "toyota-rav4": 1334,
    "hyundai-kona-electric": 495,
    "toyota-4runner": 2245,
    "honda-civic": 5910,
}
SENSOR_TRIM = (
    "the trim of an oxygen sensor (PIDs 14 to 1B) has -128 in the published value, not -100"
)
NOT_USED = "the trim of an oxygen sensor that is not used (FF) is published as a number"
CUT = (
    "lines ran together and lost characters; the published values behind the gap are not the car's"
)
EXCEPTIONS = {
    "toyota-rav4": {},
    "hyundai-kona-electric": {CUT: 8},
    "toyota-4runner": {NOT_USED: 8},
    "honda-civic": {SENSOR_TRIM: 8, NOT_USED: 5},
}


class Row(Recorded, frozen=True):
    expected_values: dict[str, Value] = msgspec.field(default_factory=dict)


def same(one: Value | None, two: Value) -> bool:
    """Published values have five decimals."""
    if isinstance(one, int | float) and isinstance(two, int | float):
        return isclose(one, two, rel_tol=1e-9, abs_tol=0.6e-5)
    return one == two


def exception(row: Row, values: dict[str, Value], cut: tuple[str, ...]) -> str | None:
    """Why the row differs; None where nobody knows."""
    wrong = {
        name for name, value in row.expected_values.items() if not same(values.get(name), value)
    }
    published = row.expected_values
    if cut and not wrong & values.keys() and any(len(line) > 19 for line in row.response):
        return CUT
    if len(wrong) != 1 or not row.command_id.endswith(("0115", "0119")):
        return None
    (trim,) = wrong
    if trim not in values:
        return NOT_USED if row.response[0].endswith("FF") else None
    right, other = values[trim], published[trim]
    assert isinstance(right, float)
    assert isinstance(other, int | float)
    return SENSOR_TRIM if isclose(right - other, 28.0, abs_tol=1e-4) else None


@needs_shared
@pytest.mark.parametrize("car", ROWS)
def test_every_answer_of_a_real_car_means_what_was_published(car: str) -> None:
    """But for rows whose published values are wrong, each kind of them named and counted."""
    sets = [load_signal_set(OBD / f"{name}.signalset.json") for name in (car, "saej1979")]
    assert not any(one.complaints for one in sets)
    lines = (OBD / f"{car}.responses.jsonl").read_bytes().splitlines()
    assert len(lines) == ROWS[car]
    exceptions: Counter[str] = Counter()
    for number, line in enumerate(lines, 1):
        row = msgspec.json.decode(line, type=Row)
        try:
            found = decoded(row, sets)
        except MalformedInputError:
            assert not row.expected_values, f"line {number}"
            continue
        values = found.values
        agrees = all(same(values.get(name), value) for name, value in row.expected_values.items())
        if agrees and values.keys() == row.expected_values.keys():
            continue
        reason = exception(row, values, found.cut)
        assert reason, f"line {number}: {row.command_id}: {values} and not {row.expected_values}"
        exceptions[reason] += 1
    assert exceptions == EXCEPTIONS[car]


SET = signal_set(b"""{"commands": [
  {"hdr": "7E0", "cmd": {"22": "0101"}, "filter": {"to": 2018},
   "signals": [{"id": "OLD", "fmt": {"len": 8}}]},
  {"hdr": "7E0", "cmd": {"22": "0101"}, "filter": {"from": 2019},
   "signals": [{"id": "NEW", "fmt": {"len": 8}}]},
  {"hdr": "7E0", "cmd": {"01": "0D"}, "signals": [{"id": "SPEED", "fmt": {"len": 8}}]}]}""")


def test_model_years_in_the_name_choose_among_commands() -> None:
    for years, name in (("-2018", "OLD"), ("2019-", "NEW")):
        row = Recorded(f"7E0.7E8.220101|fc=1,f={years}", ("7E80462010155",))
        assert decoded(row, [SET]).values == {name: 0x55}


def test_address_byte_that_the_name_tells_of_is_left_out() -> None:
    row = Recorded("7E0.7E8.220101|e=2A,fc=1", ("7582A0462010155",))
    assert decoded(row, [SET]).ecus["758"] == {"OLD": 0x55, "NEW": 0x55}


def test_of_several_ecus_each_has_its_values_and_the_last_one_counts() -> None:
    found = decoded(Recorded("DB33.010D", ("18DAF11003410D10", "18DAF11D03410D11")), [SET])
    assert found.ecus == {"18DAF110": {"SPEED": 16}, "18DAF11D": {"SPEED": 17}}
    assert found.values == {"SPEED": 17}


@pytest.mark.parametrize(
    ("name", "lines", "reason"),
    [
        ("7E0.0105", ("7E803410556",), "no signal set has it"),
        ("7E1.220101", ("7E80462010155",), "no signal set has it"),
        ("speed", ("7E803410D56",), "is no command"),
        ("7E0.010D", ("7E803410556", "NO DATA"), "none is an answer"),
        ("7E0.010D", (), "0 lines"),
    ],
)
def test_what_cannot_be_decoded_says_why(name: str, lines: tuple[str, ...], reason: str) -> None:
    with pytest.raises(MalformedInputError, match=reason):
        decoded(Recorded(name, lines), [SET])

"""CSV that every reader takes apart alike, and that no spreadsheet calculates with."""

import csv
import io
import math
import re

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm.cells import unescaped
from agent.events import DtcSet, SignalsSampled
from agent.export.commas import HEADER, write
from agent.export.seen import Seen, seen
from tests.export.made import T0_NS, made, recorded, sampled

NUMBER = re.compile(r"[-+]?[\d.]+([eE][-+]?\d+)?")
FORMULAS = ["=1+2", "+1+2", "-1+2", "@SUM(A1)", "\t=1", "\r=1", "'=1", "=cmd|'/C calc'!A0"]

FIELDS = '{"code":"P0301","ecu":"7E8","memory":"stored"}'

words = st.one_of(st.sampled_from(FORMULAS), st.text(st.characters(codec="utf-8"), max_size=12))


def written(*events: Seen) -> bytes:
    out = io.BytesIO()
    write(events, out)
    return out.getvalue()


def table(*events: Seen) -> list[list[str]]:
    text = written(*events).decode()
    return list(csv.reader(io.StringIO(text, newline=""), strict=True))


def test_the_header_is_always_the_same() -> None:
    assert written() == b"seq,time,boot,kind,level,origin,name,value,unit,fields\r\n"


def test_a_sample_and_an_event_are_rows_of_the_same_width() -> None:
    assert table(sampled("can0", gear=([1], [2.0])), made(DtcSet("P0301", "7E8"), seq=2)) == [
        list(HEADER),
        [
            "1",
            "2023-11-14T22:13:20.123456790Z",
            "1",
            "signals-sampled/1",
            "3",
            "can0",
            "gear",
            "2.0",
            "state",
            "",
        ],
        [*["2", "2023-11-14T22:13:20.123456789Z", "1", "dtc-set/1", "3", "", "", "", ""], FIELDS],
    ]


@settings(max_examples=50)
@given(origin=words, name=words, field=words)
def test_rt_81_no_cell_is_a_formula_and_no_text_is_lost(origin: str, name: str, field: str) -> None:
    strange = seen(recorded("=1+1/1", b""), None)
    samples = made(SignalsSampled(origin, T0_NS, {name: ([0], [-1.5])}))

    found = table(samples, made(DtcSet(field, field)), strange)

    for row in found:
        assert len(row) == len(HEADER)
        for cell in row:
            assert NUMBER.fullmatch(cell) or not cell.startswith(("=", "+", "-", "@", "\t", "\r"))
    assert [unescaped(cell) for cell in found[1][5:8]] == [origin, name, "-1.5"]
    assert unescaped(found[3][3]) == "=1+1/1"


@given(st.floats())
def test_a_value_comes_back_to_the_last_bit(value: float) -> None:
    cell = table(sampled("can0", gear=([0], [value])))[1][7]
    back = float(unescaped(cell))
    assert back == value or (math.isnan(back) and math.isnan(value))
    assert math.copysign(1, back) == math.copysign(1, value) or math.isnan(value)


def test_a_name_with_line_ends_and_quotes_stays_one_cell() -> None:
    name = 'a"b,\r\nc\rd\ne'
    found = table(made(SignalsSampled("can0", T0_NS, {name: ([0], [1.0])})))
    assert len(found) == 2
    assert found[1][6] == name

import json
from typing import Any

import pytest

from agent.errors import MalformedInputError
from agent.obd.setsignals import set_signals
from agent.obd.signalset import Command, signal_set


def command(*signals: dict[str, Any]) -> Command:
    content = {"commands": [{"hdr": "7E0", "cmd": {"22": "0101"}, "signals": signals}]}
    return signal_set(json.dumps(content).encode()).commands[0]


CAR = command(
    {"id": "battery.charge", "fmt": {"len": 8, "div": 2, "unit": "percent"}},
    {"id": "odometer", "fmt": {"bix": 8, "len": 8, "nullmin": 0, "unit": "miles"}},
    {"id": "CAR_MODE", "fmt": {"bix": 16, "len": 8, "map": {"1": {"value": "SPORT"}}}},
    {"id": "CAR_NAME", "fmt": {"bix": 24, "len": 16, "unit": "ascii"}},
)


def values(data: str) -> dict[str, float]:
    return {one.name: one.value for one in set_signals(CAR, bytes.fromhex(data), 7)}


def test_our_names_are_in_si_and_others_as_the_set_has_them() -> None:
    assert values("900A014142") == pytest.approx(
        {"battery.charge": 0.72, "odometer": 16093.44, "obd.CAR_MODE": 1}
    )
    assert {(one.t_ns, one.origin) for one in set_signals(CAR, bytes(5), 7)} == {(7, "obd")}


def test_what_is_no_reading_or_did_not_come_is_left_out() -> None:
    assert values("9000") == {"battery.charge": 0.72}


def test_answer_without_any_of_them_is_refused() -> None:
    with pytest.raises(MalformedInputError, match="0 bytes"):
        set_signals(CAR, b"", 0)

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UsageError
from agent.obd.bitfield import Format, Meaning
from agent.obd.signalset import Command, Years, load_signal_set, signal_set


def one_command(cmd: dict[str, str], **fmt: Any) -> Command:
    content = {"commands": [{"hdr": "7E0", "cmd": cmd, "signals": [{"id": "A", "fmt": fmt}]}]}
    (command,) = signal_set(json.dumps(content).encode()).commands
    return command


@pytest.mark.parametrize(
    ("fmt", "data", "value"),
    [
        (Format(len=8), "56", 86),
        (Format(len=7, bix=1), "86", 6),
        (Format(len=16, bix=8, sign=True, min=-40, div=10), "00FFF6", -1),
        (Format(len=16, blsb=True, sign=True, div=100, min=-180), "9CFF", -1),
        (Format(len=8, mul=100, div=255), "FF", 100),
        (Format(len=8, add=-40, min=-40), "00", -40),
        (Format(len=8, div=58, add=-0.5, max=4), "00", 0),
        (Format(len=8, div=58, add=-0.5, max=4), "FFFF", 255 / 58 - 0.5),
        (Format(len=8, max=100), "C8", 100),
        (Format(len=8, nullmin=0), "00", None),
        (Format(len=8, nullmin=0), "01", 1),
        (Format(len=8, nullmax=255), "FF", None),
        (Format(len=8, map={"1": Meaning("on")}), "01", "on"),
        (Format(len=8, map={"1": Meaning("on")}), "02", None),
        (Format(len=8, bix=8), "56", None),
        (Format(len=32, bix=8, unit="ascii"), "0041422D00", "AB-"),
        (Format(len=32, unit="ascii"), "4142", None),
    ],
)
def test_bits_become_the_value_they_stand_for(fmt: Format, data: str, value: object) -> None:
    found = fmt.decode(bytes.fromhex(data))
    assert found == (pytest.approx(value) if isinstance(value, float) else value)


@given(st.binary(max_size=40), st.integers(1, 100), st.integers(0, 330), st.integers(0, 1))
def test_bits_are_those_of_the_wire(data: bytes, length: int, first: int, sign: int) -> None:
    found = Format(len=length, bix=first, sign=bool(sign), min=-(2.0**100)).decode(data)
    bits = "".join(f"{byte:08b}" for byte in data)[first : first + length]
    if len(bits) < length:
        assert found is None
    else:
        whole = int(bits, 2)
        assert found == float(whole - (1 << length) * (sign and bits[0] == "1"))


@pytest.mark.parametrize(
    ("cmd", "data", "value"),
    [
        ({"01": "06"}, "410600", -100),
        ({"01": "06"}, "410680", 0),
        ({"01": "09"}, "4109FF", 99.21875),
        ({"01": "2D"}, "412D00", -100),
        ({"01": "14"}, "411482", 1.5625),
        ({"01": "14"}, "4114FF", None),
        ({"22": "0106"}, "62010680", -28),
    ],
)
def test_fuel_trims_are_those_of_j1979(cmd: dict[str, str], data: str, value: float | None) -> None:
    """The offset of -128 that OBDb gives them there is put right, and nowhere else."""
    command = one_command(cmd, len=8, min=-100, max=99.22, mul=100, div=128, add=-128)
    found = command.decode(bytes.fromhex(data))
    assert found == ({} if value is None else {"A": value})


def test_another_answer_is_no_answer() -> None:
    command = one_command({"22": "0101"}, len=8)
    assert command.decode(bytes.fromhex("62010155")) == {"A": 0x55}
    for other in ("62010255", "7F2231", "6201", ""):
        assert command.decode(bytes.fromhex(other)) is None


@pytest.mark.parametrize(
    ("years", "inside", "outside"),
    [
        (Years(first=2020), {2020, 2030}, {2019}),
        (Years(to=2018), {2018, 1996}, {2019}),
        (Years(first=2022, to=2011, years=(2013,)), {2011, 2013, 2022}, {2012, 2021}),
        (Years(first=2015, to=2018, years=(2021,)), {2015, 2018, 2021}, {2014, 2019, 2020}),
    ],
)
def test_model_years_are_ranges_and_single_ones(
    years: Years, inside: set[int], outside: set[int]
) -> None:
    assert all(year in years for year in inside)
    assert not any(year in years for year in outside)


def test_a_bad_command_costs_that_command_and_is_named() -> None:
    good = {"hdr": "7E0", "cmd": {"22": "0101"}, "signals": [{"id": "A", "fmt": {"len": 8}}]}
    bad: list[dict[str, Any]] = [
        {**good, "cmd": {"22": "01G1"}},
        {**good, "cmd": {}},
        {**good, "hdr": "seven"},
        {**good, "signals": 5},
    ]
    found = signal_set(json.dumps({"commands": [*bad, good]}).encode())
    assert len(found.commands) == 1
    assert [text.partition(":")[0] for text in found.complaints] == [
        f"commands[{number}]" for number in range(len(bad))
    ]


def test_a_bad_signal_costs_that_signal_and_is_named() -> None:
    formats: list[dict[str, Any]] = [
        {"len": 0},
        {"len": 1001},
        {"len": 8, "div": 0},
        {"len": 8, "mul": 1e300, "div": 1e-300},
        {"len": "8"},
    ]
    signals = [{"id": "A", "fmt": fmt} for fmt in [*formats, {"len": 8}]]
    content = {"commands": [{"hdr": "7E0", "cmd": {"22": "0101"}, "signals": signals}]}
    found = signal_set(json.dumps(content).encode())
    assert found.commands[0].decode(bytes.fromhex("62010155")) == {"A": 0x55}
    assert [text.partition(":")[0] for text in found.complaints] == [
        f"commands[0].signals[{number}]" for number in range(len(formats))
    ]


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b'{"commands": 5}', b"\xff", b"[" * 9999])
def test_a_file_that_is_no_signal_set_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "car.json"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"car\.json: not a signal set"):
        load_signal_set(path)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"none\.json: No such file"):
        load_signal_set(tmp_path / "none.json")

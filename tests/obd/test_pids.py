import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.obd.pids import PIDS, signal, supported
from agent.privacy import LEVELS

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "obd"

TO_SI = {
    "percent": lambda value: value / 100,
    "celsius": lambda value: value + 273.15,
    "rpm": lambda value: value / 60,
    "kilometersPerHour": lambda value: value / 3.6,
    "seconds": lambda value: value,
    "kilopascal": lambda value: value * 1000,
    "volts": lambda value: value,
    "kilometers": lambda value: value * 1000,
    "litersPerHour": lambda value: value / 3.6e6,
}


@pytest.mark.parametrize(
    ("pid", "data", "name", "si"),
    [
        (0x04, "80", "engine.load", 128 / 255),
        (0x05, "50", "engine.coolant.temperature", 313.15),
        (0x0C, "1AF8", "engine.speed", 1726 / 60),
        (0x0D, "32", "speed.vehicle", 50 / 3.6),
        (0x11, "FF", "throttle.position", 1.0),
        (0x1F, "0102", "engine.run_time", 258.0),
        (0x33, "64", "air.pressure", 100_000.0),
        (0x42, "36B0", "supply.voltage", 14.0),
        (0x46, "00", "air.temperature", 233.15),
        (0x5B, "CC", "battery.charge", 0.8),
        (0x5E, "0100", "engine.fuel_rate", 12.8e-3 / 3600),
        (0xA6, "0002C6AB", "odometer", 18_193_100.0),
    ],
)
def test_answer_becomes_a_signal_in_si(pid: int, data: str, name: str, si: float) -> None:
    found = signal(pid, bytes.fromhex(data), 7)
    assert (found.name, found.t_ns, found.origin) == (name, 7, "obd")
    assert found.value == pytest.approx(si)


def test_every_name_has_a_level() -> None:
    assert {known.name for known in PIDS.values()} <= LEVELS.keys()


def test_padding_behind_the_value_changes_nothing() -> None:
    assert signal(0x0D, b"\x32\x55\x55\x55", 0) == signal(0x0D, b"\x32", 0)


@pytest.mark.parametrize(("pid", "data"), [(0x0C, "1A"), (0x0D, ""), (0xA6, "0002C6")])
def test_short_answer_is_refused(pid: int, data: str) -> None:
    with pytest.raises(MalformedInputError, match="bytes"):
        signal(pid, bytes.fromhex(data), 0)


def test_unknown_pid_is_refused() -> None:
    with pytest.raises(MalformedInputError, match="PID 99"):
        signal(0x99, b"\0\0\0\0", 0)


@given(st.sampled_from(sorted(PIDS)), st.binary(max_size=12))
def test_any_bytes_are_a_number_or_malformed(pid: int, data: bytes) -> None:
    try:
        assert isinstance(signal(pid, data, 0).value, float)
    except MalformedInputError:
        assert len(data) < PIDS[pid].size


def test_list_of_pids_is_read_from_the_left() -> None:
    assert supported(0x00, bytes.fromhex("80000001")) == {0x01, 0x20}
    assert supported(0xA0, bytes.fromhex("04000000")) == {0xA6}
    with pytest.raises(MalformedInputError):
        supported(0x00, b"\x80")


def value_of(line: str, pid: int) -> bytes | None:
    """The value in a single frame as an adapter prints it: identifier, length, 41, PID, value."""
    line = line.replace(" ", "")
    body = line[8:] if line.startswith("18DA") else line[3:]
    if body[2:6] != f"41{pid:02X}":
        return None
    frame = bytes.fromhex(body)
    return frame[3 : 1 + frame[0]]


def answers() -> list[tuple[int, bytes | None, dict[str, Any]]]:
    """Real cars' answers to the PIDs we know.

    Where several ECUs answered, the published value is the last one's: nothing says so, but
    all 1,595 rows fit, and for 328 of them the first line does not.
    """
    found = []
    for file in sorted(SHARED.glob("*.responses.jsonl")):
        for row in map(json.loads, file.read_text(encoding="utf-8").splitlines()):
            asked = row["command_id"].split("|")[0].split(".")[-1]
            if len(asked) == 4 and asked.startswith("01") and bytes.fromhex(asked)[1] in PIDS:
                pid = bytes.fromhex(asked)[1]
                values = [value_of(line, pid) for line in row["response"]]
                last = next((value for value in reversed(values) if value is not None), None)
                found.append((pid, last, row["expected_values"]))
    return found


def units() -> dict[tuple[int, str], str]:
    table = json.loads((SHARED / "saej1979.signalset.json").read_text(encoding="utf-8"))
    return {
        (int(command["cmd"]["01"], 16), entry["id"]): entry["fmt"]["unit"]
        for command in table["commands"]
        for entry in command["signals"]
        if "01" in command["cmd"] and "unit" in entry["fmt"]
    }


@pytest.mark.skipif(not SHARED.exists(), reason=f"no recorded answers beside the project: {SHARED}")
def test_answers_of_real_cars_decode_to_their_published_values() -> None:
    unit_of, counts = units(), Counter[str]()
    for pid, data, expected in answers():
        [(name, published)] = expected.items()
        if data is None:
            counts["without an answer in it"] += 1
            continue
        ours = signal(pid, data, 0).value
        si = TO_SI[unit_of[pid, name]](published)
        agrees = ours == pytest.approx(si, rel=1e-5, abs=1e-5)
        counts["agree" if agrees else f"{pid:02X} {data.hex()} {expected}"] += 1
    assert set(counts) == {"agree"}
    assert counts["agree"] > 1500

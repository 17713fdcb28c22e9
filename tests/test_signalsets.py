"""Signal sets by configuration, and that ours of two electric cars say what the cars say."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
import pytest
from structlog.testing import capture_logs

from agent.config import BusConfig
from agent.errors import ConfigError, UsageError
from agent.obd.answer import Recorded, decoded
from agent.obd.assemble import assembled
from agent.obd.bitfield import Value
from agent.obd.setsignals import set_signals
from agent.obd.signalset import signal_set
from agent.obd.units import conversion
from agent.privacy import LEVELS
from agent.signalsets import signal_commands
from tests.shared import SHARED, needs_shared

OBD = SHARED / "data" / "obd"
OURS = ("hyundai-kona-electric", "honda-civic-hybrid")
KONA = {
    "battery.voltage": ("KONAEV_HVBAT_VDC", "V"),
    "battery.temperature": ("KONAEV_HVBAT_MOD1_T", "degC"),
    "supply.voltage": ("KONAEV_VPWR", "V"),
    "battery.energy.charged": ("KONAEV_HVBAT_CHRG_TOT_E", "kWh"),
    "battery.energy.discharged": ("KONAEV_HVBAT_DSCH_TOT_E", "kWh"),
    "battery.health": ("KONAEV_HVBAT_SOH", "%"),
    "battery.charge": ("KONAEV_HVBAT_SOC_DISP", "%"),
}
CIVIC = {
    "battery.charge": ("CIVIC_SOC", "%"),
    "battery.current": ("CIVIC_HVB_C_TOTAL", "A"),
    "battery.voltage": ("CIVIC_HVB_V", "V"),
    "battery.temperature": ("CIVIC_HVB_MOD_1A_T", "degC"),
}


class Row(Recorded, frozen=True):
    expected_values: dict[str, Value] = msgspec.field(default_factory=dict)


def limited(name: str, value: float) -> float:
    """Published currents of the Civic end at -100 A and 200 A; those of the car do not."""
    return min(max(value, -100.0), 200.0) if name == "battery.current" else value


def bus(**other: Any) -> BusConfig:
    return BusConfig(uri="virtual:x", queries=True, **other)


@pytest.mark.parametrize("name", OURS)
def test_our_own_sets_use_our_own_names(name: str) -> None:
    commands = signal_commands(bus(signals=(name,)))
    names = {signal.id for command in commands.values() for signal in command.signals}
    assert {"battery.charge", "battery.voltage", "battery.current"} <= names <= LEVELS.keys()


@needs_shared
@pytest.mark.parametrize(
    ("name", "car", "published", "rows"),
    [(OURS[0], OURS[0], KONA, 327), (OURS[1], "honda-civic", CIVIC, 300)],
)
def test_our_own_sets_say_what_owners_of_such_cars_published(
    name: str, car: str, published: dict[str, tuple[str, str]], rows: int
) -> None:
    """In SI, from the same answers; rows: at least so many were compared."""
    own = signal_set((files("agent.dbc") / f"{name}.json").read_bytes())
    compared = 0
    for line in (OBD / f"{car}.responses.jsonl").read_bytes().splitlines():
        row = msgspec.json.decode(line, type=Row)
        for message in assembled(row.response):
            for command in own.commands:
                if command.decode(message.payload) is None or not message.whole:
                    continue
                data = message.payload[len(command.request) :]
                found = {s.name: s.value for s in set_signals(command, data, 0)}
                for ours, (theirs, unit) in published.items():
                    value = row.expected_values.get(theirs)
                    if ours in found and isinstance(value, int | float):
                        factor, offset = conversion(unit, ours)
                        value = value * factor + offset
                        assert limited(ours, found[ours]) == pytest.approx(value), (ours, row)
                        compared += 1
    assert compared >= rows


@needs_shared
def test_a_current_of_the_kona_is_negative_while_it_recuperates() -> None:
    """Published without a sign; the voltage of the battery tells which way it flows."""
    own = signal_set((files("agent.dbc") / f"{OURS[0]}.json").read_bytes())
    volts: dict[str, list[float]] = {"in": [], "out": []}
    for line in (OBD / f"{OURS[0]}.responses.jsonl").read_bytes().splitlines():
        row = msgspec.json.decode(line, type=Row)
        if row.command_id.startswith("7E4.7EC.220101") and not decoded(row, [own]).cut:
            values = decoded(row, [own]).values
            current, voltage = values["battery.current"], values.get("battery.voltage")
            assert isinstance(current, float)
            assert -400 < current < 400
            charge = row.expected_values["KONAEV_HVBAT_SOC"]
            assert isinstance(charge, int | float)
            if isinstance(voltage, float) and 10 < charge < 13 and abs(current) > 40:
                volts["in" if current < 0 else "out"].append(voltage)
    assert min(volts["in"]) > max(volts["out"])


def test_a_file_is_taken_too_and_what_is_not_asked_is_told(tmp_path: Path) -> None:
    path = tmp_path / "car.json"
    fmt = '{"len": 8, "unit": "percent"}'
    path.write_text(
        '{"commands": [{"hdr": "7E4", "cmd": {"22": "01"}, "signals": []}, {"hdr": "7E4",'
        f'"cmd": {{"22": "0101"}}, "signals": [{{"id": "battery.charge", "fmt": {fmt}}}]}}]}}',
        encoding="utf-8",
    )
    [command] = signal_commands(bus(signals=(str(path),))).values()
    assert command.cmd == {"22": "0101"}


def test_a_set_with_nothing_to_ask_is_a_wrong_configuration(tmp_path: Path) -> None:
    path = tmp_path / "car.json"
    path.write_text(
        '{"commands": [{"hdr": "7E0", "cmd": {"2F": "01"}, "signals": []}]}', encoding="utf-8"
    )
    with pytest.raises(ConfigError, match=r"none of 1 commands may be asked.*: 1 service 2F"):
        signal_commands(bus(signals=(str(path),)))
    with pytest.raises(UsageError, match="No such file"):
        signal_commands(bus(signals=("no-such-car",)))


@needs_shared
def test_a_set_that_asks_by_local_identifiers_is_asked_but_for_extended_addresses() -> None:
    with capture_logs() as lines:
        found = signal_commands(
            bus(signals=(str(OBD / "toyota-rav4.signalset.json"),), model_year=2014)
        )
    assert sum(question.service == 0x21 for question in found) == 45
    assert all(question.at is not None for question in found)
    assert "2 extended addressing" in lines[0]["left_out"]


def test_one_of_our_names_in_a_unit_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "car.json"
    path.write_text(
        '{"commands": [{"hdr": "7E0", "cmd": {"22": "0101"}, "signals": '
        '[{"id": "battery.charge", "fmt": {"len": 8, "unit": "celsius"}}]}]}',
        encoding="utf-8",
    )
    with pytest.raises(ConfigError, match=r"battery\.charge: unit 'degC'"):
        signal_commands(bus(signals=(str(path),)))

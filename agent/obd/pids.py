"""Answers to service 01 as signals: the PIDs that have a name in docs/signals.md.

Scaling is python-OBD's, by SAE J1979; this is the one module that imports it (it is GPL).
What it does not know is decoded here. One answer's bytes are decoded once and remembered:
its quantities with units are slow to convert.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

import msgspec

from agent.errors import MalformedInputError
from agent.lean import without
from agent.obd.question import CURRENT_DATA
from agent.signals import Signal

with without("numpy"):  # its units would bring it along
    import obd

ORIGIN: Final = "obd"
REMEMBERED: Final = 4096


class _Pid(msgspec.Struct, frozen=True):
    """size: bytes of the value; value: bytes to SI"""

    name: str
    size: int
    value: Callable[[bytes], float]


class _Message:
    """The shape in which python-OBD's decoders take an answer."""

    def __init__(self, data: bytes) -> None:
        self.data = data


def _by_table(pid: int, name: str, unit: str, factor: float = 1.0) -> _Pid:
    """A PID of python-OBD's table; factor: from `unit` to ours."""
    command = obd.commands[CURRENT_DATA][pid]
    start = bytes([0x40 | CURRENT_DATA, pid])

    def value(data: bytes) -> float:
        return float(command.decode([_Message(start + data)]).to(unit).magnitude) * factor

    return _Pid(name, command.bytes - len(start), value)


def _odometer(data: bytes) -> float:
    """0.1 km a bit (SAE J1979-DA, PID A6)."""
    return int.from_bytes(data, "big") * 100.0


PIDS: Final[Mapping[int, _Pid]] = {
    0x04: _by_table(0x04, "engine.load", "percent", 0.01),
    0x05: _by_table(0x05, "engine.coolant.temperature", "kelvin"),
    0x0C: _by_table(0x0C, "engine.speed", "rpm", 1 / 60),
    0x0D: _by_table(0x0D, "speed.vehicle", "m/s"),
    0x0F: _by_table(0x0F, "engine.intake.temperature", "kelvin"),
    0x11: _by_table(0x11, "throttle.position", "percent", 0.01),
    0x1F: _by_table(0x1F, "engine.run_time", "s"),
    0x2F: _by_table(0x2F, "fuel.level", "percent", 0.01),
    0x33: _by_table(0x33, "air.pressure", "pascal"),
    0x42: _by_table(0x42, "supply.voltage", "volt"),
    0x46: _by_table(0x46, "air.temperature", "kelvin"),
    0x5B: _by_table(0x5B, "battery.charge", "percent", 0.01),
    0x5C: _by_table(0x5C, "engine.oil.temperature", "kelvin"),
    0x5E: _by_table(0x5E, "engine.fuel_rate", "m^3/s"),
    0xA6: _Pid("odometer", 4, _odometer),
}


PID_OF: Final[Mapping[str, int]] = {known.name: pid for pid, known in PIDS.items()}


def signal(pid: int, data: bytes, t_ns: int) -> Signal:
    """data: what follows service and PID in the answer; bytes beyond the value are padding.

    Raises MalformedInputError for an answer that is too short and for a PID without a name.
    """
    known = PIDS.get(pid)
    if known is None:
        raise MalformedInputError(f"PID {pid:02X} has no signal name")
    if len(data) < known.size:
        raise MalformedInputError(f"PID {pid:02X}: {len(data)} bytes, {known.size} are its value")
    return Signal(known.name, _value(pid, data[: known.size]), t_ns, ORIGIN)


@lru_cache(REMEMBERED)
def _value(pid: int, data: bytes) -> float:
    return PIDS[pid].value(data)


def supported(first: int, data: bytes) -> frozenset[int]:
    """PIDs among the 32 after `first` that an answer to PID `first` lists.

    Raises MalformedInputError for an answer of less than 4 bytes.
    """
    if len(data) < 4:  # noqa: PLR2004  the list's own size
        raise MalformedInputError(f"PID {first:02X}: a list of {len(data)} bytes; it has 4")
    bits = int.from_bytes(data[:4], "big")
    return frozenset(first + place for place in range(1, 33) if bits >> (32 - place) & 1)

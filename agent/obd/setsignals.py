"""Answers to the commands of a signal set as signals.

A signal whose id is a name of docs/signals.md becomes that one, in its unit; any other is called
`obd.<id>`, has the value and unit of its set and, as nobody classified it, is Lv1.
"""

from collections.abc import Mapping
from typing import Final

from agent.errors import ConfigError, MalformedInputError
from agent.obd.pids import ORIGIN
from agent.obd.signalset import Command, SetSignal
from agent.obd.units import SIGNAL_UNITS, conversion
from agent.signals import Signal

UNITS: Final[Mapping[str, str]] = {
    "percent": "%",
    "celsius": "degC",
    "volts": "V",
    "millivolts": "mV",
    "amps": "A",
    "milliamps": "mA",
    "kilowatts": "kW",
    "watts": "W",
    "kilowattHours": "kWh",
    "kilometers": "km",
    "miles": "miles",
    "kilometersPerHour": "km/h",
    "milesPerHour": "mph",
    "kilopascal": "kPa",
    "bars": "bar",
    "psi": "psi",
    "seconds": "s",
    "minutes": "min",
    "degrees": "deg",
    "rpm": "rpm",
    "litersPerHour": "l/h",
    "scalar": "",
    "offon": "",
    "noyes": "",
    "yesno": "",
}
"""Units of OBDb in the words of DBC files, which agent.obd.units knows."""


def set_signals(command: Command, data: bytes, t_ns: int) -> list[Signal]:
    """data: what follows service and PID. Words of a map are given as their numbers.

    What says that it is no reading is left out. Raises MalformedInputError for an answer that is
    too short for any of them.
    """
    shortest = min(signal.fmt.bix + signal.fmt.len for signal in command.signals)
    if 8 * len(data) < shortest:
        raise MalformedInputError(f"{command.cmd}: {len(data)} bytes; at least {shortest} bits")
    numbers = ((signal, signal.fmt.number(data)) for signal in command.signals)
    return [
        Signal(*_in_si(signal, number), t_ns, ORIGIN)
        for signal, number in numbers
        if number is not None
    ]


def _in_si(signal: SetSignal, number: float) -> tuple[str, float]:
    if signal.id not in SIGNAL_UNITS:
        return f"obd.{signal.id}", number
    factor, offset = conversion(UNITS.get(signal.fmt.unit, signal.fmt.unit), signal.id)
    return signal.id, number * factor + offset


def check_units(command: Command) -> None:
    """Raises ConfigError for one of our names with a unit that does not fit it."""
    for signal in command.signals:
        try:
            _in_si(signal, 0.0)
        except ConfigError as error:
            raise ConfigError(f"{command.hdr} {command.cmd}: {error}") from error

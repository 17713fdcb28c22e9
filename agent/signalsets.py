"""The signal sets of a bus, as the configuration names them."""

from importlib.resources import files
from pathlib import Path

import structlog

from agent.config import BusConfig
from agent.errors import ConfigError
from agent.obd.needs import set_commands
from agent.obd.question import Question
from agent.obd.setsignals import check_units
from agent.obd.signalset import Command, SignalSet, load_signal_set, signal_set

_log = structlog.get_logger()


def signal_commands(bus: BusConfig) -> dict[Question, Command]:
    """What the signal sets of a bus have us ask. Raises UsageError, ConfigError."""
    sets = [_signal_set(name) for name in bus.signals]
    commands, left_out = set_commands(sets, bus.model_year)
    for command in commands.values():
        check_units(command)
    if sets:
        left_out["broken"] = sum(len(one.complaints) for one in sets)
        told = ", ".join(f"{number} {reason}" for reason, number in left_out.items() if number)
        _log.info("signal sets", bus=bus.uri, commands=len(commands), left_out=told)
    if sets and not commands:
        raise ConfigError(
            f"bus.signals = {list(bus.signals)}: none of {left_out.total()} commands may be asked, "
            f"model_year = {bus.model_year}: {told}"
        )
    return commands


def _signal_set(name: str) -> SignalSet:
    """One of ours by its name, or a file."""
    own = files("agent.dbc") / f"{name}.json"
    return signal_set(own.read_bytes()) if own.is_file() else load_signal_set(Path(name))

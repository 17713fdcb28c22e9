"""A recorded answer, by the name of its command, to values: what `amo-agent obd decode` does.

    {"command_id": "7E4.7EC.220101|fc=1", "response": ["7EC103E620101FFF7E7", ...]}

The name is that of OBDb's test cases: header, answer's identifier, service and PID, options.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.errors import MalformedInputError
from agent.obd.assemble import assembled
from agent.obd.bitfield import Value
from agent.obd.signalset import Command, SignalSet

LAST_OF_J1979: Final = 0x0A
"""Services up to here mean the same in every car, whatever the header."""
_NAME: Final = re.compile(r"([0-9A-F]{3,8})\.(?:([0-9A-F]{2,8})\.)?((?:[0-9A-F]{2})+)(?:\|(.*))?")


class Recorded(msgspec.Struct, frozen=True):
    """response: lines as an ELM327 prints them, headers on."""

    command_id: Annotated[str, Meta(max_length=1000)]
    response: Annotated[tuple[str, ...], Meta(max_length=4096)]


class Decoded(msgspec.Struct, frozen=True):
    """
    values: by signal; of several ECUs that answered, the one that came last
    ecus:   the same by ECU
    cut:    ECUs whose message is not whole: what came before the gap is decoded
    """

    values: dict[str, Value]
    ecus: dict[str, dict[str, Value]]
    cut: tuple[str, ...]


def decoded(recorded: Recorded, sets: Sequence[SignalSet]) -> Decoded:
    """Raises MalformedInputError where no set has the command, or nothing answers it."""
    commands = _commands(recorded.command_id, sets)
    extended = "|e=" in recorded.command_id or any(command.eax for command in commands)
    merged: dict[str, Value] = {}
    ecus: dict[str, dict[str, Value]] = {}
    cut = set()
    for message in assembled(recorded.response, extended=extended):
        for command in commands:
            values = command.decode(message.payload)
            if values is not None:
                ecus.setdefault(message.ecu, {}).update(values)
                merged |= values
                cut |= set() if message.whole else {message.ecu}
    if not ecus:
        raise MalformedInputError(f"{len(recorded.response)} lines, and none is an answer to it")
    return Decoded(merged, ecus, tuple(sorted(cut)))


def _commands(name: str, sets: Sequence[SignalSet]) -> list[Command]:
    """Those of one name; where model years tell several apart, those of the years it names."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise MalformedInputError(f"{name[:40]!r} is no command such as '7E0.7E8.22F40D'")
    header, _, request, options = match.groups()
    asked = bytes.fromhex(request)
    same = [command for one in sets for command in one.commands if command.request == asked]
    here = [command for command in same if command.hdr == header]
    found = here or (same if asked[0] <= LAST_OF_J1979 else [])
    if not found:
        raise MalformedInputError(f"{name[:40]}: no signal set has it")
    years = [c for c in found if f"f={c.filter.text() if c.filter else ''}" in _split(options)]
    return years or found


def _split(options: str | None) -> list[str]:
    return (options or "").split(",")

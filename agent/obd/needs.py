"""What every car is asked, and how often; and what a signal set adds to that."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from agent.errors import UsageError
from agent.obd.address import Address, one_ecu
from agent.obd.bitfield import TEXT
from agent.obd.pids import PIDS
from agent.obd.poll import Need
from agent.obd.question import CURRENT_DATA, FREEZE_FRAME, READ_DTCS, Question
from agent.obd.request import READ_SERVICES
from agent.obd.signalset import Command, SignalSet

STORED_CODES: Final = Question(0x03)
PENDING_CODES: Final = Question(0x07)
PERMANENT_CODES: Final = Question(0x0A)
MONITORS: Final = Question(CURRENT_DATA, 0x01)
CAUSE: Final = Question(FREEZE_FRAME, 0x02)
"""The code that made an ECU keep a freeze frame."""
VIN: Final = Question(0x09, 0x02)
CALIBRATION: Final = Question(0x09, 0x04)
LISTS: Final = tuple(Question(CURRENT_DATA, first) for first in range(0, 0xC0, 0x20))
ONCE: Final = frozenset({VIN, CALIBRATION, *LISTS})
BY_STATUS: Final = 0x02
PERIODS_S: Final = {0x0C: 0.2, 0x0D: 0.2, 0x04: 0.5, 0x11: 0.5, 0xA6: 10.0}
OTHERS_S: Final = 5.0
SELDOM_S: Final = 60.0
FIRST: Final = 10
"""A priority above what a file can ask for."""


def usual_needs() -> list[Need]:
    """Every PID with a name, the lively ones more often."""
    periods = {pid: PERIODS_S.get(pid, OTHERS_S) for pid in PIDS}
    return needs_of([Need(Question(CURRENT_DATA, pid), s, s) for pid, s in periods.items()])


def needs_of(values: list[Need]) -> list[Need]:
    """The VIN and which PIDs there are, once; then the codes, what ECUs tell, and these values."""
    once = [Need(question, 1.0, 0.0, FIRST) for question in (VIN, *LISTS)]
    codes = [Need(STORED_CODES, OTHERS_S, 1.0), Need(CAUSE, OTHERS_S, 2.0)]
    codes += [Need(PENDING_CODES, OTHERS_S, 2.0), Need(PERMANENT_CODES, SELDOM_S, SELDOM_S)]
    seldom = [Need(question, SELDOM_S, SELDOM_S) for question in (MONITORS, CALIBRATION)]
    return [*once, *codes, *seldom, *values]


def set_commands(
    sets: Iterable[SignalSet], model_year: int | None
) -> tuple[dict[Question, Command], Counter[str]]:
    """The commands of signal sets that may be asked: reading services at addresses of diagnostics.

    And how many are left out, by reason. One that answers with texts alone is: they are no
    signals, and may be a VIN. So is one of some model years where the car's is not known to be
    among them.
    """
    found: dict[Question, Command] = {}
    left_out: Counter[str] = Counter()
    for command in (command for one in sets for command in one.commands):
        try:
            question = _question(command, model_year)
        except UsageError as error:
            left_out[str(error)] += 1
            continue
        before = found[question].signals if question in found else ()
        found[question] = msgspec.structs.replace(command, signals=before + command.signals)
    return found, left_out


def set_needs(commands: Mapping[Question, Command]) -> list[Need]:
    """Their values as often as the set says, and the UDS codes of each ECU it names.

    Those of one ECU stand together: an adapter is then turned to it once.
    """
    by_ecu = sorted(commands.items(), key=lambda item: item[0].at.request if item[0].at else 0)
    values = [Need(question, one.freq, one.freq) for question, one in by_ecu]
    codes = [
        Need(Question(READ_DTCS, BY_STATUS, ecu), SELDOM_S, SELDOM_S) for ecu in ecus(commands)
    ]
    return values + codes


def ecus(commands: Mapping[Question, Command]) -> list[Address]:
    return sorted({question.at for question in commands if question.at}, key=lambda at: at.request)


def _question(command: Command, model_year: int | None) -> Question:
    """Raises UsageError, which says why it is not one of ours to ask."""
    service, *pid = command.request
    years = command.filter
    if service not in READ_SERVICES:
        raise UsageError(f"service {service:02X}")
    if command.eax is not None:
        raise UsageError("extended addressing")
    if all(signal.fmt.unit == TEXT for signal in command.signals):
        raise UsageError("no number in it")
    if years is not None and (model_year is None or model_year not in years):
        raise UsageError("model year")
    number = int.from_bytes(pid, "big") if pid else None
    question = Question(service, number, one_ecu(command.hdr, command.rax))
    if not question.message().startswith(command.request):
        raise UsageError(f"service {service:02X} with an identifier of {len(pid)} bytes")
    return question

"""What an answer brought: signals, codes, the VIN, and what else an ECU says of itself."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

import msgspec

from agent.events import AskingChanged, CalibrationRead, FreezeFrameRead, MonitorsRead
from agent.obd.dtc import codes, codes_by_status
from agent.obd.identification import vin_of
from agent.obd.needs import (
    CALIBRATION,
    LISTS,
    MONITORS,
    PENDING_CODES,
    PERMANENT_CODES,
    STORED_CODES,
    VIN,
)
from agent.obd.pids import signal, supported
from agent.obd.question import READ_DTCS, Answer, Question
from agent.obd.readiness import calibration, monitors
from agent.obd.setsignals import set_signals
from agent.obd.signalset import Command
from agent.signals import Signal


class ObdReading(msgspec.Struct, frozen=True, kw_only=True):
    """What one question brought, or the sleep guard.

    dtcs:   by ECU, the codes that are in one memory of it now; one that did not answer is not in it
    memory: which one, as in events.DtcSet
    """

    signals: list[Signal] = []
    dtcs: dict[str, frozenset[str]] | None = None
    memory: str = "stored"
    vin: str | None = None
    asking: AskingChanged | None = None
    facts: list[FreezeFrameRead | MonitorsRead | CalibrationRead] = []

    def __repr__(self) -> str:
        """Without the VIN and what tells the model."""
        vin = "None" if self.vin is None else "..."
        return f"ObdReading(signals={self.signals!r}, dtcs={self.dtcs!r}, vin={vin})"


def reading(
    question: Question, answer: Answer, asked_ns: int, commands: Mapping[Question, Command]
) -> ObdReading:
    """One ECU's answer; its values are taken to be from half-way between question and answer.

    Raises MalformedInputError.
    """
    if question in _OF_EVERY_CAR:
        return _OF_EVERY_CAR[question](answer)
    if question.service == READ_DTCS:
        return ObdReading(dtcs={answer.ecu: codes_by_status(answer.data)}, memory="confirmed")
    t_ns = asked_ns + answer.took_ns // 2
    if question in commands:
        return ObdReading(signals=set_signals(commands[question], answer.data, t_ns))
    return ObdReading(signals=[signal(question.pid or 0, answer.data, t_ns)])


def _codes(memory: str, answer: Answer) -> ObdReading:
    return ObdReading(dtcs={answer.ecu: codes(answer.data)}, memory=memory)


def _list(question: Question, answer: Answer) -> ObdReading:
    supported(question.pid or 0, answer.data)
    return ObdReading()


_OF_EVERY_CAR: Final[Mapping[Question, Callable[[Answer], ObdReading]]] = {
    STORED_CODES: partial(_codes, "stored"),
    PENDING_CODES: partial(_codes, "pending"),
    PERMANENT_CODES: partial(_codes, "permanent"),
    VIN: lambda answer: ObdReading(vin=vin_of(answer.data)),
    CALIBRATION: lambda answer: ObdReading(facts=[calibration(answer.ecu, answer.data)]),
    MONITORS: lambda answer: ObdReading(facts=[monitors(answer.ecu, answer.data)]),
    **{question: partial(_list, question) for question in LISTS},
}


def together(readings: list[ObdReading]) -> ObdReading:
    """Several ECUs' answers to one question: of one quantity the first ECU's value is kept."""
    first = readings[0]
    dtcs = {ecu: codes for one in readings for ecu, codes in (one.dtcs or {}).items()}
    facts = [fact for one in readings for fact in one.facts]
    return msgspec.structs.replace(first, dtcs=dtcs or None, facts=facts)

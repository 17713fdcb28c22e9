"""Asks the car what is due, in a thread, and hands the readings to the event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from threading import Event, Thread
from typing import Final

import msgspec

from agent.clock import SECOND, Clock
from agent.errors import AgentError, MalformedInputError
from agent.events import AskingChanged
from agent.obd.dtc import codes
from agent.obd.identification import vin_of
from agent.obd.pids import CURRENT_DATA, PIDS, signal, supported
from agent.obd.poll import Need, Plan
from agent.obd.question import (
    BUSY_REPEAT_REQUEST,
    RESPONSE_PENDING,
    Answer,
    Question,
    Refusal,
    Reply,
    Requester,
)
from agent.obd.sentry import Sentry
from agent.signals import Signal

STORED_CODES: Final = Question(0x03)
VIN: Final = Question(0x09, 0x02)
LISTS: Final = tuple(Question(CURRENT_DATA, first) for first in range(0, 0xC0, 0x20))
PERIODS_S: Final = {0x0C: 0.2, 0x0D: 0.2, 0x04: 0.5, 0x11: 0.5, 0xA6: 10.0}
OTHERS_S: Final = 5.0
ONCE: Final = 10
"""Above what a file can ask for."""
LIST_LENGTH: Final = 32
BUSY: Final = frozenset({BUSY_REPEAT_REQUEST, RESPONSE_PENDING})
LONGEST_WAIT_S: Final = 0.1
STOP_S: Final = 0.5
MOST_WAITING: Final = 1000


class ObdReading(msgspec.Struct, frozen=True, kw_only=True):
    """What one question brought, or the sleep guard.

    dtcs: by ECU, the codes that are stored in it now; an ECU that did not answer is not in it
    """

    signals: list[Signal] = []
    dtcs: dict[str, frozenset[str]] | None = None
    vin: str | None = None
    asking: AskingChanged | None = None

    def __repr__(self) -> str:
        """Without the VIN."""
        vin = "None" if self.vin is None else "..."
        return f"ObdReading(signals={self.signals!r}, dtcs={self.dtcs!r}, vin={vin})"


def usual_needs() -> list[Need]:
    """Every PID with a name, the lively ones more often."""
    periods = {pid: PERIODS_S.get(pid, OTHERS_S) for pid in PIDS}
    return needs_of([Need(Question(CURRENT_DATA, pid), s, s) for pid, s in periods.items()])


def needs_of(values: list[Need]) -> list[Need]:
    """The VIN and which PIDs there are, once; then the codes, and these values."""
    once = [Need(question, 1.0, 0.0, ONCE) for question in (VIN, *LISTS)]
    return [*once, Need(STORED_CODES, OTHERS_S, 1.0), *values]


class Poller:
    """
    broken: answers that could not be understood; lost: readings nobody came for
    sentry: the sleep guard; without one the car is always asked
    """

    def __init__(
        self,
        requester: Requester,
        clock: Clock,
        needs: list[Need] | None = None,
        sentry: Sentry | None = None,
    ) -> None:
        self.broken = 0
        self.lost = 0
        self._requester = requester
        self._clock = clock
        self._needs = usual_needs() if needs is None else needs
        self._sentry = sentry
        self._stopping = Event()

    async def readings(self) -> AsyncGenerator[ObdReading, None]:
        """Begins to ask; ends, within 0.5 s, when it is closed or its task is cancelled.

        Raises SourceLostError when the bus is gone, and may then be called anew.
        """
        waiting: asyncio.Queue[ObdReading | AgentError] = asyncio.Queue()
        loop = asyncio.get_running_loop()
        self._stopping.clear()
        self._requester.reopen()

        def hand_over(item: ObdReading | AgentError) -> None:
            loop.call_soon_threadsafe(self._offer, waiting, item)

        thread = Thread(target=self._work, args=(hand_over,), name="obd-poller", daemon=True)
        thread.start()
        try:
            while True:
                item = await waiting.get()
                if isinstance(item, AgentError):
                    raise item
                yield item
        finally:
            self._stopping.set()
            self._requester.close()
            thread.join(STOP_S)

    def _offer(
        self, waiting: asyncio.Queue[ObdReading | AgentError], item: ObdReading | AgentError
    ) -> None:
        if waiting.qsize() < MOST_WAITING or isinstance(item, AgentError):
            waiting.put_nowait(item)
        else:
            self.lost += 1

    def _work(self, hand_over: Callable[[ObdReading | AgentError], None]) -> None:
        plan = Plan(self._needs, self._clock.mono_ns())
        try:
            while not self._stopping.is_set():
                question = plan.next(now := self._clock.mono_ns())
                if not self._may_ask(hand_over):
                    self._stopping.wait(LONGEST_WAIT_S)
                    continue
                if question is None:
                    self._stopping.wait(min((plan.wake_ns() - now) / SECOND, LONGEST_WAIT_S))
                    continue
                reading = self._turn(plan, question)
                if reading is not None and not self._stopping.is_set():
                    hand_over(reading)
        except AgentError as error:
            if not self._stopping.is_set():
                hand_over(error)

    def _may_ask(self, hand_over: Callable[[ObdReading | AgentError], None]) -> bool:
        """What the sleep guard says; asked in every turn, since it goes by the time."""
        if self._sentry is None:
            return True
        asking, change = self._sentry.look()
        if change is not None:
            hand_over(ObdReading(asking=change))
        return asking

    def _turn(self, plan: Plan, question: Question) -> ObdReading | None:
        """Ask, and tell the plan what came of it."""
        asked_ns = self._clock.now_ns()
        replies = self._requester.ask(question.service, question.pid)
        answers = [reply for reply in replies if isinstance(reply, Answer)]
        now = self._clock.mono_ns()
        reading = self._understood(question, answers, asked_ns) if answers else None
        plan.busy(question, now, _busy(replies))
        if not replies:
            plan.unanswered(question, now)
        elif reading is None:
            plan.refused(question, now)
        elif question in LISTS:
            _rest_unsupported(plan, question, answers, now)
            plan.drop(question)
        elif question == VIN:
            plan.drop(question)
        else:
            plan.answered(question, now, frozenset(answer.ecu for answer in answers))
        return None if question in LISTS else reading

    def _understood(
        self, question: Question, answers: list[Answer], asked_ns: int
    ) -> ObdReading | None:
        """None when not one of the answers makes sense."""
        readings = []
        for answer in answers:
            try:
                readings.append(_reading(question, answer, asked_ns))
            except MalformedInputError:
                self.broken += 1
        return _together(readings) if readings else None


def _reading(question: Question, answer: Answer, asked_ns: int) -> ObdReading:
    """One ECU's answer; its values are taken to be from half-way between question and answer."""
    if question == STORED_CODES:
        return ObdReading(dtcs={answer.ecu: codes(answer.data)})
    if question == VIN:
        return ObdReading(vin=vin_of(answer.data))
    if question in LISTS:
        supported(question.pid or 0, answer.data)
        return ObdReading()
    t_ns = asked_ns + answer.took_ns // 2
    return ObdReading(signals=[signal(question.pid or 0, answer.data, t_ns)])


def _busy(replies: list[Reply]) -> frozenset[str]:
    refusals = [reply for reply in replies if isinstance(reply, Refusal)]
    return frozenset(refusal.ecu for refusal in refusals if refusal.nrc in BUSY)


def _together(readings: list[ObdReading]) -> ObdReading:
    """Several ECUs' answers to one question: of one quantity the first ECU's value is kept."""
    dtcs = {ecu: codes for reading in readings for ecu, codes in (reading.dtcs or {}).items()}
    return ObdReading(signals=readings[0].signals, dtcs=dtcs or None, vin=readings[0].vin)


def _rest_unsupported(plan: Plan, question: Question, answers: list[Answer], now: int) -> None:
    first = question.pid or 0
    there = frozenset().union(*(supported(first, answer.data) for answer in answers))
    for other in plan.questions():
        pid = other.pid or 0
        listed = other.service == CURRENT_DATA and first < pid <= first + LIST_LENGTH
        if listed and pid not in there:
            plan.rest(other, now)

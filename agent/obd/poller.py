"""Asks the car what is due, in a thread, and hands the readings to the event loop."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping
from threading import Event, Thread
from typing import Final

from agent.clock import SECOND, Clock
from agent.errors import AgentError, MalformedInputError
from agent.obd.freezeframe import FreezeFrames
from agent.obd.needs import CAUSE, LISTS, ONCE, usual_needs
from agent.obd.pids import ORIGIN, supported
from agent.obd.poll import Need, Plan
from agent.obd.question import (
    BUSY_REPEAT_REQUEST,
    CURRENT_DATA,
    RESPONSE_PENDING,
    Answer,
    Question,
    Refusal,
    Reply,
    Requester,
)
from agent.obd.reading import ObdReading, reading, together
from agent.obd.sentry import Sentry
from agent.obd.signalset import Command
from agent.signals import Signal

LIST_LENGTH: Final = 32
BUSY: Final = frozenset({BUSY_REPEAT_REQUEST, RESPONSE_PENDING})
LONGEST_WAIT_S: Final = 0.1
MEASURE_NS: Final = 10 * SECOND
STOP_S: Final = 0.5
MOST_WAITING: Final = 1000


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
        commands: Mapping[Question, Command] | None = None,
        supply_v: Callable[[], float | None] | None = None,
    ) -> None:
        """
        commands: of signal sets, by the question each is asked with
        supply_v: measures without asking the car, where the link can do that
        """
        self.broken = 0
        self.lost = 0
        self._requester = requester
        self._clock = clock
        self._needs = usual_needs() if needs is None else needs
        self._sentry = sentry
        self._commands = commands or {}
        self._freeze_frames = FreezeFrames(requester)
        self._supply_v = supply_v
        self._measured_ns = -MEASURE_NS
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
                    self._leave_alone(now)
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

    def _leave_alone(self, now_ns: int) -> None:
        """Wait a moment. What an adapter measures meanwhile may be all that wakes us."""
        if self._supply_v is not None and now_ns - self._measured_ns >= MEASURE_NS:
            self._measured_ns = now_ns
            volts = self._supply_v()
            if volts is not None and self._sentry is not None:
                self._sentry.signals(
                    [Signal("supply.voltage", volts, self._clock.now_ns(), ORIGIN)]
                )
        self._stopping.wait(LONGEST_WAIT_S)

    def _turn(self, plan: Plan, question: Question) -> ObdReading | None:
        """Ask, and tell the plan what came of it."""
        asked_ns = self._clock.now_ns()
        replies = self._requester.ask(question.service, question.pid, at=question.at)
        answers = [reply for reply in replies if isinstance(reply, Answer)]
        found = self._understood(question, answers, asked_ns) if answers else None
        now = self._clock.mono_ns()
        plan.busy(question, now, _busy(replies))
        if not replies:
            plan.unanswered(question, now)
        elif found is None:
            plan.refused(question, now)
        elif question in ONCE:
            if question in LISTS:
                _rest_unsupported(plan, question, answers, now)
            plan.drop(question)
        else:
            plan.answered(question, now, frozenset(answer.ecu for answer in answers))
        return None if question in LISTS else found

    def _understood(
        self, question: Question, answers: list[Answer], asked_ns: int
    ) -> ObdReading | None:
        """None when not one of the answers makes sense."""
        if question == CAUSE:
            return self._frozen(answers)
        readings = []
        for answer in answers:
            try:
                readings.append(reading(question, answer, asked_ns, self._commands))
            except MalformedInputError:
                self.broken += 1
        return together(readings) if readings else None

    def _frozen(self, answers: list[Answer]) -> ObdReading:
        before = self._freeze_frames.broken
        found = self._freeze_frames.look(answers)
        self.broken += self._freeze_frames.broken - before
        return ObdReading(facts=[*found])


def _busy(replies: list[Reply]) -> frozenset[str]:
    refusals = [reply for reply in replies if isinstance(reply, Refusal)]
    return frozenset(refusal.ecu for refusal in refusals if refusal.nrc in BUSY)


def _rest_unsupported(plan: Plan, question: Question, answers: list[Answer], now: int) -> None:
    first = question.pid or 0
    there = frozenset().union(*(supported(first, answer.data) for answer in answers))
    for other in plan.questions():
        pid = other.pid or 0
        listed = other.service == CURRENT_DATA and first < pid <= first + LIST_LENGTH
        if listed and pid not in there:
            plan.rest(other, now)

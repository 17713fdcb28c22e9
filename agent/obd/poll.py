"""Which question is due next. It knows neither bus nor clock: the time is a parameter.

A question that got no answer is asked again after twice its interval, and so on up to a minute;
it is never given up, since a car answers more when it wakes up. One answer brings it back. An ECU
that is busy or silent is left alone with all that it alone answers (see backoff).
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from agent.clock import SECOND
from agent.obd.backoff import Backoff
from agent.obd.question import Question

LONGEST_NS: Final = 60 * SECOND
STARVED_NS: Final = 10 * SECOND
"""A question that is late by so much comes before any other, whatever its priority."""


class Need(msgspec.Struct, frozen=True):
    """
    period_s:   how often it is asked
    deadline_s: how late it may be before others must wait
    priority:   of two that are due, the higher goes first; of equals, that with the first deadline
    """

    question: Question
    period_s: float
    deadline_s: float
    priority: int = 0


class _Turn(msgspec.Struct):
    """ecus: those that answered it, or said that they were busy."""

    need: Need
    due_ns: int
    interval_ns: int
    ecus: frozenset[str] = frozenset()

    @property
    def period_ns(self) -> int:
        return round(self.need.period_s * SECOND)

    def rank(self, now_ns: int) -> tuple[bool, int, int]:
        latest_ns = self.due_ns + round(self.need.deadline_s * SECOND)
        return latest_ns + STARVED_NS >= now_ns, -self.need.priority, latest_ns

    def back_off(self, now_ns: int) -> None:
        self.interval_ns = max(self.interval_ns, min(2 * self.interval_ns, LONGEST_NS))
        self.due_ns = now_ns + self.interval_ns


class Plan:
    """Times are nanoseconds of the monotonic clock."""

    def __init__(self, needs: Iterable[Need], now_ns: int) -> None:
        self._turns = {
            need.question: _Turn(need, now_ns, round(need.period_s * SECOND)) for need in needs
        }
        self._backoff = Backoff()

    def next(self, now_ns: int) -> Question | None:
        """Of the questions that are due, the most important; none of an ECU that is left alone."""
        due = [turn for turn in self._turns.values() if self._ready_ns(turn) <= now_ns]
        return min(due, key=lambda turn: turn.rank(now_ns)).need.question if due else None

    def wake_ns(self) -> int:
        """When the next question falls due."""
        return min(map(self._ready_ns, self._turns.values()), default=LONGEST_NS)

    def answered(self, question: Question, now_ns: int, ecus: frozenset[str] = frozenset()) -> None:
        """ecus: who answered. One that had been away is asked everything again, now."""
        turn = self._turns[question]
        turn.ecus |= ecus
        turn.interval_ns = turn.period_ns
        turn.due_ns = max(turn.due_ns + turn.interval_ns, now_ns)
        for ecu in ecus:
            if self._backoff.answered(ecu):
                self._bring_back(ecu, now_ns)

    def unanswered(self, question: Question, now_ns: int) -> None:
        """Nobody said anything; those that answered it before are left alone for a while."""
        turn = self._turns[question]
        turn.back_off(now_ns)
        self._leave(turn.ecus, now_ns)

    def refused(self, question: Question, now_ns: int) -> None:
        """All that replied said no, or nothing that makes sense."""
        self._turns[question].back_off(now_ns)

    def busy(self, question: Question, now_ns: int, ecus: frozenset[str]) -> None:
        """These ECUs would have answered at another time."""
        self._turns[question].ecus |= ecus
        self._leave(ecus, now_ns)

    def rest(self, question: Question, now_ns: int) -> None:
        """The car says that it has no answer to it: ask at the longest interval only."""
        turn = self._turns[question]
        turn.interval_ns = max(turn.interval_ns, LONGEST_NS)
        turn.due_ns = now_ns + turn.interval_ns

    def drop(self, question: Question) -> None:
        """It is answered for good."""
        del self._turns[question]

    def questions(self) -> list[Question]:
        return list(self._turns)

    def _ready_ns(self, turn: _Turn) -> int:
        held_ns = min(map(self._backoff.until_ns, turn.ecus), default=0)
        return max(turn.due_ns, held_ns)

    def _leave(self, ecus: frozenset[str], now_ns: int) -> None:
        for ecu in ecus:
            self._backoff.failed(ecu, now_ns)

    def _bring_back(self, ecu: str, now_ns: int) -> None:
        for turn in self._turns.values():
            if ecu in turn.ecus and turn.interval_ns > turn.period_ns:
                turn.interval_ns = turn.period_ns
                turn.due_ns = min(turn.due_ns, now_ns)

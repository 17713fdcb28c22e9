"""Which question is due next. It knows neither bus nor clock: the time is a parameter.

A question that got no answer is asked again after twice its interval, and so on up to a minute;
it is never given up, since a car answers more when it wakes up. One answer brings it back.
"""

from collections.abc import Iterable
from typing import Final

import msgspec

from agent.clock import SECOND
from agent.obd.question import Question

LONGEST_NS: Final = 60 * SECOND


class Need(msgspec.Struct, frozen=True):
    """period_s: how often it is asked; deadline_s: how late it may be before others must wait."""

    question: Question
    period_s: float
    deadline_s: float


class _Turn(msgspec.Struct):
    need: Need
    due_ns: int
    interval_ns: int

    def latest_ns(self) -> int:
        return self.due_ns + round(self.need.deadline_s * SECOND)


class Plan:
    """Times are nanoseconds of the monotonic clock."""

    def __init__(self, needs: Iterable[Need], now_ns: int) -> None:
        self._turns = {
            need.question: _Turn(need, now_ns, round(need.period_s * SECOND)) for need in needs
        }

    def next(self, now_ns: int) -> Question | None:
        """Of the questions that are due, the one whose deadline comes first."""
        due = [turn for turn in self._turns.values() if turn.due_ns <= now_ns]
        return min(due, key=_Turn.latest_ns).need.question if due else None

    def wake_ns(self) -> int:
        """When the next question falls due."""
        return min((turn.due_ns for turn in self._turns.values()), default=LONGEST_NS)

    def answered(self, question: Question, now_ns: int) -> None:
        turn = self._turns[question]
        turn.interval_ns = round(turn.need.period_s * SECOND)
        turn.due_ns = max(turn.due_ns + turn.interval_ns, now_ns)

    def unanswered(self, question: Question, now_ns: int) -> None:
        """Nobody answered, or all refused."""
        turn = self._turns[question]
        turn.interval_ns = max(turn.interval_ns, min(2 * turn.interval_ns, LONGEST_NS))
        turn.due_ns = now_ns + turn.interval_ns

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

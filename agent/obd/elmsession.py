"""Questions and answers of one session with an adapter, from its reset to its loss."""

import re
from collections import Counter
from typing import Final

import msgspec
import structlog

from agent.clock import MS, SECOND, Clock
from agent.obd.address import Address, name
from agent.obd.elmframes import messages
from agent.obd.elmheader import Header
from agent.obd.elmmanner import ALIKE, Manner
from agent.obd.elmtalk import SETTING_NS, SUPPLY, Dialogue, Said
from agent.obd.elmtext import TORN, UNKNOWN_COMMAND, Printed, printed, searching
from agent.obd.question import (
    CURRENT_DATA,
    READ_DATA,
    READ_LOCAL,
    RESPONSE_PENDING,
    Answer,
    Fragment,
    Question,
    Refusal,
    Reply,
    reply_to,
)
from agent.obd.together import AHEAD_NS, Together

LINE_NS: Final = 800 * MS
"""For the way there and back: what a slow line and an adapter may add to an ECU's own time."""
LONGEST_NS: Final = 5 * SECOND
RELEARN_EVERY: Final = 47
"""Questions between two that are asked without a hint, so that another ECU may be found; a prime,
so that it is another PID each time."""
MOST_LINES: Final = 15
_VOLTAGE: Final = re.compile(rb"(\d{1,2}\.\d{1,2})V?")

WHICH_PIDS: Final = Question(CURRENT_DATA, 0x00)
_BY_ZERO: Final = {READ_LOCAL: READ_LOCAL}
"""Identifier 0 of service 22 is none (ISO 14229-1, table C.1), nor is that of 21 (ISO 14230-3);
some ECUs tell there which others they have. Whichever it is, they say it always alike."""

Replies = dict[str, Reply]

_log = structlog.get_logger()


class _Round(msgspec.Struct):
    """What one command brought.

    answers: whole ones by ECU, not looked into yet; unknown: the adapter does not know the command
    """

    said: Said
    answers: list[tuple[str, bytes]]
    broken: Replies
    unknown: bool


class Session:
    """complaints: counted here, by reason, and logged when one is new."""

    def __init__(self, dialogue: Dialogue, clock: Clock, complaints: Counter[str]) -> None:
        self._dialogue = dialogue
        self._clock = clock
        self._complaints = complaints
        self._header = Header()
        self._manners: dict[Address | None, Manner] = {None: Manner()}
        self._at: Address | None = None
        self._together = Together()
        self._ahead: dict[int, tuple[Said, Replies]] = {}
        self._hintless: set[bool] = set()
        self._suspect = False
        self._questions = 0
        self._limit_ns = self._end_ns = self._last_ns = 0

    def ask(self, question: Question, timeout_ns: int) -> Replies:
        """The last word of each ECU. Raises SourceLostError."""
        now = self._clock.mono_ns()
        self._limit_ns = min(timeout_ns + LINE_NS, LONGEST_NS)
        self._end_ns = now + self._limit_ns
        self._last_ns = now + LONGEST_NS
        if question.service != CURRENT_DATA or question.at is not None:
            return self._alone(question) if self._ready(question) else {}
        pid = question.pid or 0
        self._together.asked(pid, now)
        if kept := self._kept(pid, now):
            return kept
        return (self._learned(pid) or self._alone(question)) if self._ready(question) else {}

    def supply_v(self) -> float | None:
        """None where the adapter does not say. Raises SourceLostError."""
        said = self._dialogue.exchange(SUPPLY, SETTING_NS)
        found = None if said is None else _VOLTAGE.fullmatch(said.octets.strip())
        return None if found is None else float(found[1])

    def _ready(self, question: Question) -> bool:
        """Whether the adapter asks whom the question is for, and it is known how they print."""
        at, everybody = question.at, self._manners[None]
        if not everybody.known and not (self._turned(None) and self._met(WHICH_PIDS)):
            return False
        if at is not None and at.extended != everybody.extended:
            self._complain("an ECU whose identifier is not as long as those of this car")
            return False
        return self._turned(at) and (
            self._manner.known
            or self._met(Question(_BY_ZERO.get(question.service, READ_DATA), 0, at))
            or self._met(WHICH_PIDS)
        )

    def _turned(self, at: Address | None) -> bool:
        if at is not None and not self._dialogue.echoes:
            self._complain("without an echo no single ECU is asked")
            return False
        extended = self._manners[None].extended
        reason = self._header.turn(at, self._exchange, extended=extended)
        if reason:
            self._complain(reason)
        else:
            self._at = at
            self._manners.setdefault(at, Manner())
        return not reason

    @property
    def _manner(self) -> Manner:
        return self._manners[self._at]

    def _met(self, question: Question) -> bool:
        """Get to know how the adapter and the ECUs print, before anything is taken from them."""
        for _ in range(ALIKE):
            said = self._exchange(question.message().hex())
            if said is None:
                break
            told = self._printed(said)
            if not told.frames:
                break
            self._manner.meet(told.frames)
        return self._manner.known

    def _kept(self, pid: int, now_ns: int) -> Replies | None:
        """What came along with an earlier question, unless it is too old."""
        said, replies = self._ahead.pop(pid, (None, {}))
        if said is None or now_ns - said.asked_ns > AHEAD_NS:
            return None
        age = 2 * (said.asked_ns - now_ns) + said.took_ns
        return {
            ecu: Answer(ecu, reply.data, age)
            for ecu, reply in replies.items()
            if isinstance(reply, Answer)
        }

    def _learned(self, pid: int) -> Replies | None:
        """Ask for what will be asked soon, too, and say how many frames are to come.

        None when that is not known, or brought nothing.
        """
        self._suspect = False
        self._questions += 1
        pids = self._together.company(pid, self._clock.mono_ns())
        lines = self._together.lines(pids) if self._questions % RELEARN_EVERY else None
        if lines is None or lines > MOST_LINES:
            return None
        several = len(pids) > 1
        hint = "" if several in self._hintless else f"{lines:X}"
        found = self._round(bytes([CURRENT_DATA, *pids]).hex().upper() + hint)
        values = None if found is None else self._taken_apart(pids, found)
        if found is None or values is None or not values[pid]:
            self._together.forget(pids)
            if hint and found is not None and found.unknown:
                self._hintless.add(several)
            elif several:
                self._suspect = found is None or not found.answers
                self._complain("several PIDs not answered as one by one")
            return None
        self._ahead |= {other: (found.said, values[other]) for other in pids if other != pid}
        return values[pid]

    def _taken_apart(self, pids: list[int], found: _Round) -> dict[int, Replies] | None:
        values: dict[int, Replies] = {pid: {} for pid in pids}
        for ecu, message in found.answers:
            split = self._together.split(pids, ecu, message)
            if split is None:
                return None
            for pid, data in split.items():
                values[pid][ecu] = Answer(ecu, data, found.said.took_ns)
        return values

    def _alone(self, question: Question) -> Replies:
        """One question, as it is."""
        found = self._round(question.message().hex().upper())
        if found is None:
            return {}
        replies = dict(found.broken)
        for ecu, message in found.answers:
            reply = reply_to(question, ecu, message, found.said.took_ns)
            pending = isinstance(reply, Refusal) and reply.nrc == RESPONSE_PENDING
            if reply is not None and not (pending and ecu in replies):
                replies[ecu] = reply
        to_all = question.service == CURRENT_DATA and question.at is None
        if to_all and found.said.whole and not found.broken:
            answers = [reply for reply in replies.values() if isinstance(reply, Answer)]
            self._together.learn(question.pid or 0, {a.ecu: len(a.data) for a in answers})
            if self._suspect and answers:
                self._together.refused()
        return replies

    def _round(self, command: str) -> _Round | None:
        """One command and its answers; None when there is no time left, or the adapter is deaf."""
        said = self._exchange(command)
        if said is None:
            return None
        told = self._printed(said)
        broken: Replies = {ecu: Fragment(ecu, TORN) for ecu in told.torn}
        answers = []
        by_ecu: dict[str, list[bytes]] = {}
        for line in told.frames:
            if self._manner.fits(line):
                by_ecu.setdefault(line.ecu, []).append(line.data)
            else:
                self._complain("a line unlike the others")
        for ecu, frames in by_ecu.items():
            whole, reasons = messages(frames, padded=self._manner.padded(ecu))
            answers += [(ecu, message) for message in whole]
            for reason in reasons:
                self._complain(reason)
                broken[ecu] = Fragment(ecu, reason)
        return _Round(said, answers, broken, UNKNOWN_COMMAND in told.remarks)

    def _exchange(self, command: str) -> Said | None:
        """Within the limits of this question; a search of the bus puts the nearer one off."""
        now = self._clock.mono_ns()
        if now >= self._end_ns:
            return None
        searched = self._dialogue.busy
        said = self._dialogue.exchange(command.upper(), self._end_ns - now, self._last_ns - now)
        if said is None:
            self._complain("busy" if self._dialogue.busy else "no echo")
        elif searched or searching(said.octets):
            now = self._clock.mono_ns()
            self._end_ns = min(self._last_ns, now + self._limit_ns)
        return said

    def _printed(self, said: Said) -> Printed:
        told = printed(said.octets, None if self._at is None else name(self._at.answer))
        for remark in told.remarks:
            self._complain(remark)
        if not said.whole:
            self._complain("no prompt")
        return told

    def _complain(self, reason: str) -> None:
        if reason not in self._complaints:
            _log.warning("adapter", says=reason)
        self._complaints[reason] += 1

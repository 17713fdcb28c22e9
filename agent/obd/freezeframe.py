"""Freeze frames (SAE J1979, service 02): asked for once for each code that left one."""

from collections.abc import Iterable
from typing import Final

from agent.errors import MalformedInputError
from agent.events import FreezeFrameRead
from agent.obd.dtc import code_text
from agent.obd.pids import PIDS, signal, supported
from agent.obd.question import FREEZE_FRAME, Answer, Requester

LISTS: Final = (0x00, 0x20, 0x40)
"""PIDs that say which PIDs a frame has; no later one is kept in frames we know of."""


class FreezeFrames:
    """broken: answers that could not be understood"""

    def __init__(self, requester: Requester) -> None:
        self.broken = 0
        self._requester = requester
        self._causes: dict[str, str] = {}

    def look(self, answers: Iterable[Answer]) -> list[FreezeFrameRead]:
        """answers: to 02 02, which names the code. Asks for frames that were not read yet."""
        found = {answer.ecu: self._cause(answer.data) for answer in answers}
        new = {ecu for ecu, code in found.items() if code and self._causes.get(ecu) != code}
        self._causes |= found
        values = self._values() if new else {}
        return [FreezeFrameRead(ecu, found[ecu], values.get(ecu, {})) for ecu in sorted(new)]

    def _cause(self, data: bytes) -> str:
        """The code; "" where there is no frame. data: the number of the frame, then two bytes."""
        try:
            return code_text(data[1:3]) if any(data[1:3]) else ""
        except MalformedInputError:
            self.broken += 1
            return ""

    def _values(self) -> dict[str, dict[str, float]]:
        """By ECU and name, of every PID that one of them has in its frame."""
        listed: set[int] = set()
        for first in LISTS:
            for answer in self._ask(first):
                listed |= self._listed(first, answer.data)
        values: dict[str, dict[str, float]] = {}
        for pid in sorted(listed & PIDS.keys()):
            for answer in self._ask(pid):
                self._take(pid, answer, values.setdefault(answer.ecu, {}))
        return values

    def _take(self, pid: int, answer: Answer, values: dict[str, float]) -> None:
        try:
            found = signal(pid, answer.data[1:], 0)
            values[found.name] = found.value
        except MalformedInputError:
            self.broken += 1

    def _listed(self, first: int, data: bytes) -> frozenset[int]:
        try:
            return supported(first, data[1:])
        except MalformedInputError:
            self.broken += 1
            return frozenset()

    def _ask(self, pid: int) -> list[Answer]:
        replies = self._requester.ask(FREEZE_FRAME, pid)
        return [reply for reply in replies if isinstance(reply, Answer)]

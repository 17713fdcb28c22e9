"""How an adapter and its ECUs print, learned from a question whose answer does not change. No I/O.

With or without the length of the frame, padded or not: once that is known, a line that lost digits
is told by its length. Which PIDs there are (service 01, PID 00) each ECU answers, and always alike
(SAE J1979), so a line of that answer which came three times is as it was sent.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Final

from agent.obd.elmtext import LONGEST_FRAME, Line

ALIKE: Final = 3
LENGTH_11: Final = 3
"""Digits of an identifier of 11 bits."""
_NEW_ECU_AFTER: Final = 3


class Manner:
    """Of one session."""

    def __init__(self) -> None:
        self._votes: Counter[Line] = Counter()
        self._known: dict[str, tuple[bool, bool]] = {}
        self._strangers: Counter[str] = Counter()
        self._ignored: set[str] = set()

    @property
    def extended(self) -> bool:
        """Whether the ECUs that are known have identifiers of 29 bits."""
        return any(len(ecu) > LENGTH_11 for ecu in self._known)

    @property
    def known(self) -> bool:
        """An ECU not met yet that comes again and again is met first, if it lets itself be met."""
        return bool(self._known) and max(self._strangers.values(), default=0) < _NEW_ECU_AFTER

    def meet(self, lines: Iterable[Line]) -> None:
        """Lines of one answer to the question; when all have come often enough, it is known."""
        self._votes.update(lines := list(lines))
        if lines and all(self._votes[line] >= ALIKE for line in lines):
            self._known = {
                line.ecu: (line.counted, len(line.data) == LONGEST_FRAME) for line in lines
            }
            self._ignored |= self._strangers.keys() - self._known.keys()
            self._votes.clear()
            self._strangers.clear()

    def fits(self, line: Line) -> bool:
        """Whether a line is of a known ECU, and as long as its lines are."""
        if line.ecu not in self._known:
            self._strangers[line.ecu] += line.ecu not in self._ignored
            return False
        counted, padded = self._known[line.ecu]
        return line.counted == counted and (not padded or len(line.data) == LONGEST_FRAME)

    def padded(self, ecu: str) -> bool:
        return self._known[ecu][1]

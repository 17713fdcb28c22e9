"""Events that were handed over and not kept, counted by reason until an event tells of them."""

import threading
from collections import Counter
from typing import Final

from agent.clock import SECOND
from agent.events import InputLost

TELL_NS: Final = 60 * SECOND
"""So long a loss may wait for a block that is written anyway."""


class Losses:
    """For any number of threads. total: of this run; times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self.total = 0
        self._untold: Counter[str] = Counter()
        self._since_ns = 0
        self._lock = threading.Lock()

    def add(self, reason: str, mono_ns: int) -> None:
        with self._lock:
            if not self._untold:
                self._since_ns = mono_ns
            self.total += 1
            self._untold[reason] += 1

    def due(self, mono_ns: int) -> bool:
        """Whether what is untold may wait no longer."""
        return bool(self._untold) and mono_ns - self._since_ns >= TELL_NS

    def take(self) -> list[InputLost]:
        """What tells of every loss nobody has told of yet."""
        with self._lock:
            taken, self._untold = self._untold, Counter()
        return [InputLost("events", count, reason) for reason, count in sorted(taken.items())]

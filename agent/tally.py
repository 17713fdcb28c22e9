"""What became of everything that arrived, added up until an event tells of it."""

from collections import Counter
from collections.abc import Mapping
from typing import Final

from agent.clock import SECOND
from agent.events import InputCounted

TELL_NS: Final = 60 * SECOND


class Tally:
    """Of every input, by its URI. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._counts: dict[str, Counter[str]] = {}
        self._told_ns: int | None = None

    def add(self, uri: str, counts: Mapping[str, int]) -> None:
        self._counts.setdefault(uri, Counter()).update(counts)

    def due(self, mono_ns: int) -> bool:
        """Whether a minute has gone since the last time this was so."""
        if self._told_ns is None:
            self._told_ns = mono_ns
        if mono_ns - self._told_ns < TELL_NS:
            return False
        self._told_ns = mono_ns
        return True

    def take(self) -> list[InputCounted]:
        """What was added since the last call."""
        taken, self._counts = self._counts, {}
        return [InputCounted(uri, dict(+counts)) for uri, counts in taken.items() if +counts]

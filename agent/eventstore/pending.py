"""When a block is written: at 100 events, after 1 s, at once for an urgent event. No I/O."""

from typing import Final

from agent.clock import SECOND
from agent.eventstore.log import Draft

FULL: Final = 100
"""Events; our choice: 100 share one sync of the disk (docs/decisions/0003-the-log.md)."""
AGE_NS: Final = SECOND
"""The most that a power cut may take of what was not urgent."""


class Pending:
    """The block being filled. Times are monotonic nanoseconds."""

    def __init__(self) -> None:
        self._drafts: list[Draft] = []
        self._since_ns = 0
        self._urgent = False

    def __len__(self) -> int:
        return len(self._drafts)

    def add(self, draft: Draft, urgent: bool, mono_ns: int) -> bool:  # noqa: FBT001 - a property of the event, not a switch
        """Whether the block is due now."""
        if not self._drafts:
            self._since_ns = mono_ns
        self._drafts.append(draft)
        self._urgent = self._urgent or urgent
        return self.due(mono_ns)

    def due(self, mono_ns: int) -> bool:
        if not self._drafts:
            return False
        full = len(self._drafts) >= FULL
        return full or self._urgent or mono_ns - self._since_ns >= AGE_NS

    def take(self) -> list[Draft]:
        """What is pending, in order; nothing is pending after that."""
        drafts, self._drafts, self._urgent = self._drafts, [], False
        return drafts

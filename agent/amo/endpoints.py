"""Several endpoints that serve as one: which is asked first, and which is left alone for a while.

One that failed waits for a random part of a time that doubles with each failure in a row, up to
five minutes (full jitter: many cars that lose one node do not come back to it together), or for as
long as it said. While it waits the others are asked; where all wait, the one whose wait ends first
is. One that was caught lying is not asked again.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from agent.amo.web import checked_url
from agent.clock import SECOND, Clock
from agent.errors import PushbackError, RemoteError, UsageError

FIRST_WAIT_S: Final = 1.0
LONGEST_WAIT_S: Final = 300.0


@dataclass(slots=True)
class Endpoint:
    """
    failures: in a row; wait_until_ns: monotonic
    dropped:  why it is not asked any more; "" while it is
    """

    url: str
    failures: int = 0
    wait_until_ns: int = 0
    dropped: str = ""


class Endpoints:
    """In the order they were given, but for the one that answered last, which comes first."""

    def __init__(
        self, urls: Sequence[str], clock: Clock, part: Callable[[], float] = random.random
    ) -> None:
        """part: 0 to 1, how much of a wait is waited. Raises UsageError for no URL or a bad one."""
        if not urls:
            raise UsageError("no endpoint of a node is given; at least 1 is needed")
        self.all = [Endpoint(checked_url(url)) for url in urls]
        self._clock = clock
        self._part = part
        self._first = self.all[0]

    def in_turn(self) -> list[Endpoint]:
        """Those to ask, one after the other until one answers.

        Raises RemoteError where every endpoint was dropped.
        """
        left = [one for one in self.all if not one.dropped]
        if not left:
            last = self.all[-1]
            raise RemoteError(f"every endpoint was dropped; {last.url}: {last.dropped}")
        now_ns = self._clock.mono_ns()
        ready = [one for one in left if one.wait_until_ns <= now_ns]
        if not ready:
            return sorted(left, key=lambda one: one.wait_until_ns)
        return sorted(ready, key=lambda one: one is not self._first)

    def answered(self, one: Endpoint) -> None:
        one.failures = 0
        one.wait_until_ns = 0
        self._first = one

    def failed(self, one: Endpoint, error: RemoteError) -> None:
        longest_s = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** min(one.failures, 16))
        wait_s = longest_s * self._part()
        if isinstance(error, PushbackError) and error.retry_after_s is not None:
            wait_s = max(wait_s, min(error.retry_after_s, LONGEST_WAIT_S))
        one.failures += 1
        one.wait_until_ns = self._clock.mono_ns() + round(wait_s * SECOND)

    def drop(self, url: str, reason: str) -> None:
        """For good, until the agent starts again."""
        for one in self.all:
            if one.url == checked_url(url):
                one.dropped = reason

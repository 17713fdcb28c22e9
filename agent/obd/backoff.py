"""How long an ECU is left alone that is busy or silent. The time is a parameter.

One that does not answer costs a time-out for each question; so a single question tries it again,
after 0.25 s, then twice that, and so on up to a minute. It is never given up.
"""

from typing import Final

import msgspec

from agent.clock import SECOND

FIRST_NS: Final = SECOND // 4
LONGEST_NS: Final = 60 * SECOND
AWAY_NS: Final = 2 * SECOND


class _Hold(msgspec.Struct):
    until_ns: int
    wait_ns: int


class Backoff:
    """By ECU, "7E8". Times are nanoseconds of the monotonic clock."""

    def __init__(self) -> None:
        self._holds: dict[str, _Hold] = {}

    def failed(self, ecu: str, now_ns: int) -> None:
        """It said that it is busy, or nothing."""
        before = self._holds.get(ecu)
        wait_ns = FIRST_NS if before is None else min(2 * before.wait_ns, LONGEST_NS)
        self._holds[ecu] = _Hold(now_ns + wait_ns, wait_ns)

    def answered(self, ecu: str) -> bool:
        """Whether it had been away, and not just missed one question."""
        hold = self._holds.pop(ecu, None)
        return hold is not None and hold.wait_ns >= AWAY_NS

    def until_ns(self, ecu: str) -> int:
        hold = self._holds.get(ecu)
        return 0 if hold is None else hold.until_ns

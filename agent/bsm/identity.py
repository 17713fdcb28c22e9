"""The pseudonym of the car on the air: four random octets and a message counter.

Both start again at random values when five minutes and two kilometres have passed since the
last change (defaults of SAE J2945/1), so that nobody follows a car across a town. Never while
an event flag is set: who brakes hard must stay the same car for those behind.
"""

from collections.abc import Callable
from typing import Final

import msgspec

from agent.clock import SECOND

CHANGE_AFTER_NS: Final = 300 * SECOND
CHANGE_AFTER_M: Final = 2000.0
COUNTS: Final = 128  # SAE J2735, DE_MsgCount
ID_OCTETS: Final = 4  # SAE J2735, DE_TemporaryID
LONGEST_STEP_NS: Final = SECOND  # speed says nothing about a longer pause


class Stamp(msgspec.Struct, frozen=True):
    """What one message carries of the identity."""

    temporary_id: bytes
    msg_count: int

    def __repr__(self) -> str:
        return f"Stamp(msg_count={self.msg_count})"


class Identity:
    """random_octets: n -> n unpredictable octets; changes: how often the identity changed."""

    def __init__(self, random_octets: Callable[[int], bytes]) -> None:
        self._random_octets = random_octets
        self.changes = 0
        self._id = b""
        self._count = 0
        self._renew()
        self._since_ns: int | None = None
        self._driven_m = 0.0
        self._last_ns: int | None = None

    @property
    def now(self) -> Stamp:
        """The stamp of the last message."""
        return Stamp(self._id, self._count)

    def next(self, mono_ns: int, *, eventful: bool) -> Stamp:
        """The stamp of the next message. mono_ns: monotonic, so that no clock step counts."""
        if self._since_ns is None:
            self._since_ns = mono_ns
        due = mono_ns - self._since_ns >= CHANGE_AFTER_NS and self._driven_m >= CHANGE_AFTER_M
        if due and not eventful:
            self._renew()
            self.changes += 1
            self._since_ns, self._driven_m = mono_ns, 0.0
        self._count = (self._count + 1) % COUNTS
        return self.now

    def drive(self, mono_ns: int, speed_mps: float | None) -> None:
        """Add the way since the last call to the distance driven."""
        if self._last_ns is not None and speed_mps is not None:
            step_ns = min(mono_ns - self._last_ns, LONGEST_STEP_NS)
            self._driven_m += speed_mps * max(0, step_ns) / SECOND
        self._last_ns = mono_ns

    def _renew(self) -> None:
        self._id = self._random_octets(ID_OCTETS)
        self._count = self._random_octets(1)[0] % COUNTS

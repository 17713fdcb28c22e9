"""The sleep guard between its two threads: frames and signals come in one, questions in another."""

from collections.abc import Iterable
from threading import Lock
from typing import Final

from agent.clock import Clock
from agent.events import AskingChanged
from agent.obd.frame import CanFrame
from agent.obd.guard import Guard
from agent.signals import Signal

DIAGNOSTIC: Final = range(0x700, 0x800)
"""Questions and answers: 7DF to 7EF in ISO 15765-4, their neighbours in makers' own use."""
DIAGNOSTIC_29: Final = range(0x18DA_0000, 0x18DC_0000)
"""The same on 29 bits (ISO 15765-4: 18DAxxxx physical, 18DBxxxx functional)."""
WATCHED: Final = frozenset({"engine.speed", "speed.vehicle", "supply.voltage"})


class Sentry:
    def __init__(self, guard: Guard, clock: Clock) -> None:
        self._guard = guard
        self._clock = clock
        self._lock = Lock()

    def frames(self, batch: Iterable[CanFrame]) -> None:
        if any(not is_diagnostic(frame) for frame in batch):
            with self._lock:
                self._guard.heard(self._clock.mono_ns())

    def signals(self, batch: Iterable[Signal]) -> None:
        for signal in batch:
            if signal.name in WATCHED:
                with self._lock:
                    self._guard.signal(signal.name, signal.value, self._clock.mono_ns())

    def look(self) -> tuple[bool, AskingChanged | None]:
        """Whether a question may be asked now, and the event if that changed."""
        with self._lock:
            change = self._guard.step(self._clock.mono_ns())
            return self._guard.asking, change


def is_diagnostic(frame: CanFrame) -> bool:
    """Whether it is a question of a tester, or an answer to one."""
    return frame.can_id in (DIAGNOSTIC_29 if frame.extended else DIAGNOSTIC)

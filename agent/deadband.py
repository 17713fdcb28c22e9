"""Samples that say nothing new are not recorded: a value that stays where it was.

It thins what goes into the log alone. Messages, braking and doubts see every sample.
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from agent.signals import Signal


class Band(msgspec.Struct, frozen=True):
    """
    width:      a value that differs from the last recorded one by no more than it says nothing new
    longest_ns: once in so long it is recorded all the same
    """

    width: float
    longest_ns: int


class DeadBand:
    """bands: by signal name; others pass. unchanged: samples left out, by origin, untold yet."""

    def __init__(self, bands: Mapping[str, Band]) -> None:
        self.unchanged = Counter[str]()
        self._bands = bands
        self._last: dict[tuple[str, str], Signal] = {}

    def passed(self, batch: Sequence[Signal]) -> Sequence[Signal]:
        if not self._bands:
            return batch
        return [signal for signal in batch if self._new(signal)]

    def take(self) -> Counter[str]:
        """What was left out since the last call."""
        taken, self.unchanged = self.unchanged, Counter()
        return taken

    def _new(self, signal: Signal) -> bool:
        band = self._bands.get(signal.name)
        if band is None:
            return True
        key = (signal.origin, signal.name)
        last = self._last.get(key)
        if (
            last is not None
            and abs(signal.value - last.value) <= band.width
            and 0 <= signal.t_ns - last.t_ns < band.longest_ns  # a clock set back ends it too
        ):
            self.unchanged[signal.origin] += 1
            return False
        self._last[key] = signal
        return True

"""What is asked and recorded how often: a file in TOML, signed, versioned, checked before use.

    version = 1
    serial = 1
    [[signal]]
    name = "engine.speed"
    period_s = 0.2
    priority = 2
    dead_band = 0.5

With such a file the signals in it that have a period are asked, and no others; VIN and fault codes
always are. A signal may be there for its dead band alone, whichever wire it comes by.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.clock import SECOND
from agent.deadband import Band
from agent.errors import ConfigError
from agent.obd.needs import needs_of
from agent.obd.pids import PID_OF
from agent.obd.poll import Need
from agent.obd.question import CURRENT_DATA, Question
from agent.privacy import LEVELS
from agent.toml import parse_toml

LONGEST_S: Final = 60.0
UNMAPPED: Final = "can."
_Seconds = Annotated[float, Meta(ge=0.05, le=3600)]


class SignalPolls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    name:       of docs/signals.md, or can.MESSAGE.SIGNAL
    period_s:   how often it is asked for
    deadline_s: how late it may be before others wait; its period, if left out
    priority:   of two that are due, the higher goes first
    dead_band:  in the signal's unit: how far from the last recorded value one says nothing new
    longest_s:  once in so long it is recorded all the same
    """

    name: Annotated[str, Meta(min_length=1, max_length=200)]
    period_s: _Seconds | None = None
    deadline_s: _Seconds | None = None
    priority: Annotated[int, Meta(ge=0, le=9)] | None = None
    dead_band: Annotated[float, Meta(ge=0, le=1e12)] | None = None
    longest_s: Annotated[float, Meta(ge=1, le=3600)] | None = None

    def need(self) -> Need | None:
        """The question that brings it; None where it is not asked for."""
        if self.period_s is None:
            return None
        question = Question(CURRENT_DATA, PID_OF[self.name])
        return Need(question, self.period_s, self.deadline_s or self.period_s, self.priority or 0)

    def band(self) -> Band | None:
        if self.dead_band is None:
            return None
        return Band(self.dead_band, round((self.longest_s or LONGEST_S) * SECOND))


class Polls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    version: of this form of file
    serial:  of this file among those of its signer; one with a lower number comes too late
    """

    version: Annotated[int, Meta(ge=1, le=1)]
    serial: Annotated[int, Meta(ge=1, le=(1 << 63) - 1)]
    signal: Annotated[tuple[SignalPolls, ...], Meta(min_length=1, max_length=1000)]

    def needs(self) -> list[Need]:
        return needs_of([need for signal in self.signal if (need := signal.need()) is not None])

    def bands(self) -> Mapping[str, Band]:
        return {s.name: band for s in self.signal if (band := s.band()) is not None}


def parse_polls(path: Path, content: bytes) -> Polls:
    """What a file at `path` held. Raises ConfigError with key, value and limit, in one line."""
    polls = parse_toml(path, content, Polls)
    seen: dict[str, int] = {}
    for place, signal in enumerate(polls.signal):
        wrong = _wrong(signal)
        if signal.name in seen:
            wrong = (
                f"name = {signal.name!r}: it is signal[{seen[signal.name]}] as well, at most once"
            )
        if wrong:
            raise ConfigError(f"{path}: signal[{place}].{wrong}")
        seen[signal.name] = place
    return polls


def _wrong(signal: SignalPolls) -> str:
    """What one entry alone cannot be; "" where it can."""
    if signal.name not in LEVELS and not signal.name.startswith(UNMAPPED):
        return f"name = {signal.name!r}: neither in docs/signals.md nor {UNMAPPED}MESSAGE.SIGNAL"
    if signal.period_s is not None and signal.name not in PID_OF:
        askable = ", ".join(sorted(PID_OF))
        return f"period_s = {signal.period_s}: no question brings {signal.name}, only {askable}"
    if signal.period_s is None and signal.dead_band is None:
        return f"name = {signal.name!r}: one of period_s and dead_band at least"
    return _pointless(signal)


def _pointless(signal: SignalPolls) -> str:
    """A key that needs another one, which is not there."""
    for key, other in (
        ("deadline_s", "period_s"),
        ("priority", "period_s"),
        ("longest_s", "dead_band"),
    ):
        value = getattr(signal, key)
        if value is not None and getattr(signal, other) is None:
            return f"{key} = {value}: only together with {other}"
    return ""

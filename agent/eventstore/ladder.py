"""What is still kept as the disk fills. No I/O. Our choice: docs/decisions/0013-retention.md.

    over 80 %  bodies go as soon as they may, however young they are
    over 90 %  Lv4 is not kept
    over 95 %  nor are Lv3 samples of signals
    over 98 %  only urgent events are, and what tells of losses and of seals

A step is left when the disk is 2 points below it, so that it is not told over and over.
"""

from enum import IntEnum
from typing import Final

from agent.events import InputLost, LogSealed, SignalsSampled
from agent.eventstore.log import Draft
from agent.privacy import Level


class Step(IntEnum):
    """Each keeps less than the one before."""

    ALL = 0
    EARLY = 1
    NO_BULK = 2
    NO_SAMPLES = 3
    URGENT = 4


HYSTERESIS_PERCENT: Final = 2.0
FROM_PERCENT: Final = {
    Step.EARLY: 80.0,
    Step.NO_BULK: 90.0,
    Step.NO_SAMPLES: 95.0,
    Step.URGENT: 98.0,
}
_ALWAYS: Final = frozenset({InputLost.kind, LogSealed.kind})
_REASONS: Final = {
    Step.NO_BULK: "the disk fills: no Lv4 is kept",
    Step.NO_SAMPLES: "the disk fills: no Lv3 samples are kept",
    Step.URGENT: "the disk is full: only urgent events are kept",
}


def climb(now: Step, percent: float) -> Step:
    """The step that follows from how full the disk is, where `now` was the last one."""
    due = [s for s, f in FROM_PERCENT.items() if percent >= f - HYSTERESIS_PERCENT * (s <= now)]
    return max(due, default=Step.ALL)


def why_not(step: Step, draft: Draft, *, urgent: bool) -> str:
    """Why an event is not kept on a step; empty where it is."""
    if urgent or draft.kind in _ALWAYS:
        return ""
    if step >= Step.URGENT:
        return _REASONS[Step.URGENT]
    if step >= Step.NO_SAMPLES and (draft.level, draft.kind) == (Level.LV3, SignalsSampled.kind):
        return _REASONS[Step.NO_SAMPLES]
    if step >= Step.NO_BULK and draft.level == Level.LV4:
        return _REASONS[Step.NO_BULK]
    return ""

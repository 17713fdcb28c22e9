"""From what is known of the car to the message that is due, or the reason for silence.

A unit without a fresh position or without the size of its vehicle stays silent rather than
send "unavailable" where others need a number (the rule of SAE J2945/1 units).
"""

from collections import Counter
from typing import Final

import msgspec

from agent.bsm.align import POSITION_NS, instant, snapshot
from agent.bsm.identity import Identity
from agent.bsm.message import BasicSafetyMessage, VehicleSize
from agent.bsm.state import VehicleState
from agent.clock import MS

NO_SIZE: Final = "the size of the vehicle is not known"
NO_FIX: Final = "there is no position fix"
OLD_FIX: Final = f"the position fix is over {POSITION_NS // MS} ms old"
NO_WAY: Final = "speed or heading is missing to carry the position on"


class Silence(msgspec.Struct, frozen=True):
    """No message was made."""

    reason: str


class Converter:
    """made: messages so far; silent: how often there was none, by reason."""

    def __init__(self, state: VehicleState, identity: Identity, size: VehicleSize | None) -> None:
        self._state = state
        self._identity = identity
        self._size = size
        self.made = 0
        self.silent: Counter[str] = Counter()

    def make(
        self, due_ns: int, mono_ns: int, events: frozenset[str] = frozenset()
    ) -> BasicSafetyMessage | Silence:
        """The message due at an instant of the schedule, or why there is none.

        due_ns:  UTC ns as the signals are stamped; mono_ns: the same instant, monotonic
        events:  names of flags to set besides those the state itself shows
        """
        t_ns = instant(self._state, due_ns)
        reason = why_silent(self._state, t_ns, self._size)
        if reason is not None or self._size is None:
            return self._silence(reason or NO_SIZE)
        draft = snapshot(
            self._state, t_ns, stamp=self._identity.now, size=self._size, events=events
        )
        if draft.latitude_deg is None:
            return self._silence(NO_WAY)
        self._identity.drive(mono_ns, draft.speed_mps)
        stamp = self._identity.next(mono_ns, eventful=bool(draft.events))
        self.made += 1
        return msgspec.structs.replace(
            draft, msg_count=stamp.msg_count, temporary_id=stamp.temporary_id
        )

    def _silence(self, reason: str) -> Silence:
        self.silent[reason] += 1
        return Silence(reason)


def why_silent(state: VehicleState, t_ns: int, size: VehicleSize | None) -> str | None:
    """What is missing for a message about `t_ns`; None when nothing is."""
    if size is None:
        return NO_SIZE
    if state.position is None:
        return NO_FIX
    age_ns = t_ns - state.position.t_ns - state.shift_ns
    return OLD_FIX if abs(age_ns) > POSITION_NS else None

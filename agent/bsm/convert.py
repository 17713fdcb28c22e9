"""From what is known of the car to the message that is due, or the reason for silence.

A unit without a fresh position or without the size of its vehicle stays silent rather than
send "unavailable" where others need a number (the rule of SAE J2945/1 units). Every message
has the path the car took and the one it is about to take; once a second, which the standard
leaves open, it has what changes slowly too: class, height and mass, and the weather.
"""

from collections import Counter
from typing import Any, Final

import msgspec

from agent.bsm.align import POSITION_NS, forward, instant
from agent.bsm.identity import Identity, Stamp
from agent.bsm.message import BasicSafetyMessage, VehicleDetails, VehicleSize
from agent.bsm.path import Here, PathHistory
from agent.bsm.prediction import Prediction
from agent.bsm.snapshot import NO_DETAILS, snapshot, surroundings_at
from agent.bsm.state import VehicleState
from agent.clock import MS, SECOND

NO_SIZE: Final = "the size of the vehicle is not known"
NO_FIX: Final = "there is no position fix"
OLD_FIX: Final = f"the position fix is over {POSITION_NS // MS} ms old"
NO_WAY: Final = "speed or heading is missing to carry the position on"

STANDING_MPS: Final = 0.2  # our choice: below it, what the position moves is the receiver's noise
SLOWLY_NS: Final = SECOND


class Silence(msgspec.Struct, frozen=True):
    """No message was made."""

    reason: str


class Converter:
    """made: messages so far; silent: how often there was none, by reason."""

    def __init__(
        self,
        state: VehicleState,
        identity: Identity,
        size: VehicleSize | None,
        details: VehicleDetails = NO_DETAILS,
    ) -> None:
        self._state = state
        self._identity = identity
        self._size = size
        self._details = details
        self._path = PathHistory()
        self._prediction = Prediction()
        self._last_ns: int | None = None
        self._slowly_ns: int | None = None
        self.made = 0
        self.silent: Counter[str] = Counter()

    def make(
        self, due_ns: int, mono_ns: int, events: frozenset[str] = frozenset()
    ) -> BasicSafetyMessage | Silence:
        """The message due at an instant of the schedule, or why there is none.

        due_ns:  UTC ns as the signals are stamped; mono_ns: the same instant, monotonic
        events:  names of flags to set besides those the state itself shows
        """
        state = self._state
        t_ns = self._last_ns = instant(state.epoch_ns, due_ns, self._last_ns)
        reason = why_silent(state, t_ns, self._size)
        if reason is not None or self._size is None:
            return self._silence(reason or NO_SIZE)
        draft = snapshot(
            state,
            t_ns,
            stamp=self._identity.now,
            size=self._size,
            events=events,
            details=self._details,
        )
        if draft.latitude_deg is None:
            return self._silence(NO_WAY)
        self._identity.drive(mono_ns, draft.speed_mps)
        stamp = self._identity.next(mono_ns, eventful=bool(draft.events))
        self.made += 1
        return self._complete(draft, t_ns, stamp)

    def _complete(self, draft: BasicSafetyMessage, t_ns: int, stamp: Stamp) -> BasicSafetyMessage:
        """The draft with its stamp and the rest of Part II."""
        assert draft.latitude_deg is not None
        assert draft.longitude_deg is not None
        speed, state, path = draft.speed_mps, self._state, self._path
        utc_ns = t_ns - state.shift_ns  # of the receiver, which no clock step reaches
        here = Here(utc_ns, draft.latitude_deg, draft.longitude_deg, draft.elevation_m)
        path.add(here, moving=speed is None or speed >= STANDING_MPS)
        signed = None if speed is None else speed * forward(state, t_ns)
        prediction = self._prediction.take(utc_ns, signed, draft.yaw_rate_radps)
        points = path.points(here)
        rest: dict[str, Any] = {"path": points, "prediction": prediction} if points else {}
        return msgspec.structs.replace(
            draft,
            msg_count=stamp.msg_count,
            temporary_id=stamp.temporary_id,
            **rest,
            **self._slow(t_ns),
        )

    def _slow(self, t_ns: int) -> dict[str, Any]:
        """What is told once a second only."""
        if self._slowly_ns is not None and 0 <= t_ns - self._slowly_ns < SLOWLY_NS:
            return {}
        self._slowly_ns = t_ns
        details = self._details
        return {
            "surroundings": surroundings_at(self._state, t_ns),
            "basic_class": details.basic_class,
            "height_m": details.height_m,
            "mass_kg": details.mass_kg,
        }

    def _silence(self, reason: str) -> Silence:
        self.silent[reason] += 1
        return Silence(reason)


def why_silent(state: VehicleState, t_ns: int, size: VehicleSize | None) -> str | None:
    """What is missing for a message about `t_ns`; None when nothing is."""
    if size is None:
        return NO_SIZE
    if state.epoch_ns is None:
        return NO_FIX
    return OLD_FIX if abs(t_ns - state.epoch_ns) > POSITION_NS else None

"""What the car was last known to do: the newest samples of each quantity, and where it is.

Only names that a message or an event is made of are kept, each source by itself, so that two
sources of one quantity are never mixed in one curve. Half a second of history is enough to
bring every value to the instant of a position that arrives late.

Times are those of the clock that stamped the signals. The epoch of a fix is UTC; where that
clock is not (a board without a battery before its first time), the fix counts from its arrival.
"""

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

from agent.bsm.heading import Heading
from agent.clock import MS, SECOND
from agent.position import PositionFix
from agent.signals import Signal

Track = Sequence[tuple[int, float]]
"""Samples of one quantity from one source: (UTC ns, SI value), oldest first."""

NAMES: Final = (
    "speed.vehicle",
    "steering.angle",
    "acceleration.longitudinal",
    "acceleration.lateral",
    "acceleration.vertical",
    "yaw.rate",
    "gear",
    "brake.pedal",
    "brake.parking",
    "abs.active",
    "traction.active",
    "stability.active",
    "lights.low_beam",
    "lights.high_beam",
    "lights.left_turn",
    "lights.right_turn",
    "lights.hazard",
    "lights.fog",
)
"""Names of docs/signals.md that a basic safety message is made of."""

REVERSE_GEAR: Final = 3  # signal "gear": SAE J2735, DE_TransmissionState

# Our choices: history for 500 ms of lateness even at 200 samples a second; a bus beats the
# diagnostic connector's whole km/h for as long as it has spoken within half a second.
DEPTH: Final = 128
SPACING_NS: Final = 5 * MS
BUS_IS_FRESH_NS: Final = 500 * MS
STEP_BACK_NS: Final = SECOND
ARRIVAL_NS: Final = SECOND  # a fix takes less than this from its epoch to us

_DIAGNOSTIC: Final = "obd"


class VehicleState:
    """refused: samples that were not numbers, or came after a newer one of their source."""

    def __init__(self) -> None:
        self._tracks: dict[str, dict[str, deque[tuple[int, float]]]] = {name: {} for name in NAMES}
        self.position: PositionFix | None = None
        self.shift_ns = 0
        """To add to the time of a fix to have it on the clock of the signals."""
        self.heading = Heading()
        self.refused = 0

    def update(self, signal: Signal) -> None:
        """Keep one sample; a name no message needs passes by."""
        sources = self._tracks.get(signal.name)
        if sources is None:
            return
        if not math.isfinite(signal.value):
            self.refused += 1
            return
        track = sources.get(signal.origin)
        if track is None:
            track = sources[signal.origin] = deque(maxlen=DEPTH)
        self._append(track, signal.t_ns, signal.value)

    def fix(self, fix: PositionFix) -> None:
        """Take a newer fix; the heading follows it, see heading.py."""
        if self.position is not None and 0 <= self.position.t_ns - fix.t_ns < STEP_BACK_NS:
            self.refused += 1
            return
        late_ns = fix.arrived_ns - fix.t_ns
        self.shift_ns = 0 if abs(late_ns) <= ARRIVAL_NS else late_ns
        self.heading = self.heading.follow(
            fix.heading_deg, fix.speed_mps, reversing=self._reversing(fix.t_ns + self.shift_ns)
        )
        self.position = fix

    def track(self, name: str, t_ns: int) -> tuple[str, Track]:
        """The source to believe at that instant, and its samples; ("", ()) without any."""
        sources = self._tracks[name]
        if not sources:
            return "", ()
        origin = max(sources, key=lambda origin: self._rank(name, origin, t_ns))
        return origin, sources[origin]

    def _rank(self, name: str, origin: str, t_ns: int) -> tuple[bool, int]:
        """A fresh bus before the diagnostic connector for speed; else the newest sample."""
        newest = self._tracks[name][origin][-1][0]
        bus = name == "speed.vehicle" and origin != _DIAGNOSTIC
        return bus and t_ns - newest < BUS_IS_FRESH_NS, newest

    def _reversing(self, t_ns: int) -> bool:
        _, track = self.track("gear", t_ns)
        return bool(track) and track[-1][1] == REVERSE_GEAR

    def _append(self, track: deque[tuple[int, float]], t_ns: int, value: float) -> None:
        if track and t_ns < track[-1][0]:
            if track[-1][0] - t_ns < STEP_BACK_NS:
                self.refused += 1
                return
            track.clear()  # the clock was set back: the old samples are from another time
        if len(track) > 1 and t_ns - track[-2][0] < SPACING_NS:
            track[-1] = (t_ns, value)
        else:
            track.append((t_ns, value))

"""What the car was last known to do: the newest samples of each quantity, and where it is.

Only names that a message or an event is made of are kept, each source by itself, so that two
sources of one quantity are never mixed in one curve. Half a second of history is enough to
bring every value to the instant of a position that arrives late.

Times are those of the clock that stamped the signals, less what the source took to tell. The
epoch of a fix is UTC; where that clock is not (a board without a battery before its first
time), the two are tied by the fix that arrived soonest after its epoch.
"""

import math
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Final

from agent.bsm.heading import Heading
from agent.clock import MS, SECOND
from agent.position import PositionFix
from agent.signals import Signal

Track = Sequence[tuple[int, float]]
"""Samples of one quantity from one source: (UTC ns, SI value), oldest first."""

LIGHTS: Final = {
    "lights.low_beam": "lowBeamHeadlightsOn",
    "lights.high_beam": "highBeamHeadlightsOn",
    "lights.left_turn": "leftTurnSignalOn",
    "lights.right_turn": "rightTurnSignalOn",
    "lights.hazard": "hazardSignalOn",
    "lights.automatic": "automaticLightControlOn",
    "lights.daytime": "daytimeRunningLightsOn",
    "lights.fog": "fogLightOn",
    "lights.parking": "parkingLightsOn",
}
"""Signal -> SAE J2735, DE_ExteriorLights."""

WIPERS: Final = ("wiper.front", "wiper.rear")

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
    "brake.assist",
    "abs.active",
    "traction.active",
    "traction.off",
    "stability.active",
    "stability.off",
    *LIGHTS,
    *WIPERS,
    "airbag.deployed",
    "tyre.flat",
    "air.temperature",
    "air.pressure",
)
"""Names of docs/signals.md that a basic safety message is made of."""

LATENCIES: Final[Mapping[str, int]] = {"can": 10 * MS, "obd": 50 * MS, "gnss": 100 * MS}
"""From the instant a value was true to the one it reached us, by kind of source.

Our choices, from what public sources say: a bus value waits for its frame, sent every 10 to
20 ms by chassis control units; an OBD-II answer takes 10 to 100 ms, of which half is on the
way; the sentences of an epoch take 50 to 200 ms, which matters only where our clock is wrong
and the epoch cannot be used. Any bus counts as "can".
"""
NO_LATENCIES: Final[Mapping[str, int]] = {}

REVERSE_GEAR: Final = 3  # signal "gear": SAE J2735, DE_TransmissionState

# Our choices: history for 500 ms of lateness even at 1,000 samples a second; a bus beats the
# diagnostic connector's whole km/h for as long as it has spoken within half a second.
DEPTH: Final = 512
SPACING_NS: Final = MS
BUS_IS_FRESH_NS: Final = 500 * MS
STEP_BACK_NS: Final = SECOND
ARRIVAL_NS: Final = SECOND  # a fix takes less than this from its epoch to us
DRIFT_NS: Final = 10_000  # how far a crystal may lead another from one fix to the next

_DIAGNOSTIC: Final = "obd"
_WATCHED: Final = frozenset([*LIGHTS, *WIPERS])


class VehicleState:
    """
    latencies: to take off the times of signals and fixes, as LATENCIES has them
    refused:   samples that were not numbers, or came after a newer one of their source
    doubted:   names that contradict the others (truth.py); no message is made of them
    """

    def __init__(self, latencies: Mapping[str, int] = NO_LATENCIES) -> None:
        self._tracks: dict[str, dict[str, deque[tuple[int, float]]]] = {name: {} for name in NAMES}
        self._bus_ns = latencies.get("can", 0)
        self._obd_ns = latencies.get(_DIAGNOSTIC, 0)
        self._gnss_ns = latencies.get("gnss", 0)
        self._changed: dict[str, int] = {}
        self._soonest_ns: int | None = None
        self.position: PositionFix | None = None
        self.shift_ns = 0
        """To add to the time of a fix to have it on the clock of the signals."""
        self.heading = Heading()
        self.refused = 0
        self.doubted: frozenset[str] = frozenset()

    @property
    def epoch_ns(self) -> int | None:
        """Of the newest fix, on the clock of the signals."""
        return None if self.position is None else self.position.t_ns + self.shift_ns

    def update(self, signal: Signal) -> None:
        """Keep one sample; a name no message needs passes by."""
        name, origin = signal.name, signal.origin
        sources = self._tracks.get(name)
        if sources is None:
            return
        if not math.isfinite(signal.value):
            self.refused += 1
            return
        track = sources.get(origin)
        if track is None:
            track = sources[origin] = deque(maxlen=DEPTH)
        t_ns = signal.t_ns - (self._obd_ns if origin == _DIAGNOSTIC else self._bus_ns)
        if name in _WATCHED and track and track[-1][1] != signal.value:
            self._changed[name] = t_ns
        self._append(track, t_ns, signal.value)

    def fix(self, fix: PositionFix) -> None:
        """Take a newer fix; the heading follows it, see heading.py."""
        if self.position is not None and 0 <= self.position.t_ns - fix.t_ns < STEP_BACK_NS:
            self.refused += 1
            return
        self.shift_ns = self._shift(fix.arrived_ns - fix.t_ns)
        self.heading = self.heading.follow(
            fix.heading_deg, fix.speed_mps, reversing=self._reversing(fix.t_ns + self.shift_ns)
        )
        self.position = fix

    def track(self, name: str, t_ns: int) -> tuple[str, Track]:
        """As `told`; ("", ()) for a name that is doubted."""
        return ("", ()) if name in self.doubted else self.told(name, t_ns)

    def told(self, name: str, t_ns: int) -> tuple[str, Track]:
        """The source to believe at that instant, and its samples; ("", ()) without any."""
        sources = self._tracks[name]
        if not sources:
            return "", ()
        if len(sources) == 1:
            return next(iter(sources.items()))
        origin = max(sources, key=lambda origin: self._rank(name, origin, t_ns))
        return origin, sources[origin]

    def changed_ns(self, name: str) -> int | None:
        """When a light or wiper was last seen to change."""
        return self._changed.get(name)

    def _shift(self, late_ns: int) -> int:
        """0 where the clock is right; else by the least delay seen, which a drift may raise."""
        if abs(late_ns) <= ARRIVAL_NS:
            self._soonest_ns = None
            return 0
        soonest_ns = self._soonest_ns
        if soonest_ns is None or abs(late_ns - soonest_ns) > ARRIVAL_NS:
            soonest_ns = late_ns
        self._soonest_ns = min(late_ns, soonest_ns + DRIFT_NS)
        return self._soonest_ns - self._gnss_ns

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

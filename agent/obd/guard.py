"""The sleep guard: whether the car may be asked now. It knows neither bus nor clock.

A parked car sleeps when its buses are left alone, and a question keeps it awake: what it then
draws empties its battery overnight. So an engine that is off is asked within a budget of energy,
with pauses that find out whether the bus sleeps without us, and a bus that sleeps is not asked.

A high supply voltage is no sign of a car that is on: parked cars charge their 12 V battery from
the traction battery, and do so because somebody keeps them awake. It is worth a look, now and then.
A low one is believed.
"""

from enum import StrEnum
from math import exp, inf, isfinite
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from agent.clock import SECOND
from agent.events import AskingChanged

VOLTAGE_TAU_S: Final = 45.0
"""Time constant of the low pass: a cranking engine is over before it shows."""
CHARGED_V: Final = 12.9
"""Below it nothing charges a lead battery, and an engine that seems to stand is believed sooner."""
CHARGING_V: Final = 13.2
STANDS_S: Final = 20.0
TURNS_PER_S: Final = 1.0
MOVES_MPS: Final = 0.5
ASK_S: Final = 60.0
LOOK_S: Final = 2.0
FIRST_PAUSE_S: Final = 30.0
LONGEST_PAUSE_S: Final = 960.0
"""Cars are known that take a quarter of an hour to fall asleep."""
SILENT_S: Final = 5.0
AWAKE_S: Final = 1.0
REFILL_S: Final = 1800.0
"""So long a drive fills an empty budget."""
LONGEST_STEP_S: Final = 10.0
HOUR_S: Final = 3600.0


class Limits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """
    off_after_s: without a sign of being on for so long, the engine counts as off
    draw_w:    what car and agent draw together while the car is kept awake by questions
    energy_wh: what asking may cost while the engine is off; spent, only looks of 2 s are left
    lowest_v:  a filtered supply voltage below it counts as a spent budget
    probe_s:   a bus that sleeps is asked so often whether the engine turns; 0 is never, and right
               for every bus on which frames are heard that nobody asked for
    """

    off_after_s: Annotated[float, Meta(ge=10, le=3600)] = 120.0
    draw_w: Annotated[float, Meta(gt=0, le=1000)] = 30.0
    energy_wh: Annotated[float, Meta(ge=0, le=1000)] = 5.0
    lowest_v: Annotated[float, Meta(ge=0, le=60)] = 12.0
    probe_s: Annotated[float, Meta(ge=0, le=604_800)] = 0.0


class State(StrEnum):
    """
    ON:     the engine turns or the car moves, or did a moment ago: asked freely
    OFF:    asked, on the budget
    PAUSED: not asked, to see whether the bus falls silent
    ASLEEP: not asked until the bus carries frames again, or the supply rises
    """

    ON = "on"
    OFF = "off"
    PAUSED = "paused"
    ASLEEP = "asleep"


class LowPass:
    """Of first order, for samples at any times. value: None before the first; at_ns: the last."""

    def __init__(self, tau_s: float) -> None:
        self.value: float | None = None
        self._tau_s = tau_s
        self.at_ns = 0

    def update(self, value: float, now_ns: int) -> None:
        passed_s = max(0, now_ns - self.at_ns) / SECOND
        weight = 1.0 - exp(-passed_s / self._tau_s)
        self.value = value if self.value is None else self.value + weight * (value - self.value)
        self.at_ns = now_ns


class Guard:
    """Times are nanoseconds of the monotonic clock.

    origin: the bus that is guarded, for the event
    state:  begins as ON: a car is given the benefit of the doubt for `off_after_s`
    """

    def __init__(self, origin: str, limits: Limits, now_ns: int) -> None:
        self.state = State.ON
        self._origin = origin
        self._limits = limits
        self._voltage = LowPass(VOLTAGE_TAU_S)
        self._left_wh = limits.energy_wh
        self._since_ns = self._sign_ns = self._step_ns = now_ns
        self._own_from_ns: int | None = None
        self._own_ns: int | None = None
        self._pause_s = self._rest_s = FIRST_PAUSE_S
        self._told = False

    @property
    def asking(self) -> bool:
        return self.state in {State.ON, State.OFF}

    def heard(self, now_ns: int) -> None:
        """The bus carries frames that answer nobody."""
        if self._own_ns is None or now_ns - self._own_ns > SILENT_S * SECOND:
            self._own_from_ns = now_ns
        self._own_ns = now_ns

    def signal(self, name: str, value: float, now_ns: int) -> None:
        turns = name == "engine.speed" and abs(value) > TURNS_PER_S
        if turns or (name == "speed.vehicle" and abs(value) > MOVES_MPS):
            self._sign_ns = now_ns
        if name == "supply.voltage" and isfinite(value) and value > 0:
            self._voltage.update(value, now_ns)
            if self._voltage.value is not None and self._voltage.value < CHARGED_V:
                self._rest_s = FIRST_PAUSE_S

    def step(self, now_ns: int) -> AskingChanged | None:
        """Look at the time; the event when the state changed, and once at the start."""
        self._account(now_ns)
        change = self._change(now_ns)
        if change is None and self._told:
            return None
        self._told = True
        state, reason = change or (State.ON, "the agent has started")
        if state in {State.ON, State.ASLEEP}:
            self._pause_s = FIRST_PAUSE_S
        self.state, self._since_ns = state, now_ns
        voltage = self._voltage.value
        shown = None if voltage is None else round(voltage, 2)
        return AskingChanged(self._origin, state, reason, shown, round(self._left_wh, 3))

    def _account(self, now_ns: int) -> None:
        """The budget: spent while the engine is off, filled while it is on."""
        passed_s = min((now_ns - self._step_ns) / SECOND, LONGEST_STEP_S)
        self._step_ns = now_ns
        if self.state is State.OFF:
            self._left_wh -= self._limits.draw_w * passed_s / HOUR_S
        elif self.state is State.ON and self._since_s(self._sign_ns, now_ns) < STANDS_S:
            self._left_wh += self._limits.energy_wh * passed_s / REFILL_S
        self._left_wh = min(max(self._left_wh, 0.0), self._limits.energy_wh)

    def _change(self, now_ns: int) -> tuple[State, str] | None:
        if self.state is State.ON:
            return self._stood(now_ns)
        if self._sign_ns > self._since_ns:
            return State.ON, "the engine turns or the car moves"
        for_s = self._since_s(self._since_ns, now_ns)
        silent_s = self._silent_s(now_ns)
        if self.state is State.OFF:
            return self._asked(for_s, silent_s)
        return self._paused(for_s, silent_s) if self.state is State.PAUSED else self._slept(for_s)

    def _stood(self, now_ns: int) -> tuple[State, str] | None:
        discharging = self._voltage.value is not None and self._voltage.value < CHARGED_V
        limit_s = min(STANDS_S if discharging else HOUR_S, self._limits.off_after_s)
        if self._since_s(self._sign_ns, now_ns) < limit_s:
            return None
        return State.OFF, f"no sign of being on for {limit_s:g} s"

    def _asked(self, for_s: float, silent_s: float) -> tuple[State, str] | None:
        if for_s >= LOOK_S and silent_s >= SILENT_S:
            return State.ASLEEP, "the bus carries nothing but answers to us"
        spent = self._spent()
        if for_s < (LOOK_S if spent else ASK_S):
            return None
        return State.PAUSED, spent or f"to see in {self._pause_s:g} s whether the bus sleeps"

    def _paused(self, for_s: float, silent_s: float) -> tuple[State, str] | None:
        if min(for_s, silent_s) >= SILENT_S:
            return State.ASLEEP, "the bus fell silent when we paused"
        if for_s < self._pause_s:
            return None
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        return State.OFF, "the bus is awake without us"

    def _slept(self, for_s: float) -> tuple[State, str] | None:
        if self._woken():
            return State.OFF, "the bus carries frames that we did not cause"
        voltage = self._voltage.value if self._voltage.at_ns > self._since_ns else None
        if voltage is not None and voltage >= CHARGING_V and for_s >= self._rest_s:
            self._rest_s = min(2 * self._rest_s, LONGEST_PAUSE_S)
            return State.OFF, f"something charges the battery, {voltage:.2f} V"
        if 0 < self._limits.probe_s <= for_s:
            return State.OFF, f"a look after {self._limits.probe_s:g} s"
        return None

    def _woken(self) -> bool:
        """A run of frames that began and lasted while we slept."""
        if self._own_ns is None or self._own_from_ns is None:
            return False
        began_ns = max(self._own_from_ns, self._since_ns)
        return self._own_ns - began_ns >= AWAKE_S * SECOND

    def _spent(self) -> str:
        """Why the car is asked only for a look; "" while it is not so."""
        voltage, lowest = self._voltage.value, self._limits.lowest_v
        if voltage is not None and voltage < lowest:
            return f"supply at {voltage:.2f} V, lowest {lowest:g} V"
        if self._left_wh <= 0.0:
            return f"the budget of {self._limits.energy_wh:g} Wh is spent"
        return ""

    def _silent_s(self, now_ns: int) -> float:
        return inf if self._own_ns is None else self._since_s(self._own_ns, now_ns)

    @staticmethod
    def _since_s(then_ns: int, now_ns: int) -> float:
        return (now_ns - then_ns) / SECOND

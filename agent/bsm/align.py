"""Every value brought to one instant, because a message has one time for all of them.

Between two samples a value is interpolated; outside them it is held, or carried on where
physics says how, for no longer than the limits below. What is older is not known any more.
A position is carried on along the heading by speed, acceleration and yaw rate.
"""

import math
from typing import Final

from agent.bsm.geodesy import moved
from agent.bsm.heading import FREEZE_MPS
from agent.bsm.identity import Stamp
from agent.bsm.message import (
    ALL_WHEELS,
    Applied,
    BasicSafetyMessage,
    Brakes,
    Control,
    Transmission,
    VehicleSize,
)
from agent.bsm.state import Track, VehicleState
from agent.clock import MS, SECOND
from agent.position import PositionFix

DYNAMICS_NS: Final = 150 * MS
"""How long a speed, angle or acceleration is held: the age SAE J2945/1 allows a position."""
POSITION_NS: Final = 500 * MS
SWITCH_NS: Final = SECOND
ENGAGED_NS: Final = 100 * MS
"""How long a controller intervenes before it is an event."""
MINUTE_NS: Final = 60 * SECOND

TRANSMISSIONS: Final = {
    0: Transmission.NEUTRAL,
    1: Transmission.PARK,
    2: Transmission.FORWARD,
    3: Transmission.REVERSE,
}
"""Signal "gear", which counts as SAE J2735, DE_TransmissionState does."""

LIGHTS: Final = {
    "lights.low_beam": "lowBeamHeadlightsOn",
    "lights.high_beam": "highBeamHeadlightsOn",
    "lights.left_turn": "leftTurnSignalOn",
    "lights.right_turn": "rightTurnSignalOn",
    "lights.hazard": "hazardSignalOn",
    "lights.fog": "fogLightOn",
}
"""Signal -> SAE J2735, DE_ExteriorLights."""

INTERVENTIONS: Final = {
    "abs.active": "eventABSactivated",
    "traction.active": "eventTractionControlLoss",
    "stability.active": "eventStabilityControlactivated",
}
"""Signal -> SAE J2735, DE_VehicleEventFlags."""


def instant(state: VehicleState, due_ns: int, interval_ns: int = 100 * MS) -> int:
    """The instant a message due now describes: the newest fix of this interval, else now."""
    if state.position is None:
        return due_ns
    epoch_ns = state.position.t_ns + state.shift_ns
    return epoch_ns if due_ns - interval_ns < epoch_ns <= due_ns else due_ns


def snapshot(
    state: VehicleState,
    t_ns: int,
    *,
    stamp: Stamp,
    size: VehicleSize,
    events: frozenset[str] = frozenset(),
) -> BasicSafetyMessage:
    """The message that describes `t_ns`; None wherever a value is not known for then.

    t_ns: on the clock of the signals; events: flags that somebody else detected
    """
    fix = state.position
    speed = speed_at(state, t_ns)
    yaw = _dynamics(state, "yaw.rate", t_ns)
    transmission = _transmission(state, t_ns)
    place = None if fix is None else _place(state, fix, t_ns, speed, yaw)
    return BasicSafetyMessage(
        msg_count=stamp.msg_count,
        temporary_id=stamp.temporary_id,
        sec_mark_ms=None if fix is None else sec_mark_ms(t_ns - state.shift_ns),
        latitude_deg=place and place[0],
        longitude_deg=place and place[1],
        elevation_m=fix.elevation_m if fix and place else None,
        semi_major_m=fix.semi_major_m if fix and place else None,
        semi_minor_m=fix.semi_minor_m if fix and place else None,
        orientation_deg=fix.orientation_deg if fix and place else None,
        transmission=transmission,
        speed_mps=speed,
        heading_deg=place and place[2],
        steering_angle_rad=_dynamics(state, "steering.angle", t_ns),
        acceleration_longitudinal_mps2=_dynamics(state, "acceleration.longitudinal", t_ns),
        acceleration_lateral_mps2=_dynamics(state, "acceleration.lateral", t_ns),
        acceleration_vertical_mps2=_dynamics(state, "acceleration.vertical", t_ns),
        yaw_rate_radps=yaw,
        brakes=_brakes(state, t_ns),
        width_m=size.width_m,
        length_m=size.length_m,
        events=events | _events(state, t_ns),
        lights=_lights(state, t_ns),
    )


def sec_mark_ms(utc_ns: int) -> int:
    """Milliseconds of the UTC minute, rounded down (SAE J2735, DE_DSecond)."""
    return utc_ns % MINUTE_NS // MS


def value_at(track: Track, t_ns: int, hold_ns: int) -> float | None:
    """Linear between the samples round `t_ns`; the nearest one where there is only one side.

    None when the samples that would be used are further away than `hold_ns`.
    """
    later: tuple[int, float] | None = None
    for sample in reversed(track):
        if sample[0] <= t_ns:
            if later is None or later[0] - sample[0] > 2 * hold_ns:
                return sample[1] if t_ns - sample[0] <= hold_ns else _held(later, t_ns, hold_ns)
            share = (t_ns - sample[0]) / (later[0] - sample[0])
            return sample[1] + share * (later[1] - sample[1])
        later = sample
    return _held(later, t_ns, hold_ns)


def switch_at(track: Track, t_ns: int) -> bool | None:
    """A switch as its last sample before `t_ns` left it, for at most a second."""
    state = _state_at(track, t_ns)
    return None if state is None else state > 0


def speed_at(state: VehicleState, t_ns: int) -> float | None:
    """A magnitude: from a bus, else GNSS, else OBD, whose whole km/h are coarse."""
    origin, track = state.track("speed.vehicle", t_ns)
    value = value_at(track, t_ns, DYNAMICS_NS)
    speed = None if value is None else abs(value)
    fix = state.position
    if fix is not None and fix.speed_mps is not None and (speed is None or origin == "obd"):
        age_ns = t_ns - fix.t_ns - state.shift_ns
        return fix.speed_mps if abs(age_ns) <= POSITION_NS else speed
    if speed is None or not track or t_ns <= track[-1][0]:
        return speed
    gain = _forward(state, t_ns) * (_dynamics(state, "acceleration.longitudinal", t_ns) or 0.0)
    return max(0.0, speed + gain * (t_ns - track[-1][0]) / SECOND)


def _held(sample: tuple[int, float] | None, t_ns: int, hold_ns: int) -> float | None:
    return sample[1] if sample is not None and sample[0] - t_ns <= hold_ns else None


def _state_at(track: Track, t_ns: int) -> float | None:
    for time_ns, value in reversed(track):
        if time_ns <= t_ns:
            return value if t_ns - time_ns <= SWITCH_NS else None
    return track[0][1] if track and track[0][0] - t_ns <= DYNAMICS_NS else None


def _dynamics(state: VehicleState, name: str, t_ns: int) -> float | None:
    return value_at(state.track(name, t_ns)[1], t_ns, DYNAMICS_NS)


def _switch(state: VehicleState, name: str, t_ns: int) -> bool | None:
    return switch_at(state.track(name, t_ns)[1], t_ns)


def _transmission(state: VehicleState, t_ns: int) -> Transmission | None:
    gear = _state_at(state.track("gear", t_ns)[1], t_ns)
    return None if gear is None else TRANSMISSIONS.get(round(gear))


def _forward(state: VehicleState, t_ns: int) -> int:
    """-1 while the car reverses, else 1."""
    return -1 if _transmission(state, t_ns) is Transmission.REVERSE else 1


def _place(
    state: VehicleState, fix: PositionFix, t_ns: int, speed: float | None, yaw: float | None
) -> tuple[float, float, float | None] | None:
    """Latitude, longitude and heading at `t_ns`; None when the fix is too far from then."""
    age_ns = t_ns - fix.t_ns - state.shift_ns
    if abs(age_ns) > POSITION_NS:
        return None
    heading = state.heading.deg
    here = (fix.latitude_deg, fix.longitude_deg, heading)
    if age_ns == 0 or (speed is not None and speed < FREEZE_MPS):
        return here
    if speed is None or heading is None:
        return None
    age_s = age_ns / SECOND
    turned = heading - math.degrees(yaw or 0.0) * age_s
    bearing = (heading + turned) / 2 + (0.0 if _forward(state, t_ns) > 0 else 180.0)
    place = moved(fix.latitude_deg, fix.longitude_deg, speed * age_s, bearing)
    return (*place, turned % 360.0)


def _brakes(state: VehicleState, t_ns: int) -> Brakes:
    pedal = _switch(state, "brake.pedal", t_ns)
    parking = _switch(state, "brake.parking", t_ns)
    return Brakes(
        wheels=None if pedal is None else ALL_WHEELS if pedal else frozenset(),
        traction=_control(active=_switch(state, "traction.active", t_ns)),
        abs=_control(active=_switch(state, "abs.active", t_ns)),
        stability=_control(active=_switch(state, "stability.active", t_ns)),
        auxiliary=None if parking is None else Applied.ON if parking else Applied.OFF,
    )


def _control(*, active: bool | None) -> Control | None:
    """A controller that does not intervene is ready; nobody tells us that it is switched off."""
    return None if active is None else Control.ENGAGED if active else Control.ON


def _lights(state: VehicleState, t_ns: int) -> frozenset[str] | None:
    known = {flag: _switch(state, name, t_ns) for name, flag in LIGHTS.items()}
    if all(lit is None for lit in known.values()):
        return None
    return frozenset(flag for flag, lit in known.items() if lit)


def _events(state: VehicleState, t_ns: int) -> frozenset[str]:
    flags = {
        flag
        for name, flag in INTERVENTIONS.items()
        if _switch(state, name, t_ns) and _switch(state, name, t_ns - ENGAGED_NS)
    }
    hazard = {"eventHazardLights"} if _switch(state, "lights.hazard", t_ns) else set()
    return frozenset(flags | hazard)

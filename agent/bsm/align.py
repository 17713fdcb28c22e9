"""Every value brought to one instant, because a message has one time for all of them.

Between two samples a value is interpolated; outside them it is held, or carried on where
physics says how, for no longer than the limits below. What is older is not known any more.
"""

from typing import Final

from agent.bsm.state import REVERSE_GEAR, Track, VehicleState
from agent.clock import MS, SECOND

DYNAMICS_NS: Final = 150 * MS
"""How long a speed, angle or acceleration is held: the age SAE J2945/1 allows a position."""
POSITION_NS: Final = 500 * MS
SWITCH_NS: Final = SECOND
BODY_NS: Final = 10 * SECOND
"""Gear, lights and wipers: many cars send them on change and every few seconds."""
WEATHER_NS: Final = 60 * SECOND
INTERVAL_NS: Final = 100 * MS


def instant(
    epoch_ns: int | None,
    due_ns: int,
    last_ns: int | None = None,
    interval_ns: int = INTERVAL_NS,
) -> int:
    """The instant a message due now describes, later than that of the last one.

    The newest epoch of the receiver while it is fresh; else the next point on the grid of its
    epochs, so that a receiver that is slow or misses one does not shift the others; else now.
    """
    if epoch_ns is None:
        return due_ns
    fresh = [epoch_ns]
    after_ns = due_ns - DYNAMICS_NS
    if last_ns is not None and last_ns <= due_ns:  # else the clock was set back
        fresh.append(last_ns + interval_ns)
        after_ns = max(after_ns, last_ns)
    for candidate_ns in fresh:
        if after_ns < candidate_ns <= due_ns:
            return candidate_ns
    grid_ns = due_ns - (due_ns - epoch_ns) % interval_ns
    return grid_ns if grid_ns > after_ns else due_ns


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


def state_at(track: Track, t_ns: int, hold_ns: int = SWITCH_NS) -> float | None:
    """A state as its last sample before `t_ns` left it."""
    for time_ns, value in reversed(track):
        if time_ns <= t_ns:
            return value if t_ns - time_ns <= hold_ns else None
    return track[0][1] if track and track[0][0] - t_ns <= DYNAMICS_NS else None


def switch_at(track: Track, t_ns: int, hold_ns: int = SWITCH_NS) -> bool | None:
    state = state_at(track, t_ns, hold_ns)
    return None if state is None else state > 0


def on_for_ns(track: Track, t_ns: int) -> int:
    """How long a switch has been on without a break; 0 where it is off, or not known."""
    since_ns = t_ns
    for time_ns, value in reversed(track):
        if time_ns > t_ns:
            continue
        if value <= 0 or since_ns - time_ns > SWITCH_NS:
            break
        since_ns = time_ns
    return t_ns - since_ns


def dynamics(state: VehicleState, name: str, t_ns: int) -> float | None:
    return value_at(state.track(name, t_ns)[1], t_ns, DYNAMICS_NS)


def switch(state: VehicleState, name: str, t_ns: int, hold_ns: int = SWITCH_NS) -> bool | None:
    return switch_at(state.track(name, t_ns)[1], t_ns, hold_ns)


def forward(state: VehicleState, t_ns: int) -> int:
    """-1 while the car reverses, else 1."""
    gear = state_at(state.track("gear", t_ns)[1], t_ns, BODY_NS)
    return -1 if gear is not None and round(gear) == REVERSE_GEAR else 1


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
    gain = forward(state, t_ns) * (dynamics(state, "acceleration.longitudinal", t_ns) or 0.0)
    return max(0.0, speed + gain * (t_ns - track[-1][0]) / SECOND)


def _held(sample: tuple[int, float] | None, t_ns: int, hold_ns: int) -> float | None:
    return sample[1] if sample is not None and sample[0] - t_ns <= hold_ns else None

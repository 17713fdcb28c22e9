"""The message that describes one instant: everything the car tells, and nothing older.

What is not known for that instant is None, never the last thing known.
"""

from typing import Any, Final

from agent.bsm.align import (
    BODY_NS,
    WEATHER_NS,
    dynamics,
    speed_at,
    state_at,
    switch,
    value_at,
)
from agent.bsm.flags import events_at, lights_at
from agent.bsm.identity import Stamp
from agent.bsm.message import (
    ALL_WHEELS,
    Applied,
    BasicSafetyMessage,
    Brakes,
    Control,
    Surroundings,
    Transmission,
    VehicleDetails,
    VehicleSize,
    Wiper,
)
from agent.bsm.place import Place, place_at
from agent.bsm.state import VehicleState
from agent.clock import MS, SECOND
from agent.position import PositionFix

MINUTE_NS: Final = 60 * SECOND

TRANSMISSIONS: Final = {
    0: Transmission.NEUTRAL,
    1: Transmission.PARK,
    2: Transmission.FORWARD,
    3: Transmission.REVERSE,
}
"""Signal "gear", which counts as SAE J2735, DE_TransmissionState does."""

WIPING: Final = {
    1: Wiper.OFF,
    2: Wiper.INTERMITTENT,
    3: Wiper.LOW,
    4: Wiper.HIGH,
    5: Wiper.WASHER,
    6: Wiper.AUTOMATIC,
}
"""Signals "wiper.front" and "wiper.rear", which count as SAE J2735, DE_WiperStatus does."""

NO_DETAILS: Final = VehicleDetails()


def snapshot(
    state: VehicleState,
    t_ns: int,
    *,
    stamp: Stamp,
    size: VehicleSize,
    events: frozenset[str] = frozenset(),
    details: VehicleDetails = NO_DETAILS,
) -> BasicSafetyMessage:
    """Part I, event flags and lights at `t_ns`; None wherever a value is not known for then.

    t_ns: on the clock of the signals; events: flags that somebody else detected
    """
    speed = speed_at(state, t_ns)
    yaw = dynamics(state, "yaw.rate", t_ns)
    place = place_at(state, t_ns, speed_mps=speed, yaw_radps=yaw, details=details)
    gear = state_at(state.track("gear", t_ns)[1], t_ns, BODY_NS)
    return BasicSafetyMessage(
        msg_count=stamp.msg_count,
        temporary_id=stamp.temporary_id,
        sec_mark_ms=None if state.position is None else sec_mark_ms(t_ns - state.shift_ns),
        **_where(state.position, place),
        transmission=None if gear is None else TRANSMISSIONS.get(round(gear)),
        speed_mps=speed,
        steering_angle_rad=dynamics(state, "steering.angle", t_ns),
        acceleration_longitudinal_mps2=dynamics(state, "acceleration.longitudinal", t_ns),
        acceleration_lateral_mps2=dynamics(state, "acceleration.lateral", t_ns),
        acceleration_vertical_mps2=dynamics(state, "acceleration.vertical", t_ns),
        yaw_rate_radps=yaw,
        brakes=_brakes(state, t_ns),
        width_m=size.width_m,
        length_m=size.length_m,
        events=events | events_at(state, t_ns),
        lights=lights_at(state, t_ns),
    )


def surroundings_at(state: VehicleState, t_ns: int) -> Surroundings | None:
    """The weather as the car knows it; None when it knows none of it."""
    around = Surroundings(
        air_temperature_k=_weather(state, "air.temperature", t_ns),
        air_pressure_pa=_weather(state, "air.pressure", t_ns),
        wiper_front=_wiping(state, "wiper.front", t_ns),
        wiper_rear=_wiping(state, "wiper.rear", t_ns),
    )
    return None if around == Surroundings() else around


def sec_mark_ms(utc_ns: int) -> int:
    """Milliseconds of the UTC minute, rounded down (SAE J2735, DE_DSecond)."""
    return utc_ns % MINUTE_NS // MS


def _where(fix: PositionFix | None, place: Place | None) -> dict[str, Any]:
    """Fields of the position, none of them where it is not known."""
    if fix is None or place is None:
        return {}
    return {
        "latitude_deg": place.latitude_deg,
        "longitude_deg": place.longitude_deg,
        "heading_deg": place.heading_deg,
        "elevation_m": fix.elevation_m,
        "semi_major_m": None if fix.semi_major_m is None else fix.semi_major_m + place.blur_m,
        "semi_minor_m": None if fix.semi_minor_m is None else fix.semi_minor_m + place.blur_m,
        "orientation_deg": fix.orientation_deg,
    }


def _brakes(state: VehicleState, t_ns: int) -> Brakes:
    pedal = switch(state, "brake.pedal", t_ns)
    return Brakes(
        wheels=None if pedal is None else ALL_WHEELS if pedal else frozenset(),
        traction=_control(state, "traction", t_ns),
        abs=_control(state, "abs", t_ns),
        stability=_control(state, "stability", t_ns),
        boost=_applied(switch(state, "brake.assist", t_ns)),
        auxiliary=_applied(switch(state, "brake.parking", t_ns, BODY_NS)),
    )


def _control(state: VehicleState, name: str, t_ns: int) -> Control | None:
    """A controller that was not switched off and does not intervene is ready."""
    if name != "abs" and switch(state, f"{name}.off", t_ns, BODY_NS):
        return Control.OFF
    active = switch(state, f"{name}.active", t_ns)
    return None if active is None else Control.ENGAGED if active else Control.ON


def _applied(on: bool | None) -> Applied | None:  # noqa: FBT001 - the switch itself
    return None if on is None else Applied.ON if on else Applied.OFF


def _weather(state: VehicleState, name: str, t_ns: int) -> float | None:
    return value_at(state.track(name, t_ns)[1], t_ns, WEATHER_NS)


def _wiping(state: VehicleState, name: str, t_ns: int) -> Wiper | None:
    status = state_at(state.track(name, t_ns)[1], t_ns, BODY_NS)
    return None if status is None else WIPING.get(round(status))

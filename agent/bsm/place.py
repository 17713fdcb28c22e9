"""Where the centre of the car is at an instant, and which way its front points.

The fix is carried on along the heading by speed, acceleration and yaw rate, and moved from the
antenna to the centre of the outline. Nothing is carried on for over half a second.
"""

import math

import msgspec

from agent.bsm.align import POSITION_NS, forward
from agent.bsm.geodesy import moved
from agent.bsm.heading import FREEZE_MPS
from agent.bsm.message import VehicleDetails
from agent.bsm.state import VehicleState
from agent.clock import SECOND


class Place(msgspec.Struct, frozen=True, gc=False):
    """
    heading_deg: of the front; None until the car has moved
    blur_m:      to add to the error of the position, as the side the antenna is on is not known
    """

    latitude_deg: float
    longitude_deg: float
    heading_deg: float | None
    blur_m: float = 0.0

    def __repr__(self) -> str:
        """Without the place, which no log line may carry."""
        return f"Place(blur_m={self.blur_m})"


def place_at(
    state: VehicleState,
    t_ns: int,
    *,
    speed_mps: float | None,
    yaw_radps: float | None,
    details: VehicleDetails,
) -> Place | None:
    """The place at `t_ns`; None when the fix is too far from then, or has no way to get there.

    speed_mps, yaw_radps: at `t_ns`
    """
    antenna = _carried(state, t_ns, speed_mps, yaw_radps)
    return None if antenna is None else _centred(antenna, details)


def _carried(
    state: VehicleState, t_ns: int, speed_mps: float | None, yaw_radps: float | None
) -> Place | None:
    fix = state.position
    if fix is None:
        return None
    age_ns = t_ns - fix.t_ns - state.shift_ns
    if abs(age_ns) > POSITION_NS:
        return None
    heading = state.heading.deg
    if age_ns == 0 or (speed_mps is not None and speed_mps < FREEZE_MPS):
        return Place(fix.latitude_deg, fix.longitude_deg, heading)
    if speed_mps is None or heading is None:
        return None
    age_s = age_ns / SECOND
    then_mps = speed_mps if fix.speed_mps is None else fix.speed_mps
    turned = heading - math.degrees(yaw_radps or 0.0) * age_s
    bearing = (heading + turned) / 2 + (0.0 if forward(state, t_ns) > 0 else 180.0)
    way_m = (then_mps + speed_mps) / 2 * age_s
    return Place(*moved(fix.latitude_deg, fix.longitude_deg, way_m, bearing), turned % 360.0)


def _centred(antenna: Place, details: VehicleDetails) -> Place:
    """From the antenna back to the centre of the outline, by its offset in the car's axes."""
    ahead_m, left_m = details.antenna_forward_m, details.antenna_left_m
    if ahead_m == 0 and left_m == 0:
        return antenna
    offset_m = math.hypot(ahead_m, left_m)
    if antenna.heading_deg is None:
        return msgspec.structs.replace(antenna, blur_m=offset_m)
    bearing = antenna.heading_deg - math.degrees(math.atan2(left_m, ahead_m)) + 180.0
    centre = moved(antenna.latitude_deg, antenna.longitude_deg, offset_m, bearing)
    return Place(*centre, antenna.heading_deg)

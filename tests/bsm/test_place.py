import pytest

from agent.bsm.geodesy import distance_m, metres_a_degree
from agent.bsm.message import VehicleDetails
from agent.bsm.place import Place, place_at
from agent.bsm.state import VehicleState
from agent.clock import MS
from tests.bsm.drive import LATITUDE, LONGITUDE, NOON, fix, signal

AHEAD = VehicleDetails(antenna_forward_m=1.5)
LEFT = VehicleDetails(antenna_left_m=0.5)


def placed(details: VehicleDetails, *, course: float | None = 90.0, gear: float = 2.0) -> Place:
    state = VehicleState()
    state.update(signal("gear", gear, 0))
    state.fix(fix(0, course=course))
    place = place_at(state, NOON, speed_mps=20.0, yaw_radps=None, details=details)
    assert place is not None
    return place


def north_east(place: Place) -> tuple[float, float]:
    """Metres from the antenna to the centre."""
    north, east = metres_a_degree(LATITUDE)
    return (place.latitude_deg - LATITUDE) * north, (place.longitude_deg - LONGITUDE) * east


def test_without_an_offset_the_position_is_that_of_the_antenna() -> None:
    assert north_east(placed(VehicleDetails())) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("course", "centre"), [(0.0, (-1.5, 0.0)), (90.0, (0.0, -1.5)), (180.0, (1.5, 0.0))]
)
def test_an_antenna_ahead_of_the_centre_puts_the_centre_behind(
    course: float, centre: tuple[float, float]
) -> None:
    assert north_east(placed(AHEAD, course=course)) == pytest.approx(centre, abs=1e-3)


def test_an_antenna_on_the_left_puts_the_centre_to_the_right() -> None:
    assert north_east(placed(LEFT, course=0.0)) == pytest.approx((0.0, 0.5), abs=1e-3)


def test_the_front_counts_and_not_the_way_of_a_reversing_car() -> None:
    assert north_east(placed(AHEAD, course=0.0, gear=3.0)) == pytest.approx((1.5, 0.0), abs=1e-3)


def test_an_offset_to_nobody_knows_which_side_blurs_the_position() -> None:
    place = placed(AHEAD, course=None)
    assert north_east(place) == (0.0, 0.0)
    assert place.blur_m == 1.5


def test_a_braking_car_is_carried_on_by_its_mean_speed() -> None:
    state = VehicleState()
    state.fix(fix(0, speed=20.0, course=0.0))
    details = VehicleDetails()
    place = place_at(state, NOON + 400 * MS, speed_mps=16.0, yaw_radps=0.0, details=details)
    assert place is not None
    way = distance_m(LATITUDE, LONGITUDE, (place.latitude_deg, place.longitude_deg))
    assert way == pytest.approx(0.4 * 18.0, abs=1e-3)


def test_no_place_is_in_a_repr() -> None:
    assert "52.5" not in repr(placed(AHEAD))

import math
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm import units

TO_WIRE: dict[str, tuple[Callable[[float | None], int], int]] = {
    "latitude": (units.latitude_to_j2735, 900000001),
    "longitude": (units.longitude_to_j2735, 1800000001),
    "elevation": (units.elevation_to_j2735, -4096),
    "semi_axis": (units.semi_axis_to_j2735, 255),
    "orientation": (units.orientation_to_j2735, 65535),
    "speed": (units.speed_to_j2735, 8191),
    "heading": (units.heading_to_j2735, 28800),
    "steering": (units.steering_to_j2735, 127),
    "longitudinal": (units.longitudinal_to_j2735, 2001),
    "lateral": (units.lateral_to_j2735, 2001),
    "vertical": (units.vertical_to_j2735, -127),
    "yaw_rate": (units.yaw_rate_to_j2735, 0),
    "width": (units.width_to_j2735, 0),
    "length": (units.length_to_j2735, 0),
}


@pytest.mark.parametrize("name", TO_WIRE)
@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_sent_as_unavailable(name: str, value: float | None) -> None:
    to_wire, unavailable = TO_WIRE[name]
    assert to_wire(value) == unavailable


@pytest.mark.parametrize(
    ("to_wire", "value", "code"),
    [
        (units.latitude_to_j2735, 52.5163, 525163000),
        (units.latitude_to_j2735, 90.0, 900000000),
        (units.latitude_to_j2735, 90.1, 900000001),
        (units.latitude_to_j2735, -90.1, 900000001),
        (units.longitude_to_j2735, -180.0, 1800000000),
        (units.longitude_to_j2735, -179.9999999, -1799999999),
        (units.longitude_to_j2735, 181.0, 1800000001),
        (units.elevation_to_j2735, -500.0, -4095),
        (units.elevation_to_j2735, 9000.0, 61439),
        (units.semi_axis_to_j2735, 12.7, 254),
        (units.semi_axis_to_j2735, 400.0, 254),
        (units.semi_axis_to_j2735, -1.0, 255),
        (units.orientation_to_j2735, 359.999, 65534),
        (units.orientation_to_j2735, -90.0, 49151),
        (units.speed_to_j2735, 13.88, 694),
        (units.speed_to_j2735, 163.8, 8190),
        (units.speed_to_j2735, 163.82, 8191),
        (units.speed_to_j2735, -0.001, 8191),
        (units.heading_to_j2735, 359.999, 0),
        (units.heading_to_j2735, -90.0, 21600),
        (units.longitudinal_to_j2735, -3.92, -392),
        (units.longitudinal_to_j2735, 25.0, 2000),
        (units.longitudinal_to_j2735, -25.0, -2000),
        (units.width_to_j2735, 1.82, 182),
        (units.width_to_j2735, 10.24, 0),
        (units.width_to_j2735, -1.0, 0),
        (units.length_to_j2735, 41.0, 0),
    ],
)
def test_a_value_has_the_code_of_the_standard(
    to_wire: Callable[[float | None], int], value: float, code: int
) -> None:
    assert to_wire(value) == code


def test_a_left_turn_is_negative_on_the_wire() -> None:
    assert units.steering_to_j2735(math.radians(15.0)) == -10
    assert units.lateral_to_j2735(1.0) == -100
    assert units.yaw_rate_to_j2735(math.radians(10.0)) == -1000


def test_upwards_is_negative_on_the_wire() -> None:
    assert units.vertical_to_j2735(9.80665) == -50


@pytest.mark.parametrize(
    ("to_wire", "least", "most"),
    [
        (units.steering_to_j2735, -126, 126),
        (units.lateral_to_j2735, -2000, 2000),
        (units.vertical_to_j2735, -126, 127),
        (units.yaw_rate_to_j2735, -32767, 32767),
    ],
)
def test_a_value_off_the_scale_is_clamped_on_its_side(
    to_wire: Callable[[float | None], int], least: int, most: int
) -> None:
    assert to_wire(1e6) == least
    assert to_wire(-1e6) == most


ROUND_TRIPS: list[tuple[Callable[[float | None], int], Callable[[int], float | None], int, int]] = [
    (units.latitude_to_j2735, units.latitude_from_j2735, -900000000, 900000001),
    (units.longitude_to_j2735, units.longitude_from_j2735, -1799999999, 1800000001),
    (units.elevation_to_j2735, units.elevation_from_j2735, -4096, 61439),
    (units.semi_axis_to_j2735, units.semi_axis_from_j2735, 0, 255),
    (units.orientation_to_j2735, units.orientation_from_j2735, 0, 65535),
    (units.speed_to_j2735, units.speed_from_j2735, 0, 8191),
    (units.heading_to_j2735, units.heading_from_j2735, 0, 28800),
    (units.steering_to_j2735, units.steering_from_j2735, -126, 127),
    (units.longitudinal_to_j2735, units.longitudinal_from_j2735, -2000, 2001),
    (units.lateral_to_j2735, units.lateral_from_j2735, -2000, 2001),
    (units.vertical_to_j2735, units.vertical_from_j2735, -127, 127),
    (units.yaw_rate_to_j2735, units.yaw_rate_from_j2735, -32767, 32767),
    (units.width_to_j2735, units.size_from_j2735, 0, 1023),
    (units.length_to_j2735, units.size_from_j2735, 0, 4095),
]


@pytest.mark.parametrize(("to_wire", "from_wire", "least", "most"), ROUND_TRIPS)
@settings(deadline=None, max_examples=60)
@given(data=st.data())
def test_every_code_comes_back_as_itself(
    to_wire: Callable[[float | None], int],
    from_wire: Callable[[int], float | None],
    least: int,
    most: int,
    data: st.DataObject,
) -> None:
    code = data.draw(st.integers(least, most) | st.sampled_from([least, most, 0]))
    assert to_wire(from_wire(code)) == code


@pytest.mark.parametrize(("to_wire", "from_wire", "least", "most"), ROUND_TRIPS)
@settings(deadline=None, max_examples=60)
@given(value=st.floats())
def test_every_number_has_a_code_in_range(
    to_wire: Callable[[float | None], int],
    from_wire: Callable[[int], float | None],  # noqa: ARG001 - one table for both tests
    least: int,
    most: int,
    value: float,
) -> None:
    assert least <= to_wire(value) <= most


def test_reserved_milliseconds_are_not_a_time() -> None:
    assert units.sec_mark_to_j2735(60_999) == 60_999
    assert units.sec_mark_to_j2735(61_000) == 65_535
    assert units.sec_mark_from_j2735(61_000) is None

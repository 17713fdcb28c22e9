"""A place is inside a circle or it is not; who was nowhere is not believed to have been away."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bsm import geodesy
from agent.wallet.areas import Area, Fit, distance_m, fit_of

HOME = (37.5665, 126.978)
INSIDE = Area(lat=HOME[0], lon=HOME[1], radius_m=500, inside=True)
OUTSIDE = Area(lat=HOME[0], lon=HOME[1], radius_m=500, inside=False)
NEAR, FAR = (37.5700, 126.978), (37.5720, 126.978)
"""390 m and 610 m to the north."""


@pytest.mark.parametrize(
    ("here", "there", "expected_m"),
    [
        ((0.0, 0.0), (0.0, 180.0), math.pi * 6_371_008.8),
        ((90.0, 0.0), (-90.0, 77.0), math.pi * 6_371_008.8),
        ((0.0, 0.0), (0.0, 1.0), 111_195.1),
        ((0.0, 179.5), (0.0, -179.5), 111_195.1),
        (HOME, HOME, 0.0),
    ],
)
def test_ways_on_the_sphere(
    here: tuple[float, float], there: tuple[float, float], expected_m: float
) -> None:
    assert distance_m(here, there) == pytest.approx(expected_m, abs=0.1)


@given(st.floats(-80, 80), st.floats(-180, 180), st.floats(1, 5_000), st.floats(0, 360))
def test_short_ways_are_those_of_the_ellipsoid_within_a_hundredth(
    lat: float, lon: float, way_m: float, bearing_deg: float
) -> None:
    there = geodesy.moved(lat, lon, way_m, bearing_deg)
    assert distance_m((lat, lon), there) == pytest.approx(way_m, rel=0.01)


@pytest.mark.parametrize(
    ("positions", "inside", "outside"),
    [
        ([HOME, NEAR], Fit.ALL, Fit.NONE),
        ([NEAR, FAR], Fit.SOME, Fit.SOME),
        ([FAR], Fit.NONE, Fit.ALL),
        ([], Fit.UNKNOWN, Fit.UNKNOWN),
        ([FAR, (math.nan, 126.9)], Fit.UNKNOWN, Fit.UNKNOWN),
        ([HOME, (37.5, math.inf)], Fit.UNKNOWN, Fit.UNKNOWN),
    ],
)
def test_every_place_counts(
    positions: list[tuple[float, float]], inside: Fit, outside: Fit
) -> None:
    assert fit_of(INSIDE, positions) is inside
    assert fit_of(OUTSIDE, positions) is outside


def test_an_area_is_not_shown_in_a_text() -> None:
    assert "37" not in repr(INSIDE)

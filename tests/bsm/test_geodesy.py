import pytest

from agent.bsm.geodesy import distance_m, moved


def test_a_degree_of_latitude_is_as_long_as_on_the_ellipsoid() -> None:
    # WGS-84, length of one minute of the meridian at 45 degrees: 1852.2 m
    assert distance_m(45.0, 0.0, (45.0 + 1 / 60, 0.0)) == pytest.approx(1852.2, abs=0.3)


def test_a_degree_of_longitude_at_the_equator_is_as_long_as_on_the_ellipsoid() -> None:
    assert distance_m(0.0, 10.0, (0.0, 11.0)) == pytest.approx(111_319.49, abs=0.1)


@pytest.mark.parametrize("bearing", [0.0, 37.0, 90.0, 180.0, 271.0])
def test_a_way_is_as_long_as_it_was_made(bearing: float) -> None:
    assert distance_m(52.0, 13.0, moved(52.0, 13.0, 50.0, bearing)) == pytest.approx(50.0, abs=0.01)


def test_a_way_over_the_date_line_is_short() -> None:
    there = moved(10.0, 179.9999, 50.0, 90.0)
    assert there[1] < 0
    assert distance_m(10.0, 179.9999, there) == pytest.approx(50.0, abs=0.01)


@pytest.mark.parametrize("latitude", [90.0, -90.0])
def test_a_way_at_a_pole_stays_on_the_globe(latitude: float) -> None:
    for bearing in range(0, 360, 45):
        there = moved(latitude, 0.0, 50.0, bearing)
        assert -90.0 <= there[0] <= 90.0
        assert -180.0 < there[1] <= 180.0

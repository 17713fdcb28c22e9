import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm.geodesy import distance_m, metres_a_degree, moved
from agent.bsm.message import PathPoint
from agent.bsm.path import Here, PathHistory
from agent.clock import MS, SECOND

START = (52.5163, 13.3777)


def road(turns: list[tuple[int, float]], *, step_m: float = 2.0) -> list[Here]:
    """Places every 100 ms. turns: (how many, degrees each), right positive"""
    places = [Here(0, *START, 70.0)]
    heading = 30.0
    for count, turn in turns:
        for _ in range(count):
            heading += turn
            last = places[-1]
            to = moved(last.latitude_deg, last.longitude_deg, step_m, heading)
            places.append(Here(last.t_ns + 100 * MS, *to, 70.0 + len(places) * 0.01))
    return places


def driven(places: list[Here]) -> tuple[PathHistory, tuple[PathPoint, ...]]:
    path = PathHistory()
    for place in places:
        path.add(place)
    return path, path.points(places[-1])


def polyline(here: Here, points: tuple[PathPoint, ...]) -> list[tuple[float, float]]:
    """What a receiver draws, in metres north and east of the car: present minus offset."""
    north, east = metres_a_degree(here.latitude_deg)
    line = [(0.0, 0.0)]
    for point in points:
        assert point.north_deg is not None
        assert point.east_deg is not None
        line.append((-point.north_deg * north, -point.east_deg * east))
    return line


def astray_m(line: list[tuple[float, float]], here: Here, place: Here) -> float:
    """Distance of a place from the line."""
    north, east = metres_a_degree(here.latitude_deg)
    y = (place.latitude_deg - here.latitude_deg) * north
    x = (place.longitude_deg - here.longitude_deg) * east
    return min(_to_segment(y, x, *a, *b) for a, b in pairwise(line))


def _to_segment(y: float, x: float, y0: float, x0: float, y1: float, x1: float) -> float:
    length2 = (y1 - y0) ** 2 + (x1 - x0) ** 2
    share = ((y - y0) * (y1 - y0) + (x - x0) * (x1 - x0)) / length2 if length2 else 0.0
    share = min(1.0, max(0.0, share))
    return math.hypot(y - y0 - share * (y1 - y0), x - x0 - share * (x1 - x0))


def length_m(line: list[tuple[float, float]]) -> float:
    return sum(math.dist(a, b) for a, b in pairwise(line))


def test_nothing_is_told_before_three_samples() -> None:
    places = road([(3, 0.0)])
    assert driven(places[:2])[1] == ()
    assert driven(places[:3])[1] != ()


def test_a_straight_road_is_one_point_until_the_chord_is_too_long() -> None:
    assert len(driven(road([(100, 0.0)]))[1]) == 1  # 200 m
    places = road([(110, 0.0)], step_m=1.99)
    [newest, oldest] = driven(places)[1]
    assert newest.age_ms == 500  # the place before the one that was over 210 m away
    assert oldest.age_ms == 11_000


def test_an_offset_is_the_present_minus_the_past() -> None:
    places = road([(50, 0.0)])
    [point] = driven(places)[1]
    here, start = places[-1], places[0]
    assert point.north_deg == pytest.approx(here.latitude_deg - start.latitude_deg)
    assert point.east_deg == pytest.approx(here.longitude_deg - start.longitude_deg)
    assert point.up_m == pytest.approx(0.5)
    assert point.age_ms == 5000


def test_points_are_told_newest_first() -> None:
    ages = [point.age_ms for point in driven(road([(40, 3.0), (40, -3.0)]))[1]]
    assert len(ages) > 3
    assert ages == sorted(ages, key=lambda age: age or 0)


@settings(deadline=None, max_examples=60)
@given(turns=st.lists(st.tuples(st.integers(1, 60), st.floats(-6, 6)), min_size=1, max_size=12))
def test_every_place_of_the_last_200_m_is_within_a_metre_of_the_line(
    turns: list[tuple[int, float]],
) -> None:
    places = road(turns)
    _, points = driven(places)
    here = places[-1]
    if not points or len(points) == 15:
        return
    line = polyline(here, points)
    oldest_ns = here.t_ns - (points[-1].age_ms or 0) * MS
    told = [place for place in places if place.t_ns >= oldest_ns]
    assert max(astray_m(line, here, place) for place in told) <= 1.001


@settings(deadline=None, max_examples=60)
@given(turns=st.lists(st.tuples(st.integers(1, 60), st.floats(-30, 30)), min_size=1, max_size=12))
def test_points_end_with_the_one_that_completes_200_m(turns: list[tuple[int, float]]) -> None:
    places = road(turns)
    _, points = driven(places)
    assert len(points) <= 15
    if points:
        line = polyline(places[-1], points)
        assert length_m(line[:-1]) < 200.0


def test_a_twisty_road_is_told_in_fifteen_points() -> None:
    _, points = driven(road([(3, 40.0), (3, -40.0)] * 40))
    assert len(points) == 15


def test_the_turning_point_of_a_car_that_comes_back_is_kept() -> None:
    places = road([(30, 0.0), (1, 180.0), (10, 0.0)])
    _, points = driven(places)
    line = polyline(places[-1], points)
    assert astray_m(line, places[-1], places[30]) <= 2.1


def test_a_standing_car_does_not_use_up_its_path() -> None:
    places = road([(60, 2.0)])
    path, before = driven(places)
    last = places[-1]
    for tick in range(1, 6000):
        wander = moved(last.latitude_deg, last.longitude_deg, tick % 7, tick * 40.0)
        path.add(Here(last.t_ns + tick * 100 * MS, *wander), moving=False)
    after = path.points(Here(last.t_ns + 600 * SECOND, last.latitude_deg, last.longitude_deg))
    assert [(p.north_deg, p.east_deg) for p in after] == [(p.north_deg, p.east_deg) for p in before]


@pytest.mark.parametrize("jump", [Here(8 * SECOND, 53.0, 14.0), Here(0, *START)])
def test_a_jump_of_place_or_time_begins_a_new_path(jump: Here) -> None:
    path, _ = driven(road([(60, 2.0)]))
    path.add(jump)
    assert path.samples == 1
    assert path.points(jump) == ()


def test_a_path_goes_on_over_the_antimeridian() -> None:
    path = PathHistory()
    places = [Here(t * 100 * MS, 60.0, 179.9999 + t * 2e-5) for t in range(10)]
    places = [Here(p.t_ns, 60.0, (p.longitude_deg + 180) % 360 - 180) for p in places]
    for place in places:
        path.add(place)
    [point] = path.points(places[-1])
    assert point.east_deg == pytest.approx(18e-5, abs=1e-9)


def test_a_height_that_is_not_known_is_no_offset() -> None:
    path = PathHistory()
    for t in range(4):
        path.add(Here(t * 100 * MS, 60.0 + t * 1e-5, 10.0))
    assert path.points(Here(300 * MS, 60.00003, 10.0, 5.0))[0].up_m is None


def test_no_place_is_in_a_repr() -> None:
    assert "52.5" not in repr(Here(0, *START))
    assert "52.5" not in repr(PathPoint(52.5, 13.3, 0.0, 10))


def test_the_road_of_these_tests_is_as_long_as_it_says() -> None:
    places = road([(10, 5.0)])
    a, b = places[0], places[1]
    to = (b.latitude_deg, b.longitude_deg)
    assert distance_m(a.latitude_deg, a.longitude_deg, to) == pytest.approx(2.0, abs=1e-3)

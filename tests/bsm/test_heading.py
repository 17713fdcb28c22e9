from agent.bsm.heading import Heading


def follow(heading: Heading, course: float | None, speed: float | None) -> Heading:
    return heading.follow(course, speed, reversing=False)


def test_the_course_is_followed_at_speed() -> None:
    assert follow(Heading(10.0), 90.0, 5.0).deg == 90.0


def test_the_heading_is_frozen_below_four_km_an_hour() -> None:
    assert follow(Heading(10.0), 90.0, 1.10).deg == 10.0


def test_the_heading_stays_frozen_up_to_five_km_an_hour() -> None:
    frozen = follow(Heading(10.0), 90.0, 1.10)
    assert follow(frozen, 90.0, 1.38).deg == 10.0
    assert follow(frozen, 90.0, 1.40).deg == 90.0


def test_a_heading_not_yet_frozen_is_followed_between_the_limits() -> None:
    assert follow(Heading(10.0), 90.0, 1.2).deg == 90.0


def test_a_car_that_has_not_moved_has_no_heading() -> None:
    assert follow(Heading(), 90.0, 0.0).deg is None


def test_no_course_at_speed_is_no_heading() -> None:
    assert follow(Heading(10.0), None, 5.0).deg is None


def test_a_car_that_stops_and_backs_up_slowly_keeps_its_front() -> None:
    stopped = follow(Heading(10.0), 33.0, 0.0)
    assert stopped.follow(190.0, 1.0, reversing=True).deg == 10.0
    assert stopped.follow(190.0, 2.0, reversing=True).deg == 10.0

from itertools import pairwise

from agent.bsm.identity import Identity, Stamp
from agent.clock import SECOND
from tests.bsm.drive import identity


def drive(car: Identity, seconds: range, speed_mps: float, *, eventful: bool = False) -> Stamp:
    stamp = car.now
    for second in seconds:
        car.drive(second * SECOND, speed_mps)
        stamp = car.next(second * SECOND, eventful=eventful)
    return stamp


def test_the_count_goes_up_by_one_and_round_at_128() -> None:
    car = identity()
    counts = [car.next(0, eventful=False).msg_count for _ in range(300)]
    assert all((b - a) % 128 == 1 for a, b in pairwise(counts))
    assert max(counts) == 127


def test_the_identity_stays_for_five_minutes() -> None:
    car = identity()
    first = car.now.temporary_id
    assert drive(car, range(300), 30.0).temporary_id == first


def test_the_identity_changes_after_five_minutes_and_two_kilometres() -> None:
    car = identity()
    first = car.now
    changed = drive(car, range(302), 30.0)
    assert changed.temporary_id != first.temporary_id
    assert car.changes == 1


def test_the_identity_stays_until_two_kilometres_are_driven() -> None:
    car = identity()
    first = car.now.temporary_id
    assert drive(car, range(1000), 1.9).temporary_id == first
    assert drive(car, range(1000, 1100), 1.9).temporary_id != first


def test_the_identity_stays_while_an_event_is_set() -> None:
    car = identity()
    first = car.now.temporary_id
    assert drive(car, range(400), 30.0, eventful=True).temporary_id == first
    assert drive(car, range(400, 401), 30.0).temporary_id != first


def test_the_count_starts_anew_with_the_identity() -> None:
    given = iter([b"\0\0\0\1", b"\5", b"\0\0\0\2", b"\x55"])
    car = Identity(lambda _: next(given))
    assert drive(car, range(302), 30.0) == Stamp(b"\0\0\0\2", 0x56 + 1)


def test_a_long_pause_is_not_driven_through() -> None:
    car = identity()
    first = car.now.temporary_id
    car.drive(0, 30.0)
    car.next(0, eventful=False)
    car.drive(3600 * SECOND, 30.0)
    assert car.next(3600 * SECOND, eventful=False).temporary_id == first


def test_no_identity_is_in_the_repr() -> None:
    assert repr(Stamp(b"\xde\xad\xbe\xef", 3)) == "Stamp(msg_count=3)"

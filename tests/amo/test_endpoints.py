"""An endpoint that fails is left alone for a while; the others serve meanwhile."""

import pytest

from agent.amo.endpoints import FIRST_WAIT_S, LONGEST_WAIT_S, Endpoints
from agent.clock import SECOND, ManualClock
from agent.errors import PushbackError, RemoteError, UsageError

URLS = ["http://127.0.0.1:1", "http://127.0.0.1:2", "http://127.0.0.1:3"]
BROKEN = RemoteError("broken")


def made(part: float = 1.0) -> tuple[Endpoints, ManualClock]:
    clock = ManualClock()
    return Endpoints(URLS, clock, lambda: part), clock


def turn(endpoints: Endpoints) -> list[int]:
    return [int(one.url[-1]) for one in endpoints.in_turn()]


def wait(clock: ManualClock, seconds: float) -> None:
    clock.advance(round(seconds * SECOND))


def test_the_one_that_answered_last_comes_first() -> None:
    endpoints, _ = made()
    assert turn(endpoints) == [1, 2, 3]
    endpoints.answered(endpoints.all[1])
    assert turn(endpoints) == [2, 1, 3]


def test_waits_double_to_five_minutes_and_end_with_an_answer() -> None:
    endpoints, clock = made()
    first = endpoints.all[0]
    for number in range(12):
        endpoints.failed(first, BROKEN)
        longest = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2**number)
        wait(clock, longest - 0.001)
        assert turn(endpoints) == [2, 3]
        wait(clock, 0.001)
        assert turn(endpoints) == [1, 2, 3]
    endpoints.answered(first)
    endpoints.failed(first, BROKEN)
    wait(clock, FIRST_WAIT_S)
    assert turn(endpoints) == [1, 2, 3]


def test_many_cars_do_not_come_back_together() -> None:
    waits = set()
    for part in (0.1, 0.5, 0.9):
        endpoints, clock = made(part)
        endpoints.failed(endpoints.all[0], BROKEN)
        waits.add(endpoints.all[0].wait_until_ns - clock.mono_ns())
    assert waits == {round(part * SECOND) for part in (0.1, 0.5, 0.9)}


def test_a_server_that_says_when_is_left_alone_until_then_and_not_for_ever() -> None:
    endpoints, clock = made(0)
    endpoints.failed(endpoints.all[0], PushbackError("busy", retry_after_s=20))
    endpoints.failed(endpoints.all[1], PushbackError("busy", retry_after_s=1e9))
    wait(clock, 19.9)
    assert turn(endpoints) == [3]
    wait(clock, 0.1)
    assert turn(endpoints) == [1, 3]
    wait(clock, LONGEST_WAIT_S)
    assert turn(endpoints) == [1, 2, 3]


def test_where_all_wait_the_one_whose_wait_ends_first_is_asked() -> None:
    endpoints, _ = made()
    for one in endpoints.all:
        endpoints.failed(one, BROKEN)
    endpoints.failed(endpoints.all[0], BROKEN)
    assert turn(endpoints) == [2, 3, 1]


def test_a_liar_is_not_asked_again_and_the_last_one_is_named() -> None:
    endpoints, clock = made()
    endpoints.drop(URLS[0] + "/", "another header at height 7")
    wait(clock, 2 * LONGEST_WAIT_S)
    assert turn(endpoints) == [2, 3]
    for url in URLS[1:]:
        endpoints.drop(url, "another header at height 8")
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1:3: another header at height 8"):
        endpoints.in_turn()


@pytest.mark.parametrize("urls", [[], ["ftp://127.0.0.1"], ["http://me:secret@127.0.0.1"]])
def test_no_endpoint_or_a_bad_one_is_refused(urls: list[str]) -> None:
    with pytest.raises(UsageError) as refused:
        Endpoints(urls, ManualClock())
    assert "secret" not in str(refused.value)

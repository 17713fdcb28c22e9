from agent.clock import SECOND
from agent.obd.backoff import Backoff


def waits(backoff: Backoff, ecu: str, times: int) -> list[float]:
    now, found = 0, []
    for _ in range(times):
        backoff.failed(ecu, now)
        found.append((backoff.until_ns(ecu) - now) / SECOND)
        now = backoff.until_ns(ecu)
    return found


def test_each_failure_doubles_the_wait_up_to_a_minute_and_none_is_the_last() -> None:
    assert waits(Backoff(), "7E8", 11) == [0.25, 0.5, 1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_one_ecu_does_not_wait_for_another() -> None:
    backoff = Backoff()
    waits(backoff, "7E8", 5)
    assert backoff.until_ns("7E9") == 0


def test_an_answer_ends_the_wait_and_tells_whether_it_was_long() -> None:
    backoff = Backoff()
    waits(backoff, "7E8", 3)
    assert not backoff.answered("7E8")
    waits(backoff, "7E8", 4)
    assert backoff.answered("7E8")
    assert backoff.until_ns("7E8") == 0
    assert not backoff.answered("7E8")

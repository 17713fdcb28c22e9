from agent.clock import SECOND
from agent.obd.poll import LONGEST_NS, Need, Plan
from agent.obd.question import Question

SPEED = Question(0x01, 0x0D)
ODOMETER = Question(0x01, 0xA6)


def plan(*needs: Need) -> Plan:
    return Plan(needs, now_ns=0)


def test_everything_is_due_at_the_start() -> None:
    asked = plan(Need(SPEED, 1.0, 1.0))
    assert asked.next(0) == SPEED


def test_answered_question_waits_for_its_period() -> None:
    asked = plan(Need(SPEED, 1.0, 1.0))
    asked.answered(SPEED, now_ns=SECOND // 10)
    assert asked.next(SECOND - 1) is None
    assert asked.next(SECOND) == SPEED
    assert asked.wake_ns() == SECOND


def test_earliest_deadline_goes_first() -> None:
    asked = plan(Need(ODOMETER, 10.0, 10.0), Need(SPEED, 0.2, 0.2))
    assert asked.next(0) == SPEED


def test_slow_question_is_not_starved_by_a_fast_one() -> None:
    asked = plan(Need(ODOMETER, 10.0, 10.0), Need(SPEED, 0.2, 0.2))
    now = 0
    while asked.next(now) == SPEED:
        now += SECOND // 4  # the bus is slower than the fast question's period
        asked.answered(SPEED, now)
        assert now < 11 * SECOND
    assert asked.next(now) == ODOMETER


def test_late_answer_does_not_pile_up_questions() -> None:
    asked = plan(Need(SPEED, 0.2, 0.2))
    asked.answered(SPEED, now_ns=30 * SECOND)
    assert asked.next(30 * SECOND) == SPEED
    asked.answered(SPEED, now_ns=30 * SECOND)
    assert asked.next(30 * SECOND) is None


def test_silence_doubles_the_interval_up_to_a_minute() -> None:
    asked = plan(Need(SPEED, 1.0, 1.0))
    now, waits = 0, []
    for _ in range(8):
        asked.unanswered(SPEED, now)
        waits.append((asked.wake_ns() - now) // SECOND)
        now = asked.wake_ns()
    assert waits == [2, 4, 8, 16, 32, 60, 60, 60]


def test_silent_question_is_never_given_up() -> None:
    asked = plan(Need(SPEED, 1.0, 1.0))
    now = 0
    for _ in range(1000):
        asked.unanswered(SPEED, now)
        now = asked.wake_ns()
    assert asked.next(now) == SPEED


def test_one_answer_brings_the_period_back() -> None:
    asked = plan(Need(SPEED, 1.0, 1.0))
    for _ in range(5):
        asked.unanswered(SPEED, asked.wake_ns())
    now = asked.wake_ns()
    asked.answered(SPEED, now)
    assert asked.wake_ns() == now + SECOND


def test_period_above_a_minute_stays_as_it_is_in_silence() -> None:
    asked = plan(Need(SPEED, 300.0, 1.0))
    asked.unanswered(SPEED, 0)
    assert asked.wake_ns() == 300 * SECOND


def test_unsupported_question_rests_for_a_minute() -> None:
    asked = plan(Need(SPEED, 1.0, 1.0))
    asked.rest(SPEED, 0)
    assert asked.wake_ns() == LONGEST_NS
    assert asked.next(LONGEST_NS) == SPEED


def test_dropped_question_does_not_come_back() -> None:
    asked = plan(Need(SPEED, 1.0, 1.0))
    asked.drop(SPEED)
    assert asked.next(10**18) is None
    assert asked.questions() == []

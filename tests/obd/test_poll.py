from itertools import pairwise

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


ENGINE, GEARBOX = frozenset({"7E8"}), frozenset({"7E9"})
LOAD = Question(0x01, 0x04)


def test_more_important_question_goes_first_even_when_the_other_is_later() -> None:
    asked = plan(Need(ODOMETER, 1.0, 1.0), Need(SPEED, 1.0, 9.0, priority=1))
    assert asked.next(0) == SPEED
    asked.answered(SPEED, 0)
    assert asked.next(0) == ODOMETER


def test_important_questions_beyond_what_the_bus_takes_do_not_starve_the_others() -> None:
    asked = plan(Need(ODOMETER, 1.0, 1.0), Need(SPEED, 0.2, 0.2, priority=9))
    served = {SPEED: 0, ODOMETER: 0}
    for tick in range(240):  # a minute, at less than the speed's own pace
        question = asked.next(tick * SECOND // 4)
        assert question is not None
        served[question] += 1
        asked.answered(question, tick * SECOND // 4)
    assert served[ODOMETER] == 5
    assert served[SPEED] == 235


def test_a_silent_ecu_is_tried_by_one_question_at_a_time() -> None:
    asked = plan(Need(SPEED, 0.2, 0.2), Need(LOAD, 0.2, 0.2))
    for question in (SPEED, LOAD):
        asked.answered(question, 0, ENGINE)
    now, tries = SECOND, []
    while now < 61 * SECOND:
        due = asked.next(now)
        if due is not None:
            tries.append(now)
            asked.unanswered(due, now + SECOND // 5)
        now += SECOND // 5
    assert len(tries) <= 9
    assert all(later - earlier > SECOND // 4 for earlier, later in pairwise(tries))


def test_a_silent_ecu_does_not_hold_up_the_others() -> None:
    asked = plan(Need(SPEED, 0.2, 0.2), Need(LOAD, 0.2, 0.2))
    asked.answered(SPEED, 0, ENGINE)
    asked.answered(LOAD, 0, GEARBOX)
    for _ in range(6):
        asked.unanswered(SPEED, 0)
    assert asked.next(SECOND) == LOAD


def test_a_question_two_ecus_answer_goes_on_while_one_of_them_is_busy() -> None:
    asked = plan(Need(SPEED, 0.2, 0.2))
    asked.answered(SPEED, 0, ENGINE | GEARBOX)
    asked.busy(SPEED, 0, ENGINE)
    assert asked.next(SECOND // 5) == SPEED
    asked.busy(SPEED, 0, GEARBOX)
    assert asked.next(SECOND // 5) is None


def test_an_ecu_that_was_away_is_asked_everything_again_when_it_answers() -> None:
    asked = plan(Need(SPEED, 0.2, 0.2), Need(LOAD, 0.2, 0.2))
    for question in (SPEED, LOAD):
        asked.answered(question, 0, ENGINE)
    for _ in range(8):
        asked.unanswered(SPEED, 0)
        asked.unanswered(LOAD, 0)
    now = asked.wake_ns()
    first = asked.next(now)
    assert first is not None
    asked.answered(first, now, ENGINE)
    assert {asked.next(now), first} == {SPEED, LOAD}


def test_one_question_that_is_never_answered_does_not_slow_those_that_are() -> None:
    asked = plan(Need(SPEED, 0.2, 0.2), Need(LOAD, 0.2, 0.2))
    for question in (SPEED, LOAD):
        asked.answered(question, 0, ENGINE)
    now, answers = SECOND, 0
    while now < 121 * SECOND:
        due = asked.next(now)
        if due == LOAD:
            asked.unanswered(LOAD, now)
        elif due == SPEED:
            answers += 1
            asked.answered(SPEED, now, ENGINE)
        now += SECOND // 20
    assert answers > 0.95 * 120 / 0.2


def test_refused_question_backs_off_alone() -> None:
    asked = plan(Need(SPEED, 0.2, 0.2), Need(LOAD, 0.2, 0.2))
    for question in (SPEED, LOAD):
        asked.answered(question, 0, ENGINE)
    for _ in range(9):
        asked.refused(SPEED, 0)
    assert asked.next(SECOND // 5) == LOAD
    assert asked.wake_ns() == SECOND // 5

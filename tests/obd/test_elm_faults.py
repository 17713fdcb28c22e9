"""A faulty adapter never makes `ask` late and never gives a wrong value.

Promised for an adapter that echoes, whatever is lost, late, added as lines of its own or cut up: an
answer is the car's to this question, from the time it says. Not promised: that a digit which became
another digit is noticed, or a gap that begins in one line and ends in the next at the same place.
"""

from random import Random

import pytest

from agent.clock import MS, SECOND, ManualClock
from agent.errors import SourceLostError
from agent.obd import elm
from agent.obd.address import one_ecu
from agent.obd.elm import ElmRequester
from agent.obd.question import Answer, Question
from agent.obd.request import READ_SERVICES
from tests.obd.faultyadapter import (
    ELSEWHERE,
    IDENTIFIERS,
    SIZES,
    VIN,
    Faults,
    FaultyAdapter,
    Style,
)

SEEDS = range(300)
QUESTIONS = [*(Question(1, pid) for pid in SIZES), Question(3), Question(9, 2)]
ECUS = [one_ecu("7E0"), one_ecu("7E1"), one_ecu(*ELSEWHERE), one_ecu("DA10"), one_ecu("DA11", "11")]
TIMEOUT_S = 0.2
LIMIT_NS = SECOND
SLICE_NS = 20 * MS
CONNECT_NS = 10 * SECOND


def faults(dice: Random) -> Faults:
    """Some of them, each strong enough to hit often."""

    def some(strength: float) -> float:
        return dice.choice([0.0, strength * dice.random()])

    return Faults(
        loss_out=some(0.05),
        loss_in=some(0.05),
        hang=some(0.1),
        garbage=some(0.5),
        wrong_echo=some(0.03),
        no_prompt=some(0.1),
        split=dice.random() < 0.5,
    )


def style(dice: Random) -> Style:
    return Style(
        lengths=dice.random() < 0.5,
        padded=dice.random() < 0.5,
        long_ids=dice.random() < 0.5,
        multi=dice.random() < 0.7,
        hints=dice.random() < 0.7,
        ecus=dice.randint(1, 3),
        headers=dice.random() < 0.9,
        old=dice.random() < 0.3,
    )


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def connected(
    adapter: FaultyAdapter, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> ElmRequester | None:
    monkeypatch.setattr(elm, "open_link", lambda _uri: adapter)
    requester = ElmRequester("elm:/dev/faulty", clock)
    begun = clock.mono_ns()
    try:
        requester.connect()
    except SourceLostError:
        return None
    finally:
        assert clock.mono_ns() - begun <= CONNECT_NS
    return requester


def check(
    adapter: FaultyAdapter, question: Question, answer: Answer, begun: int, ended: int
) -> None:
    if question.service == 9:
        assert answer.data == VIN[: len(answer.data)] == VIN
        return
    name = "03" if question.pid is None else f"{question.pid:02X}"
    assert question.at is None or int(answer.ecu, 16) == question.at.answer
    since = begun if answer.took_ns >= 0 else begun - 100 * MS
    now = [
        (at, data)
        for at, data in adapter.given.get((name, answer.ecu[-1:]), [])
        if since <= at <= ended
    ] or [
        (at, data)
        for at, data in adapter.given.get((name, f"{int(answer.ecu[-1:], 16) - 8 & 15:X}"), [])
        if since <= at <= ended
    ]
    assert answer.data in [data for _, data in now]


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fault_makes_a_question_late_or_an_answer_wrong(
    seed: int, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = Random(seed)
    adapter = FaultyAdapter(clock, seed, faults(dice), style(dice))
    drive(adapter, QUESTIONS, dice, clock, monkeypatch)
    assert adapter.settings == []


@pytest.mark.parametrize("seed", SEEDS)
def test_no_fault_gives_a_question_to_another_ecu_or_takes_its_answer_for_ours(
    seed: int, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dice = Random(seed)
    kind = style(dice)
    adapter = FaultyAdapter(clock, seed, faults(dice), kind)
    at_one = [Question(0x22, pid, at) for pid in IDENTIFIERS for at in ECUS]
    drive(adapter, [*QUESTIONS, *at_one], dice, clock, monkeypatch)
    lengths = {len(header) for header in adapter.headers}
    assert lengths <= ({6} if kind.long_ids else {3})


def drive(
    adapter: FaultyAdapter,
    questions: list[Question],
    dice: Random,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    requester = None
    for _ in range(25):
        requester = requester or connected(adapter, clock, monkeypatch)
        if requester is None:
            continue
        question = dice.choice(questions)
        begun = clock.mono_ns()
        try:
            replies = requester.ask(question.service, question.pid, TIMEOUT_S, at=question.at)
        except SourceLostError:
            replies, requester = [], None
        ended = clock.mono_ns()
        assert ended - begun <= LIMIT_NS + SLICE_NS
        for reply in replies:
            if isinstance(reply, Answer):
                check(adapter, question, reply, begun, ended)
        clock.advance(dice.choice([0, 0, 50 * MS]))
    assert adapter.services <= READ_SERVICES

"""The dialogue and what `ask` makes of it, on adapters that do one thing wrong at a time."""

from collections.abc import Callable

import pytest

from agent.clock import MS, SECOND, ManualClock
from agent.errors import SourceLostError
from agent.obd import elm
from agent.obd.elm import ElmRequester
from agent.obd.question import Answer, Fragment, Refusal
from tests.obd.faultyadapter import VIN, Faults, FaultyAdapter, Style


class Scripted(FaultyAdapter):
    """To a question of the car, these lines; the settings as an ELM327."""

    def __init__(self, clock: ManualClock, script: dict[str, str]) -> None:
        super().__init__(clock, 0, Faults(), Style(ecus=1))
        self.script = script
        self.asked: list[str] = []

    def _answer(self, command: str) -> str:
        if not command.startswith("AT"):
            self.asked.append(command)
        said = self.script.get(command)
        return super()._answer(command) if said is None else said


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def connect(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> Callable[[FaultyAdapter], ElmRequester]:
    def connected(adapter: FaultyAdapter) -> ElmRequester:
        monkeypatch.setattr(elm, "open_link", lambda _uri: adapter)
        requester = ElmRequester("elm:/dev/ours", clock)
        requester.connect()
        return requester

    return connected


Connect = Callable[[FaultyAdapter], ElmRequester]


def ask_on(requester: ElmRequester) -> None:
    for _ in range(20):
        requester.ask(0x01, 0x0D)


@pytest.mark.parametrize("echo", [True, False])
@pytest.mark.parametrize("long_ids", [True, False])
@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("padded", [True, False])
def test_every_kind_of_adapter_gives_the_vin_of_three_mixed_ecus(
    connect: Connect, clock: ManualClock, *, echo: bool, long_ids: bool, lengths: bool, padded: bool
) -> None:
    style = Style(echo=echo, long_ids=long_ids, lengths=lengths, padded=padded, ecus=3)
    requester = connect(FaultyAdapter(clock, 1, Faults(), style))
    replies = requester.ask(0x09, 0x02)
    ecus = ["18DAF110", "18DAF111", "18DAF112"] if long_ids else ["7E8", "7E9", "7EA"]
    assert [reply.ecu for reply in replies] == ecus
    assert [reply.data for reply in replies if isinstance(reply, Answer)] == [VIN] * 3
    assert not requester.complaints


@pytest.mark.parametrize(
    ("said", "replies"),
    [
        ("NO DATA\r", []),
        ("CAN ERROR\r", []),
        ("BUFFER FULL\r", []),
        ("7E8037F0122\r", [Refusal("7E8", 0x22)]),
        ("7E8037F0178\r", [Refusal("7E8", 0x78)]),
        ("7E8037F0178\r7E803410D32\r", [b"\x32"]),
        ("7E803410D32\r7E8037F0178\r", [b"\x32"]),
        ("7E803410C32\r", []),  # an answer to some other question
        ("7E803410D32\rDATA ERROR\r", [b"\x32"]),
        ("7E803410D32<DATA ERROR\r", [Fragment("7E8", "torn line")]),
        ("7E803410D\r", [Fragment("7E8", "a frame of 3 bytes that tells of 3")]),
        ("7E803410D3\r", [Fragment("7E8", "torn line")]),
        ("7E903410D32\r", []),  # an ECU that was not met
    ],
)
def test_what_is_printed_becomes_a_reply_or_none(
    connect: Connect, clock: ManualClock, said: str, replies: list[bytes | Refusal | Fragment]
) -> None:
    requester = connect(Scripted(clock, {"010D": said}))
    found = requester.ask(0x01, 0x0D)
    assert [reply.data if isinstance(reply, Answer) else reply for reply in found] == replies


@pytest.mark.parametrize("remark", ["LV RESET", "LP ALERT", "ACT ALERT", "ERR71", "ELM327 v1.5"])
def test_an_adapter_that_reset_itself_is_set_up_anew(
    connect: Connect, clock: ManualClock, remark: str
) -> None:
    adapter = Scripted(clock, {"010D": f"{remark}\r"})
    requester = connect(adapter)
    with pytest.raises(SourceLostError, match="reset itself"):
        requester.ask(0x01, 0x0D)
    assert adapter.closed
    adapter.script.clear()
    requester.connect()
    assert len(requester.ask(0x01, 0x0D)) == 1


def test_a_search_of_the_bus_is_not_interrupted_and_no_question_takes_over_five_seconds(
    connect: Connect, clock: ManualClock
) -> None:
    adapter = Scripted(clock, {})
    requester = connect(adapter)
    adapter.search_ns = 12 * SECOND
    for _ in range(2):
        begun = clock.mono_ns()
        assert requester.ask(0x01, 0x0D) == []
        assert clock.mono_ns() - begun <= 5 * SECOND + 20 * MS
    assert adapter.asked == ["0100"]
    assert len(requester.ask(0x01, 0x0D)) == 1


def test_a_search_without_an_end_is_a_loss(connect: Connect, clock: ManualClock) -> None:
    adapter = Scripted(clock, {})
    requester = connect(adapter)
    adapter.search_ns = 3600 * SECOND
    begun = clock.mono_ns()
    with pytest.raises(SourceLostError, match="looked for the bus for 30 s"):
        ask_on(requester)
    assert clock.mono_ns() - begun <= 41 * SECOND


def test_an_adapter_that_hangs_is_lost_after_three_questions(
    connect: Connect, clock: ManualClock
) -> None:
    adapter = Scripted(clock, {})
    requester = connect(adapter)
    requester.ask(0x01, 0x0D)
    adapter.faults = Faults(hang=1.0)
    begun = clock.mono_ns()
    with pytest.raises(SourceLostError, match="silent, 3 commands long"):
        ask_on(requester)
    assert clock.mono_ns() - begun <= 3 * SECOND + 100 * MS


@pytest.mark.parametrize(
    ("faults", "reason"),
    [
        (Faults(loss_in=1.0), "does not answer ATZ"),
        (Faults(loss_out=1.0), "does not answer ATZ"),
        (Faults(wrong_echo=1.0), "echoes other characters"),
    ],
)
def test_what_cannot_be_talked_with_is_said_in_time(
    connect: Connect, clock: ManualClock, faults: Faults, reason: str
) -> None:
    begun = clock.mono_ns()
    with pytest.raises(SourceLostError, match=reason):
        connect(FaultyAdapter(clock, 1, faults, Style()))
    assert clock.mono_ns() - begun < 6 * SECOND


def test_digits_lost_on_the_way_out_never_make_another_question(
    connect: Connect, clock: ManualClock
) -> None:
    """`0104`, the engine's load, without its first two digits would clear the codes."""
    adapter = Scripted(clock, {})
    requester = connect(adapter)
    requester.ask(0x01, 0x04)
    adapter.asked.clear()
    adapter.lose_next = 2
    assert requester.ask(0x01, 0x04) == []
    assert adapter.asked == []
    assert len(requester.ask(0x01, 0x04)) == 1
    assert requester.complaints["no echo"] == 1
    assert adapter.asked == ["041ZZZZZZZZ", "0104"]  # the first is made to be no command
    assert adapter.services == {0x01}


@pytest.mark.parametrize("stall_ms", range(250, 2500, 150))
def test_an_answer_that_was_held_up_is_not_taken_for_one_to_the_same_question_later(
    connect: Connect, clock: ManualClock, stall_ms: int
) -> None:
    adapter = Scripted(clock, {})
    requester = connect(adapter)
    requester.ask(0x01, 0x0D)
    adapter.stall_ns = stall_ms * MS
    for _ in range(4):
        begun = clock.mono_ns()
        found = [reply for reply in requester.ask(0x01, 0x0D) if isinstance(reply, Answer)]
        times = {data: at for at, data in adapter.given["0D", "0"]}
        assert all(times[answer.data] >= begun for answer in found)
    assert found


def test_a_flood_without_an_end_is_a_loss_and_takes_no_memory(
    connect: Connect, clock: ManualClock
) -> None:
    requester = connect(Scripted(clock, {"010D": "7E803410D32\r" * 100_000}))
    with pytest.raises(SourceLostError, match="more than 16384 bytes"):
        requester.ask(0x01, 0x0D, timeout_s=10)


def test_a_hint_that_an_adapter_does_not_know_is_left_off(
    connect: Connect, clock: ManualClock
) -> None:
    adapter = FaultyAdapter(clock, 1, Faults(), Style(hints=False, ecus=1))
    requester = connect(adapter)
    assert [len(requester.ask(0x01, pid)) for pid in (0x0C, 0x0D) * 10] == [1] * 20
    assert requester.complaints["?"] <= 2

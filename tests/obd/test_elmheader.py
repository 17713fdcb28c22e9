"""Which commands turn an adapter to one ECU, and what happens when it does not take them."""

import pytest

from agent.clock import ManualClock
from agent.errors import SourceLostError, UsageError
from agent.obd import elm
from agent.obd.address import EVERYBODY, Address, one_ecu
from agent.obd.elm import ElmRequester
from agent.obd.elmheader import commands
from agent.obd.question import Answer
from tests.obd.faultyadapter import ELSEWHERE, Faults, FaultyAdapter, Style

ENGINE, GEARBOX, APART = one_ecu("7E0"), one_ecu("7E1"), one_ecu(*ELSEWHERE)
LONG, SHORT = 0xD002, 0xD001
TURN_APART = ["ATSH7B0", "ATCRA7CF", "ATFCSH7B0", "ATFCSD300000", "ATFCSM1"]
BACK = ["ATFCSM0", "ATCRA", "ATAR", "ATSH7DF"]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def connected(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, style: Style
) -> tuple[ElmRequester, FaultyAdapter]:
    adapter = FaultyAdapter(clock, 1, Faults(), style)
    monkeypatch.setattr(elm, "open_link", lambda _uri: adapter)
    requester = ElmRequester("elm:/dev/ours", clock)
    requester.connect()
    return requester, adapter


@pytest.mark.parametrize(
    ("to", "told"),
    [
        (EVERYBODY[0], ["ATSH7DF"]),
        (EVERYBODY[1], ["ATSHDB33F1"]),
        (ENGINE, ["ATSH7E0"]),
        (one_ecu("DA10"), ["ATSHDA10F1"]),
        (one_ecu("7E0", "7E9"), ["ATSH7E0", "ATCRA7E9", "ATFCSH7E0", "ATFCSD300000", "ATFCSM1"]),
        (APART, TURN_APART),
    ],
)
def test_an_ecu_of_the_standard_takes_one_command(to: Address, told: list[str]) -> None:
    assert commands(to) == told


def test_the_adapter_is_turned_once_for_all_questions_of_an_ecu(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    requester, adapter = connected(clock, monkeypatch, Style())
    for at in (ENGINE, ENGINE, ENGINE, None, None, GEARBOX, APART, APART, None):
        service, pid = (1, 0x0D) if at is None else (0x22, SHORT)
        assert requester.ask(service, pid, at=at)
    assert adapter.settings == ["ATSH7E0", "ATSH7DF", "ATSH7E1", *TURN_APART, *BACK]
    assert not requester.complaints


@pytest.mark.parametrize("padded", [True, False])
@pytest.mark.parametrize("old", [True, False])
def test_a_long_answer_comes_from_an_ecu_that_needs_flow_control_by_our_word(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, *, padded: bool, old: bool
) -> None:
    requester, adapter = connected(clock, monkeypatch, Style(padded=padded, old=old))
    [reply] = requester.ask(0x22, LONG, at=APART)
    assert isinstance(reply, Answer)
    assert (reply.ecu, len(reply.data)) == ("7CF", 12)
    assert len(requester.ask(0x01, 0x0D)) == 2
    assert adapter.headers == {"7B0", "7DF"}


def test_an_adapter_that_cannot_be_turned_asks_everybody_and_no_one_ecu(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    requester, adapter = connected(clock, monkeypatch, Style(headers=False))
    assert requester.ask(0x22, SHORT, at=ENGINE) == []
    assert requester.ask(0x22, SHORT, at=APART) == []
    assert requester.complaints == {"ATSH7E0 not taken": 1, "ATSH7B0 not taken": 1}
    assert len(requester.ask(1, 0x0D)) == 2
    assert adapter.headers == {"7DF"}


def test_an_adapter_that_does_not_find_back_to_everybody_is_begun_anew(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    class NoWayBack(FaultyAdapter):
        def _turned(self, command: str) -> bool:
            return command not in {"ATCRA", "ATAR"} and super()._turned(command)

    adapter = NoWayBack(clock, 1, Faults(), Style())
    monkeypatch.setattr(elm, "open_link", lambda _uri: adapter)
    requester = ElmRequester("elm:/dev/ours", clock)
    requester.connect()
    assert requester.ask(0x22, SHORT, at=APART)
    with pytest.raises(SourceLostError, match="takes none of ATCRA, ATAR"):
        requester.ask(1, 0x0D)
    requester.connect()
    assert len(requester.ask(1, 0x0D)) == 2


@pytest.mark.parametrize(
    ("style", "at", "said"),
    [
        (Style(long_ids=True), ENGINE, "an ECU whose identifier is not as long"),
        (Style(), one_ecu("DA10"), "an ECU whose identifier is not as long"),
        (Style(echo=False), ENGINE, "without an echo no single ECU is asked"),
    ],
)
def test_a_question_that_would_go_astray_is_not_asked(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, style: Style, at: Address, said: str
) -> None:
    requester, adapter = connected(clock, monkeypatch, style)
    assert requester.ask(0x22, SHORT, at=at) == []
    assert adapter.settings == []
    assert [reason for reason in requester.complaints if reason.startswith(said)]
    assert requester.ask(1, 0x0D)


@pytest.mark.parametrize("word", ["ATSH7E", "ATSH6F1", "ATSHDA10F2", "ATCRA123", "ATFCSD310000"])
def test_no_other_header_leaves(
    clock: ManualClock, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    requester, _ = connected(clock, monkeypatch, Style())
    session = requester._session
    assert session is not None
    with pytest.raises(UsageError, match=word):
        session._dialogue.exchange(word, 10**9)

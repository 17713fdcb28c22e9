import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from random import Random
from uuid import uuid4

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.clock import MS, SystemClock
from agent.errors import SourceLostError, UsageError
from agent.obd.address import one_ecu
from agent.obd.ecu import Ecu
from agent.obd.question import Answer, Fragment, Question, Refusal
from agent.obd.request import ObdRequester
from agent.obd.route import Route
from agent.obd.transport import Transport

VIN = "KMHTEST0000000017"
OTHER_VIN = "KMHTEST0000000025"
CLOCK = SystemClock()
STATE = Route().at(13.0)

Script = Callable[[can.BusABC, can.Message], None]


@pytest.fixture
def channel() -> str:
    return uuid4().hex


@pytest.fixture
def requester(channel: str) -> ObdRequester:
    return ObdRequester(channel, "virtual", CLOCK)


@pytest.fixture
def listener(channel: str) -> Iterator[can.BusABC]:
    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        yield bus


@contextmanager
def car(channel: str, script: Script) -> Iterator[None]:
    """ECUs that do as the script says to every frame they hear."""
    stop = threading.Event()

    def serve(bus: can.BusABC) -> None:
        while not stop.is_set():
            message = bus.recv(0.01)
            if message is not None:
                script(bus, message)

    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        thread = threading.Thread(target=serve, args=(bus,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


def send(bus: can.BusABC, can_id: int, data: str) -> None:
    frame = bytes.fromhex(data)
    bus.send(can.Message(arbitration_id=can_id, data=frame, is_extended_id=False))


def answering(*frames: tuple[int, str]) -> Script:
    """To a question, these frames at once."""

    def script(bus: can.BusABC, heard: can.Message) -> None:
        if heard.arbitration_id == 0x7DF:
            for can_id, data in frames:
                send(bus, can_id, data)

    return script


def short(replies: list[Answer | Refusal | Fragment]) -> list[tuple[str, bytes]]:
    return [(reply.ecu, reply.data) for reply in replies if isinstance(reply, Answer)]


def took_ms(action: Callable[[], object]) -> float:
    begun = CLOCK.mono_ns()
    action()
    return (CLOCK.mono_ns() - begun) / MS


def test_question_is_one_padded_frame_to_everybody(
    channel: str, requester: ObdRequester, listener: can.BusABC
) -> None:
    with car(channel, answering((0x7E8, "03 41 0D 32"))):
        requester.ask(0x01, 0x0D, timeout_s=0.05)
    frame = listener.recv(0)
    assert frame is not None
    assert (frame.arbitration_id, bytes(frame.data).hex()) == (0x7DF, "02010d0000000000")
    assert [frame.arbitration_id for frame in iter(lambda: listener.recv(0), None)] == [0x7E8]


def test_freeze_frame_question_names_its_frame() -> None:
    assert Question(0x02, 0x0D).message() == b"\x02\x0d\x00"


def test_uds_questions_name_their_identifier_and_the_codes_they_want() -> None:
    assert Question(0x22, 0x0101).message() == b"\x22\x01\x01"
    assert Question(0x22, 0x0101).answer_start() == b"\x62\x01\x01"
    assert Question(0x19, 0x02).message() == b"\x19\x02\x08"  # confirmed ones


def test_a_local_identifier_is_asked_of_one_ecu_alone(channel: str) -> None:
    brakes = one_ecu("7B0")

    def script(bus: can.BusABC, heard: can.Message) -> None:
        if heard.arbitration_id == 0x7B0 and bytes(heard.data[:3]).hex() == "022103":
            send(bus, 0x7B8, "04 61 03 12 34 00 00 00")

    requester = ObdRequester(channel, "virtual", CLOCK, ecus=[brakes])
    with car(channel, script):
        assert short(requester.ask(0x21, 0x03, at=brakes)) == [("7B8", b"\x12\x34")]
    with pytest.raises(UsageError, match="service 21 is for one ECU"):
        requester.ask(0x21, 0x03)


@pytest.mark.parametrize("extended", [False, True])
def test_car_is_asked_with_the_identifiers_it_answers_to(
    requester: ObdRequester, listener: can.BusABC, *, extended: bool
) -> None:
    """With 29-bit ones where 11-bit ones bring nothing, and from then on with those alone."""
    with Ecu(listener, lambda: STATE, vin=VIN, extended=extended):
        [(ecu, data)] = short(requester.ask(0x09, 0x02, timeout_s=0.1))
        assert (ecu, data) == ("18DAF110" if extended else "7E8", b"\x01" + VIN.encode())
        begun = took_ms(lambda: requester.ask(0x09, 0x02, timeout_s=0.1))
    assert begun < 100


def test_another_car_on_the_same_bus_is_found_after_long_silence(
    requester: ObdRequester, listener: can.BusABC
) -> None:
    with Ecu(listener, lambda: STATE, vin=VIN):
        assert short(requester.ask(0x01, 0x0D, timeout_s=0.1))
    for _ in range(50):
        assert requester.ask(0x01, 0x0D, timeout_s=0.001) == []
    with Ecu(listener, lambda: STATE, vin=VIN, extended=True):
        assert [ecu for ecu, _ in short(requester.ask(0x01, 0x0D, timeout_s=0.1))] == ["18DAF110"]


def test_one_ecu_is_asked_alone_where_that_was_allowed(channel: str, listener: can.BusABC) -> None:
    ecu = one_ecu("7E1", "7E9")
    requester = ObdRequester(channel, "virtual", CLOCK, ecus=[ecu])
    with (
        can.Bus(channel, "virtual", ignore_config=True) as bus,
        Ecu(bus, lambda: STATE, vin=OTHER_VIN, number=1),
        Ecu(listener, lambda: STATE, vin=VIN),
    ):
        replies = short(requester.ask(0x22, 0xF190, timeout_s=0.1, at=ecu))
        assert replies == [("7E9", OTHER_VIN.encode())]
        with pytest.raises(UsageError, match="is no question"):
            requester.ask(0x22, 0xF190, at=one_ecu("7E0"))


@pytest.mark.parametrize(
    ("hdr", "rax", "ids"),
    [
        ("7E4", "7EC", (0x7E4, 0x7EC)),
        ("7C4", None, (0x7C4, 0x7CC)),
        ("DA10", "10", (0x18DA10F1, 0x18DAF110)),
        ("DA0E", None, (0x18DA0EF1, 0x18DAF10E)),
    ],
)
def test_addresses_of_a_signal_set_are_identifiers(
    hdr: str, rax: str | None, ids: tuple[int, int]
) -> None:
    address = one_ecu(hdr, rax)
    assert (address.request, address.answer) == ids
    assert address.hears(ids[1], extended=address.extended)
    assert not address.hears(ids[1] + 1, extended=address.extended)


@pytest.mark.parametrize("pair", [("7DF", None), ("123", None), ("DB33", None), ("DA10", "11")])
def test_what_is_no_address_of_diagnostics_is_refused(pair: tuple[str, str | None]) -> None:
    with pytest.raises(UsageError, match="neither 700 to 7FF"):
        one_ecu(*pair)


@pytest.mark.parametrize("service", [0x04, 0x08, 0x10, 0x11, 0x14, 0x27, 0x2E, 0x2F, 0x31, 0x34])
def test_service_that_is_not_allowed_leaves_nothing_on_the_bus(
    requester: ObdRequester, listener: can.BusABC, service: int
) -> None:
    with pytest.raises(UsageError, match=f"service {service:02X}"):
        requester.ask(service)
    assert listener.recv(0.005) is None


def test_list_of_allowed_services_can_be_narrowed_only(channel: str, listener: can.BusABC) -> None:
    with pytest.raises(UsageError, match="at most"):
        ObdRequester(channel, "virtual", CLOCK, allowed=frozenset({0x01, 0x2E}))
    narrow = ObdRequester(channel, "virtual", CLOCK, allowed=frozenset({0x01}))
    with pytest.raises(UsageError, match="service 03"):
        narrow.ask(0x03)
    assert listener.recv(0.005) is None


def test_only_questions_and_flow_control_pass_the_way_out(
    requester: ObdRequester, listener: can.BusABC
) -> None:
    for can_id, data in (
        (0x7E0, "02 01 0D"),  # a question to one ECU alone
        (0x7DF, "10 14 2E F1 90 00 00 00"),  # a first frame
        (0x7DF, "30 00 00"),
        (0x123, "30 00 00"),
        (0x18DA10F1, "03 22 F1 90"),
        (0x18DB33F1, "10 14 2E F1 90 00 00 00"),
        (0x18DB33F1, "02 10 03"),
        (0x7E8, "03 41 0D 32"),
    ):
        with pytest.raises(UsageError):
            requester._send(listener, can_id, bytes.fromhex(data))


@pytest.mark.parametrize(
    ("service", "pid"), [(0x01, None), (0x03, 0x00), (0x01, 0x100), (0x01, -1), (0x40, None)]
)
def test_question_that_makes_no_sense_is_refused(service: int, pid: int | None) -> None:
    with pytest.raises(UsageError):
        Question(service, pid)


def test_real_ecus_answers_of_several_frames_are_put_together(
    channel: str, requester: ObdRequester, listener: can.BusABC
) -> None:
    with (
        can.Bus(channel, "virtual", ignore_config=True) as second,
        Ecu(listener, lambda: STATE, vin=VIN),
        Ecu(second, lambda: STATE, vin=OTHER_VIN, number=2),
    ):
        replies = short(requester.ask(0x09, 0x02))
    assert replies == [("7E8", b"\x01" + VIN.encode()), ("7EA", b"\x01" + OTHER_VIN.encode())]


def test_interleaved_answers_of_two_ecus_are_told_apart(
    channel: str, requester: ObdRequester
) -> None:
    def script(bus: can.BusABC, heard: can.Message) -> None:
        if heard.arbitration_id == 0x7DF:
            send(bus, 0x7E8, "10 0A 49 04 01 A1 A2 A3")
            send(bus, 0x7E9, "10 0A 49 04 01 B1 B2 B3")
        if heard.arbitration_id == 0x7E1:  # the second flow control: both may go on
            send(bus, 0x7E9, "21 B4 B5 B6 B7 00 00 00")
            send(bus, 0x7E8, "21 A4 A5 A6 A7 00 00 00")

    with car(channel, script):
        replies = short(requester.ask(0x09, 0x04))
    assert replies == [
        ("7E8", bytes.fromhex("01A1A2A3A4A5A6A7")),
        ("7E9", bytes.fromhex("01B1B2B3B4B5B6B7")),
    ]


def test_known_ecus_answers_end_the_wait(requester: ObdRequester, listener: can.BusABC) -> None:
    with Ecu(listener, lambda: STATE, vin=VIN):
        first = took_ms(lambda: requester.ask(0x01, 0x0D))
        again = min(took_ms(lambda: requester.ask(0x01, 0x0D)) for _ in range(5))
    assert first >= 195
    assert again < 100


def test_ecu_that_joins_later_is_found(
    channel: str, requester: ObdRequester, listener: can.BusABC
) -> None:
    with Ecu(listener, lambda: STATE, vin=VIN):
        requester.ask(0x01, 0x0D, timeout_s=0.05)
        with car(channel, answering((0x7EF, "03 41 0D 32 00 00 00 00"))):
            ecus = {
                ecu
                for _ in range(60)
                for ecu, _ in short(requester.ask(0x01, 0x0D, timeout_s=0.05))
            }
    assert ecus == {"7E8", "7EF"}


def test_nobody_there_is_an_empty_list_after_the_timeout(requester: ObdRequester) -> None:
    def ask() -> None:
        assert requester.ask(0x01, 0x0D, timeout_s=0.05) == []

    assert 49 <= took_ms(ask) < 500


def test_refusal_is_told_with_its_code(channel: str, requester: ObdRequester) -> None:
    with car(channel, answering((0x7E8, "03 7F 01 12"), (0x7E9, "03 7F 01 21"))):
        replies = requester.ask(0x01, 0x99, timeout_s=0.05)
    assert replies == [Refusal("7E8", 0x12), Refusal("7E9", 0x21)]


def test_ecu_that_asks_for_time_is_waited_for(channel: str, requester: ObdRequester) -> None:
    pause = threading.Event()

    def script(bus: can.BusABC, heard: can.Message) -> None:
        if heard.arbitration_id == 0x7DF:
            send(bus, 0x7E8, "03 7F 01 78")
            pause.wait(0.15)
            send(bus, 0x7E8, "03 41 0D 32")

    with car(channel, script):
        assert short(requester.ask(0x01, 0x0D, timeout_s=0.05)) == [("7E8", b"\x32")]


def test_ecu_that_asks_for_time_for_ever_is_left(
    channel: str, requester: ObdRequester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.obd.request.PATIENCE_NS", 200 * MS)
    with car(channel, answering((0x7E8, "03 7F 01 78"))):
        assert requester.ask(0x01, 0x0D, timeout_s=0.05) == [Refusal("7E8", 0x78)]


def test_answer_that_stops_half_way_is_a_fragment(
    channel: str, requester: ObdRequester, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.obd.request.PATIENCE_NS", 200 * MS)
    with car(channel, answering((0x7E8, "10 14 49 02 01 4B 4D 48"))):
        [reply] = requester.ask(0x09, 0x02, timeout_s=0.05)
    assert reply == Fragment("7E8", "the answer was cut short")


def test_lost_frame_makes_a_fragment_and_no_answer(channel: str, requester: ObdRequester) -> None:
    def script(bus: can.BusABC, heard: can.Message) -> None:
        if heard.arbitration_id == 0x7DF:
            send(bus, 0x7E8, "10 14 49 02 01 4B 4D 48")
        if heard.arbitration_id == 0x7E0:
            send(bus, 0x7E8, "22 30 30 30 30 30 31 37")  # 21 is missing

    with car(channel, script):
        [reply] = requester.ask(0x09, 0x02, timeout_s=0.05)
    assert isinstance(reply, Fragment)
    assert "SequenceNumber" in reply.reason


@pytest.mark.parametrize("first", ["10 00 00 00 FF FF 49 02", "10 00 FF FF FF FF 49 02"])
def test_answer_of_a_huge_length_is_none_and_ends_with_the_timeout(
    channel: str, requester: ObdRequester, first: str
) -> None:
    """Lengths beyond 4,095 bytes stand in four bytes more (ISO 15765-2, 9.6.3)."""

    def ask() -> None:
        assert requester.ask(0x09, 0x02, timeout_s=0.05) == []

    with car(channel, answering((0x7E8, first), *[(0x7E8, "21" * 8)] * 100)):
        assert took_ms(ask) < 1000


def test_answer_to_another_question_is_passed_over(channel: str, requester: ObdRequester) -> None:
    frames = ((0x7E8, "03 41 0C 32"), (0x7E8, "03 7F 03 11"), (0x7E9, "03 41 0D 32"))
    with car(channel, answering(*frames)):
        assert short(requester.ask(0x01, 0x0D, timeout_s=0.05)) == [("7E9", b"\x32")]


def test_answer_that_goes_to_another_tester_gets_no_flow_control_of_ours(
    channel: str, requester: ObdRequester, listener: can.BusABC
) -> None:
    with car(channel, answering((0x7E8, "10 14 62 F1 90 4B 4D 48"), (0x7E8, "21" * 8))):
        assert requester.ask(0x09, 0x02, timeout_s=0.05) == []
    frames = iter(lambda: listener.recv(0), None)
    assert not [frame for frame in frames if frame.arbitration_id in range(0x7E0, 0x7E8)]


def test_garbage_of_the_bus_ends_in_time(channel: str, requester: ObdRequester) -> None:
    random = Random(5)  # the same garbage each time

    def script(bus: can.BusABC, heard: can.Message) -> None:
        if heard.arbitration_id == 0x7DF:
            for _ in range(300):
                data = random.randbytes(random.randrange(9)).hex()
                send(bus, random.randrange(0x7E0, 0x800), data)

    def ask() -> None:
        for reply in requester.ask(0x03, timeout_s=0.05):
            assert isinstance(reply, Answer | Refusal | Fragment)

    with car(channel, script):
        assert took_ms(ask) < 2500


def test_late_answer_is_not_taken_for_the_next(channel: str, requester: ObdRequester) -> None:
    requester.ask(0x01, 0x0D, timeout_s=0.01)
    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        send(bus, 0x7E8, "03 41 0D 99")
    assert requester.ask(0x01, 0x0D, timeout_s=0.02) == []


def test_close_ends_a_wait(requester: ObdRequester) -> None:
    threading.Timer(0.05, requester.close).start()
    assert took_ms(lambda: requester.ask(0x01, 0x0D, timeout_s=4.0)) < 800
    requester.reopen()
    assert took_ms(lambda: requester.ask(0x01, 0x0D, timeout_s=0.05)) >= 49


def test_bus_that_cannot_be_opened_is_a_lost_source() -> None:
    requester = ObdRequester("no-such-interface", "socketcan", CLOCK)
    with pytest.raises(SourceLostError, match="socketcan:no-such-interface"):
        requester.ask(0x01, 0x0D)


def test_repr_of_an_answer_does_not_say_the_vin() -> None:
    assert VIN not in repr(Answer("7E8", VIN.encode(), 0))


@given(st.lists(st.binary(max_size=8), max_size=30))
def test_any_frames_are_a_message_or_a_complaint(frames: list[bytes]) -> None:
    transport = Transport(0x7E8, 0x7E0, lambda _can_id, _data: None)
    for frame in frames:
        message = transport.take(frame)
        assert message is None or len(message) <= 4095

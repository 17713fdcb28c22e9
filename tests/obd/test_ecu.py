import threading
from collections.abc import Iterator
from uuid import uuid4

import can
import isotp
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import UsageError
from agent.obd.diagnosis import PIDS, Diagnosis
from agent.obd.ecu import Ecu
from agent.obd.pids import supported
from agent.obd.route import Route

VIN = "KMHTEST0000000017"
ROUTE = Route()
EARLY, WARNED, LATE = ROUTE.at(13.0), ROUTE.at(17.0), ROUTE.at(19.0)


def ask(request: str, *, functional: bool = False, state: object = EARLY) -> str | None:
    diagnosis = Diagnosis(lambda: state, VIN)  # type: ignore[arg-type, return-value]  # a CarState
    answer = diagnosis.answer(bytes.fromhex(request), functional=functional)
    return None if answer is None else answer.hex()


def test_lists_of_pids_are_true_to_what_is_answered() -> None:
    diagnosis = Diagnosis(lambda: EARLY, VIN)
    claimed: set[int] = set()
    for first in range(0, 0x100, 0x20):
        answer = diagnosis.answer(bytes([1, first]), functional=True)
        if answer is not None:
            claimed |= supported(first, answer[2:])
    for pid in range(1, 0x100):
        answered = diagnosis.answer(bytes([1, pid]), functional=True) is not None
        assert answered == (pid in claimed), f"{pid:02X}"
    assert set(PIDS) <= claimed


def test_values_are_those_of_the_car() -> None:
    assert ask("010D") == f"410d{round(EARLY.speed_mps * 3.6):02x}"
    assert ask("010C") == f"410c{round(EARLY.motor_rps * 240):04x}"
    assert ask("01A6") == f"41a6{round(EARLY.odometer_m / 100):08x}"
    assert ask("0151") == "415108"


def test_several_pids_are_answered_in_one_message() -> None:
    assert ask("01 0D 51 99") == f"410d{round(EARLY.speed_mps * 3.6):02x}5108"


def test_fault_is_pending_first_and_stored_then() -> None:
    assert [ask("03", state=s) for s in (EARLY, WARNED, LATE)] == ["4300", "4300", "43010a80"]
    assert [ask("07", state=s) for s in (EARLY, WARNED, LATE)] == ["4700", "47010a80", "4700"]


def test_lamp_lights_with_the_stored_fault() -> None:
    assert ask("0101") == "410100040000"
    assert ask("0101", state=LATE) == "410181040000"


def test_monitor_of_components_is_through_after_a_while() -> None:
    assert ask("0101", state=ROUTE.at(5.0)) == "410100440000"


def test_uds_names_the_codes_of_a_status() -> None:
    assert [ask("190208", state=s) for s in (EARLY, WARNED, LATE)] == [
        "59020c",
        "59020c",
        "59020c0a800008",
    ]
    assert ask("190204", state=WARNED) == "59020c0a800004"


def test_permanent_code_is_the_stored_one() -> None:
    assert [ask("0A", state=s) for s in (EARLY, LATE)] == ["4a00", "4a010a80"]


def test_freeze_frame_is_the_car_when_the_code_was_stored() -> None:
    now = [EARLY]
    diagnosis = Diagnosis(lambda: now[0], VIN)

    def asked(request: str) -> str:
        answer = diagnosis.answer(bytes.fromhex(request), functional=False)
        return "" if answer is None else answer.hex()

    assert asked("020200") == "4202000000"
    assert asked("020D00") == "7f0231"
    for now[0] in (LATE, ROUTE.at(25.0)):
        assert asked("020200") == "4202000a80"
        assert asked("020D00") == f"420d00{round(LATE.speed_mps * 3.6):02x}"
        assert asked("020D01") == "7f0231"


def test_data_are_answered_by_identifier() -> None:
    assert ask("22F190") == "62f190" + VIN.encode().hex()
    assert ask("220101") == "7f2231"


def test_vin_and_name_are_given_by_service_09() -> None:
    assert ask("0902") == "490201" + VIN.encode().hex()
    assert ask("0900") == "490050400000"
    assert len(ask("090A") or "") == 2 * (3 + 20)
    assert len(ask("0904") or "") == 2 * (3 + 16)


@pytest.mark.parametrize(
    ("request_", "refusal"),
    [
        ("04", "7f0411"),  # it is never cleared
        ("2EF19000", "7f2e11"),
        ("1003", "7f1011"),
        ("0199", "7f0112"),
        ("0903", "7f0931"),
        ("01", "7f0113"),
        ("0300", "7f0313"),
        ("0901 02", "7f0913"),
        ("020D", "7f0213"),
        ("1902", "7f1913"),
        ("190A08", "7f1912"),
        ("22F1", "7f2213"),
    ],
)
def test_what_it_cannot_do_is_refused_when_it_alone_was_asked(request_: str, refusal: str) -> None:
    assert ask(request_) == refusal
    assert ask(request_, functional=True) is None


@given(st.binary(max_size=64), st.booleans())
def test_any_request_is_answered_refused_or_passed_over(request: bytes, functional: bool) -> None:
    answer = Diagnosis(lambda: LATE, VIN).answer(request, functional=functional)
    if answer is not None:
        assert answer[0] in (0x7F, request[0] | 0x40)


@pytest.fixture
def channel() -> str:
    return uuid4().hex


@pytest.fixture
def tester(channel: str) -> Iterator[isotp.CanStack]:
    """A diagnostic tester that talks to the first ECU alone, by can-isotp's own threads."""
    bus = can.Bus(channel, "virtual", ignore_config=True)
    address = isotp.Address(isotp.AddressingMode.Normal_11bits, txid=0x7E0, rxid=0x7E8)
    stack = isotp.CanStack(bus, address=address, params={"tx_padding": 0x55}, read_timeout=0.02)
    stack.start()
    yield stack
    stack.stop()
    bus.shutdown()


@pytest.fixture
def ecu(channel: str) -> Iterator[Ecu]:
    with (
        can.Bus(channel, "virtual", ignore_config=True) as bus,
        Ecu(bus, lambda: EARLY, vin=VIN) as ecu,
    ):
        yield ecu


@pytest.mark.usefixtures("ecu")
def test_vin_crosses_the_bus_in_several_frames(tester: isotp.CanStack) -> None:
    tester.send(b"\x09\x02")
    answer = tester.recv(block=True, timeout=0.8)
    assert answer == bytearray(b"\x49\x02\x01" + VIN.encode())


@pytest.mark.usefixtures("ecu")
def test_refusal_crosses_the_bus(tester: isotp.CanStack) -> None:
    tester.send(b"\x04")
    assert tester.recv(block=True, timeout=0.8) == bytearray(b"\x7f\x04\x11")


@pytest.mark.usefixtures("ecu")
def test_garbage_on_its_identifiers_does_not_silence_it(tester: isotp.CanStack) -> None:
    for can_id in (0x7E0, 0x7DF, 0x123):
        for data in ("", "00", "FF" * 8, "1FFF" + "00" * 6, "21" * 8, "30", "03 01"):
            tester.bus.send(
                can.Message(arbitration_id=can_id, data=bytes.fromhex(data), is_extended_id=False)
            )
    tester.send(b"\x01\x51")
    answers = iter(lambda: tester.recv(block=True, timeout=0.5), None)
    assert any(answer == b"\x41\x51\x08" for answer in answers)


def test_stop_leaves_no_thread_behind(channel: str) -> None:
    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        before = threading.active_count()
        with Ecu(bus, lambda: EARLY, vin=VIN):
            assert threading.active_count() == before + 1
        assert threading.active_count() == before


def test_ninth_ecu_is_refused(channel: str) -> None:
    with (
        can.Bus(channel, "virtual", ignore_config=True) as bus,
        pytest.raises(UsageError, match="0 to 7"),
    ):
        Ecu(bus, lambda: EARLY, vin=VIN, number=8)

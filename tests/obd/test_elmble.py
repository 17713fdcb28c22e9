"""Over real GATT, on a radio of this process's own; the car behind it is ELM327-emulator."""

import asyncio
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from time import sleep

import pytest

from agent.archive import archive
from agent.clock import SECOND, SystemClock
from agent.compose import bus_sources, recorder
from agent.config import BusConfig
from agent.errors import ConfigError, SourceLostError
from agent.events import InputClosed, InputOpened
from agent.installed import codec
from agent.obd import elmble
from agent.obd.elm import ElmRequester
from agent.obd.elmble import BleLink
from agent.obd.elmlink import SLICE_S, check_address
from agent.obd.guard import Limits
from agent.obd.question import Answer
from tests.obd.bleair import ADDRESS, NAME, Air, Dongle, Layout, dongle
from tests.obd.bleback import on_the_air
from tests.obd.emulator import emulator, free_port
from tests.obd.test_elm import grown, new_folder, service_of
from tests.opened import opened

CLOCK = SystemClock()
SPEAKS, HEARS = "NOTIFY", "WRITE_WITHOUT_RESPONSE"
NORDIC: Layout = (
    "6E400001-B5A3-F393-E0A9-E50E24DCCA9E",
    (
        ("6E400002-B5A3-F393-E0A9-E50E24DCCA9E", f"WRITE,{HEARS}"),
        ("6E400003-B5A3-F393-E0A9-E50E24DCCA9E", SPEAKS),
    ),
)
FFF0: Layout = ("FFF0", (("FFF1", SPEAKS), ("FFF2", HEARS)))
CONFIRMED: Layout = ("FFF0", (("FFF1", f"{SPEAKS},WRITE"), ("FFF2", "WRITE")))
LAYOUTS: dict[str, Layout] = {
    "nordic": NORDIC,
    "fff0": FFF0,
    "fff0, written with a response": CONFIRMED,
    "hm-10": ("FFE0", (("FFE2", "WRITE"), ("FFE1", f"{SPEAKS},{HEARS}"))),
    "18f0": ("18F0", (("2AF0", SPEAKS), ("2AF1", f"WRITE,{HEARS}"))),
    "e7810a71": (
        "E7810A71-73AE-499D-8C15-FAA9AEF0C3F2",
        (("BEF8D6C9-9C21-4C9E-B632-BD58C1009F9F", f"{SPEAKS},{HEARS}"),),
    ),
}


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    with emulator(tmp_path_factory.mktemp("elm"), port):
        yield port


@pytest.fixture
def air(monkeypatch: pytest.MonkeyPatch) -> Iterator[Air]:
    with on_the_air(monkeypatch) as air:
        yield air


def switched_on(air: Air, layout: Layout, port: int, mtu: int = 23) -> Dongle:
    there = air.do(dongle(air, layout, mtu))
    air.do(there.switch_on(port))
    return there


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "ble"]


def until(condition: Callable[[], bool]) -> None:
    end = CLOCK.mono_ns() + 2 * SECOND
    while not condition() and CLOCK.mono_ns() < end:
        sleep(0.01)


def read(link: BleLink, size: int) -> bytes:
    octets, end = b"", CLOCK.mono_ns() + 2 * SECOND
    while len(octets) < size and CLOCK.mono_ns() < end:
        octets += link.read()
    return octets


def test_the_car_answers_in_lines_longer_than_a_notification(air: Air, port: int) -> None:
    there = switched_on(air, FFF0, port)
    requester = ElmRequester(f"elm:ble:{NAME}", CLOCK)
    requester.connect()
    [speed] = requester.ask(0x01, 0x0D)
    [vin] = requester.ask(0x09, 0x02)
    requester.close()
    assert isinstance(speed, Answer)
    assert len(speed.data) == 1
    assert isinstance(vin, Answer)
    assert (len(vin.data), vin.data[:1]) == (18, b"\1")
    air.do(there.switch_off())


@pytest.mark.parametrize("layout", LAYOUTS.values(), ids=LAYOUTS)
@pytest.mark.parametrize("name", [NAME, ADDRESS.lower()])
def test_each_uart_that_such_adapters_have_is_found_by_name_or_address(
    name: str, layout: Layout, air: Air, port: int
) -> None:
    there = switched_on(air, layout, port)
    link = BleLink(name)
    link.write(b"ATI\r")
    assert b"ELM327" in read(link, 12)
    link.close()
    assert threads() == []
    air.do(there.switch_off())


@pytest.mark.parametrize(
    ("layout", "mtu", "pieces"),
    [(FFF0, 23, [20, 20, 20]), (CONFIRMED, 23, [20, 20, 20]), (FFF0, 247, [60])],
)
def test_what_is_written_goes_in_pieces_that_fit(
    layout: Layout, mtu: int, pieces: list[int], air: Air, port: int
) -> None:
    there = switched_on(air, layout, port, mtu)
    link = BleLink(NAME)
    text = b"Z" * 59 + b"\r"
    link.write(text)
    assert read(link, 60)[:60] == text  # its echo
    assert b"".join(there.heard) == text
    assert [len(piece) for piece in there.heard] == pieces
    link.close()
    air.do(there.switch_off())


def test_a_read_with_nothing_to_read_does_not_wait_long(air: Air, port: int) -> None:
    there = switched_on(air, FFF0, port)
    link = BleLink(NAME)
    begun = CLOCK.mono_ns()
    assert link.read() == b""
    assert CLOCK.mono_ns() - begun < (SLICE_S + 0.1) * SECOND
    link.close()
    air.do(there.switch_off())


def test_a_connection_that_ended_is_told_by_the_next_read_and_write(air: Air, port: int) -> None:
    there = switched_on(air, FFF0, port)
    link = BleLink(NAME)
    air.do(there.switch_off())
    until(lambda: link._lost is not None)
    with pytest.raises(SourceLostError, match=f"adapter {NAME}: it ended the connection"):
        link.read()
    with pytest.raises(SourceLostError, match=f"adapter {NAME}: Not connected"):
        link.write(b"ATI\r")
    link.close()
    assert threads() == []


def test_an_adapter_that_a_killed_agent_left_connected_is_taken_over(air: Air, port: int) -> None:
    """It does not tell its name while it is connected, so nobody could hear it."""
    there = switched_on(air, FFF0, port)
    first = BleLink(NAME)
    second = BleLink(NAME)
    second.write(b"ATI\r")
    assert b"ELM327" in read(second, 12)
    second.close()
    first.close()
    air.do(there.switch_off())


def test_an_adapter_that_is_not_there_is_told_in_one_line(
    air: Air, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not air.devices
    monkeypatch.setattr(elmble, "FIND_S", 0.2)
    with pytest.raises(SourceLostError) as refusal:
        ElmRequester("elm:ble:nobody", CLOCK).connect()
    assert str(refusal.value) == "adapter nobody: not heard in 0.2 s"
    assert threads() == []


def test_an_adapter_that_never_says_what_it_has_is_given_up_in_time(
    air: Air, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    there = switched_on(air, FFF0, port)
    monkeypatch.setattr(there.device.gatt_server, "on_gatt_pdu", lambda _from, _pdu: None)
    monkeypatch.setattr(elmble, "OPEN_S", 1.0)
    begun = CLOCK.mono_ns()
    with pytest.raises(SourceLostError, match=f"adapter {NAME}: no answer in 1 s"):
        BleLink(NAME)
    assert CLOCK.mono_ns() - begun < 2 * SECOND
    assert threads() == []
    air.do(there.switch_off())


def test_a_device_without_a_uart_is_refused(air: Air, port: int) -> None:
    there = switched_on(air, ("180F", (("2A19", SPEAKS),)), port)
    with pytest.raises(SourceLostError, match=f"adapter {NAME}: it has no UART"):
        BleLink(NAME)
    assert threads() == []
    air.do(there.switch_off())


def test_an_adapter_that_talks_without_end_takes_no_more_memory_than_allowed(
    air: Air, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(elmble, "MOST_UNREAD", 8)
    there = switched_on(air, FFF0, port)
    link = BleLink(NAME)
    air.do(there.say(b"x" * 20 * 9))
    until(lambda: link._lost is not None)
    assert link.read() == b"x" * 20 * 8
    with pytest.raises(SourceLostError, match="more than 8 times"):
        link.read()
    link.close()
    air.do(there.switch_off())


@pytest.mark.parametrize("bus", [True, False])
def test_a_machine_without_bluez_or_d_bus_is_told_in_one_line(
    bus: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = f"unix:path={tmp_path / 'bus'}"
    monkeypatch.setenv("DBUS_SYSTEM_BUS_ADDRESS", address)
    daemon = _d_bus(address) if bus else None
    try:
        with pytest.raises(SourceLostError) as refusal:
            ElmRequester(f"elm:ble:{NAME}", CLOCK).connect()
    finally:
        if daemon is not None:
            daemon.kill()
            daemon.communicate()
    assert str(refusal.value).startswith(f"adapter {NAME}: ")
    assert ("org.bluez" if bus else "No such file") in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert threads() == []


def _d_bus(address: str) -> "subprocess.Popen[bytes]":
    program = shutil.which("dbus-daemon")
    if program is None:
        pytest.skip("dbus-daemon is not installed")
    daemon = subprocess.Popen(
        [program, "--session", "--nofork", "--print-address", f"--address={address}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert daemon.stdout is not None
    assert daemon.stdout.readline()
    return daemon


@pytest.mark.parametrize("name", ["", "x" * 249, "OBD\nII"])
def test_what_no_device_is_called_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match="elm:ble:NAME"):
        check_address(f"elm:ble:{name}")


async def test_an_adapter_that_was_pulled_is_read_again_within_10_s_of_its_return(
    tmp_path: Path, air: Air
) -> None:
    """The whole road: configuration, service, poller, GATT, and the loss in the log."""
    port = free_port()
    stop = asyncio.Event()
    bus = BusConfig(uri=f"elm:ble:{NAME}", queries=True)
    there = air.do(dongle(air, FFF0, 247))
    with archive(tmp_path / "state", CLOCK, wait=True) as parts:
        core = recorder(parts, None, codec())
        [source] = bus_sources(bus, parts, Limits())
        with emulator(new_folder(tmp_path, "first"), port):
            air.do(there.switch_on(port))
            running = asyncio.create_task(service_of(parts, core, source).run(stop))
            assert await grown(core, 0) > 0
            air.do(there.switch_off())
        lost = core.samples
        with emulator(new_folder(tmp_path, "second"), port):
            await asyncio.sleep(0.2)
            air.do(there.switch_on(port))
            back = CLOCK.mono_ns()
            assert await grown(core, lost) > lost
            assert CLOCK.mono_ns() - back < 10 * SECOND
            stop.set()
            await running
            air.do(there.switch_off())
        parts.writer.flush()
        kinds = [type(event) for event in opened(parts)]
    assert kinds.count(InputOpened) == 2
    assert kinds.count(InputClosed) == 2
    assert threads() == []

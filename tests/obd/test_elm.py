"""Against ELM327-emulator, which is no part of this project: a car behind an adapter."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path

import pytest

from agent.archive import Archive, archive
from agent.clock import MS, SECOND, SystemClock
from agent.compose import bus_sources, recorder
from agent.config import BusConfig
from agent.errors import ConfigError, SourceLostError, UsageError
from agent.events import InputClosed, InputOpened, SignalsSampled
from agent.installed import codec
from agent.obd.address import one_ecu
from agent.obd.elm import ElmRequester
from agent.obd.guard import Limits
from agent.obd.poll import Need
from agent.obd.poller import Poller
from agent.obd.question import Answer, Question
from agent.obd.reading import ObdReading
from agent.record import Recorder
from agent.service import Service, Source
from agent.watchdog import SystemdWatchdog
from tests.obd.emulator import emulator, free_port
from tests.opened import opened

CLOCK = SystemClock()
SPEED, RPM, COOLANT = Question(1, 0x0D), Question(1, 0x0C), Question(1, 0x05)


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulator(tmp_path_factory.mktemp("elm")) as name:
        yield f"elm:{name}@38400"


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with emulator(tmp_path_factory.mktemp("elm"), free_port()) as name:
        yield f"elm:{name}"


@pytest.fixture(scope="module", params=["terminal", "port"])
def requester(request: pytest.FixtureRequest) -> Iterator[ElmRequester]:
    requester = ElmRequester(request.getfixturevalue(request.param), CLOCK)
    requester.connect()
    yield requester
    requester.close()


def needs(*questions: Question) -> list[Need]:
    return [Need(question, 0.02, 0.02) for question in questions]


async def readings(requester: ElmRequester, count: int, *questions: Question) -> list[ObdReading]:
    found: list[ObdReading] = []
    async with aclosing(Poller(requester, CLOCK, needs(*questions)).readings()) as source:
        async for reading in source:
            found.append(reading)
            if len(found) == count:
                break
    return found


def test_the_adapter_measures_its_supply_itself(requester: ElmRequester) -> None:
    volts = requester.supply_v()
    assert volts is not None
    assert 5 < volts < 30


def test_values_lists_codes_and_vin_are_answered(requester: ElmRequester) -> None:
    [which] = requester.ask(0x01, 0x00)
    [speed] = requester.ask(0x01, 0x0D)
    [codes] = requester.ask(0x03)
    [vin] = requester.ask(0x09, 0x02)

    assert isinstance(which, Answer)
    assert (which.ecu, which.data.hex()) == ("7E8", "be3fa813")
    assert isinstance(speed, Answer)
    assert len(speed.data) == 1
    assert isinstance(codes, Answer)
    assert codes.data == b"\0"
    assert isinstance(vin, Answer)
    assert (len(vin.data), vin.data[:1]) == (18, b"\1")


def test_several_pids_go_together_once_each_was_answered(requester: ElmRequester) -> None:
    ages = []
    for _ in range(6):
        for question in (SPEED, RPM, COOLANT):
            [reply] = requester.ask(question.service, question.pid)
            assert isinstance(reply, Answer)
            assert len(reply.data) == (2 if question == RPM else 1)
            ages.append(reply.took_ns)
    assert len([age for age in ages if age < 0]) >= 6
    assert all(age >= -200 * MS for age in ages)


def test_what_the_car_does_not_have_is_no_answer(requester: ElmRequester) -> None:
    assert requester.ask(0x01, 0x5B) == []
    assert requester.complaints["NO DATA"] > 0


def test_one_ecu_is_asked_by_a_header_and_everybody_after_it(requester: ElmRequester) -> None:
    for _ in range(2):
        [reply] = requester.ask(0x22, 0x116B, at=one_ecu("7E0"))
        assert isinstance(reply, Answer)
        assert (reply.ecu, reply.data) == ("7E8", b"\0\0")
        [speed] = requester.ask(0x01, 0x0D)
        assert isinstance(speed, Answer)


def test_a_local_identifier_is_read_from_an_ecu_with_flow_control_by_our_word(
    requester: ElmRequester,
) -> None:
    [reply] = requester.ask(0x21, 0x00, at=one_ecu("7C4"))
    assert isinstance(reply, Answer)
    assert (reply.ecu, reply.data.hex()) == ("7CC", "bc000001")
    assert len(requester.ask(0x01, 0x0D)) == 1


def test_an_ecu_that_is_not_there_answers_nothing_for_another(requester: ElmRequester) -> None:
    assert requester.ask(0x22, 0x116B, at=one_ecu("7E5")) == []
    assert requester.ask(0x22, 0x116B, at=one_ecu("DA10")) == []
    assert len(requester.ask(0x01, 0x0D)) == 1


@pytest.mark.parametrize("service", [0x04, 0x08, 0x10, 0x14, 0x27, 0x2E])
def test_service_that_is_not_allowed_does_not_leave(requester: ElmRequester, service: int) -> None:
    requester.ask(0x01, 0x00)
    with pytest.raises(UsageError, match=f"'{service:02X}' is no question of services 01"):
        requester.ask(service)


async def test_the_poller_drives_it_as_it_drives_a_bus(requester: ElmRequester) -> None:
    begun = CLOCK.now_ns()
    found = await readings(requester, 60, SPEED, RPM, COOLANT)
    signals = [signal for reading in found for signal in reading.signals]
    assert {signal.name for signal in signals} == {
        "speed.vehicle",
        "engine.speed",
        "engine.coolant.temperature",
    }
    assert all(begun - 100 * MS < signal.t_ns < CLOCK.now_ns() for signal in signals)


def test_close_ends_a_question_at_once(requester: ElmRequester) -> None:
    """It waits for the adapter's search of the bus, which is new after a reset."""
    requester.close()
    requester.reopen()
    requester.connect()
    asking = threading.Thread(target=requester.ask, args=(0x01, 0x0D))
    asking.start()
    asking.join(0.2)
    assert asking.is_alive()
    begun = CLOCK.mono_ns()
    requester.close()
    asking.join()
    assert CLOCK.mono_ns() - begun < 200 * MS
    assert requester.ask(0x01, 0x0D) == []


def test_an_adapter_that_is_not_there_is_told_in_one_line() -> None:
    for uri in ("elm:/dev/nowhere@38400", f"elm:tcp:127.0.0.1:{free_port()}"):
        with pytest.raises(SourceLostError, match="adapter"):
            ElmRequester(uri, CLOCK).connect()


def test_a_serial_adapter_that_was_pulled_out_is_told_and_opened_again(tmp_path: Path) -> None:
    device = tmp_path / "adapter"
    requester = ElmRequester(f"elm:{device}", CLOCK)
    for place in ("first", "second"):
        with emulator(new_folder(tmp_path, place)) as name:
            device.symlink_to(name)
            requester.connect()
            assert len(requester.ask(0x01, 0x0D)) == 1
        with pytest.raises(SourceLostError, match="adapter"):
            requester.ask(0x01, 0x0D)
        with pytest.raises(SourceLostError, match="adapter"):
            requester.connect()
        device.unlink()


@pytest.mark.parametrize(
    ("bus", "named"),
    [
        (BusConfig(uri="elm:/dev/ttyUSB0@38400"), "queries = true"),
        (BusConfig(uri="elm:tcp:adapter", queries=True), "elm:tcp:HOST:PORT"),
        (BusConfig(uri="elm:tcp:adapter:70000", queries=True), "1 to 65535"),
        (BusConfig(uri="elm:", queries=True), "elm:/dev/NAME@BAUD"),
        (BusConfig(uri="elm:/dev/ttyUSB0@fast", queries=True), "elm:/dev/NAME@BAUD"),
        (BusConfig(uri="elm:/dev/ttyUSB0", queries=True, dbc=("car.dbc",)), "no frames"),
    ],
)
def test_a_bus_that_cannot_be_an_adapter_is_refused(
    bus: BusConfig, named: str, parts: Archive
) -> None:
    with pytest.raises(ConfigError, match=named) as refusal:
        bus_sources(bus, parts, Limits())
    assert "\n" not in str(refusal.value)


async def test_an_adapter_that_was_unplugged_is_read_again_without_a_restart(
    tmp_path: Path,
) -> None:
    """The whole road: configuration, service, poller, adapter, and its loss in the log."""
    port = free_port()
    stop = asyncio.Event()
    bus = BusConfig(uri=f"elm:tcp:127.0.0.1:{port}", queries=True)
    with archive(tmp_path / "state", CLOCK, wait=True) as parts:
        core = recorder(parts, None, codec())
        [source] = bus_sources(bus, parts, Limits())
        service = service_of(parts, core, source)
        running = asyncio.create_task(service.run(stop))
        with emulator(new_folder(tmp_path, "first"), port):
            assert await grown(core, 0) > 0
        lost = core.samples
        with emulator(new_folder(tmp_path, "second"), port):
            back = CLOCK.mono_ns()
            assert await grown(core, lost) > lost
            assert CLOCK.mono_ns() - back < 10 * SECOND
            stop.set()
            await running
        parts.writer.flush()
        kinds = [type(event) for event in opened(parts)]
    assert kinds.count(InputOpened) == 2
    assert kinds.count(InputClosed) == 2


async def test_a_signal_set_is_asked_through_an_adapter_up_to_the_log(
    tmp_path: Path, terminal: str
) -> None:
    signals = '{"id": "SPARK", "fmt": {"len": 16, "unit": "degrees"}}'
    file = tmp_path / "car.json"
    file.write_text(
        f'{{"commands": [{{"hdr": "7E0", "cmd": {{"22": "116B"}}, "signals": [{signals}]}}]}}'
    )
    bus = BusConfig(uri=terminal, queries=True, signals=(str(file),))
    stop = asyncio.Event()
    with archive(tmp_path / "state", CLOCK, wait=True) as parts:
        [source] = bus_sources(bus, parts, Limits(), needs(SPEED))
        service = service_of(parts, recorder(parts, None, codec()), source)
        running = asyncio.create_task(service.run(stop))
        found: set[str] = set()
        async with asyncio.timeout(15):
            while not {"obd.SPARK", "speed.vehicle"} <= found:
                await asyncio.sleep(0.05)
                sampled = (e for e in opened(parts) if isinstance(e, SignalsSampled))
                found = {name for event in sampled for name in event.series}
        stop.set()
        await running


def new_folder(place: Path, name: str) -> Path:
    folder = place / name
    folder.mkdir()
    return folder


def service_of(parts: Archive, core: Recorder, source: Source) -> Service:
    return Service(
        core,
        journal=parts.journal,
        clock=CLOCK,
        sources=[source],
        radio=None,
        healthy=lambda: True,
        watchdog=SystemdWatchdog(""),
    )


async def grown(core: Recorder, above: int) -> int:
    """How many samples there are when there are more than `above`, or after 15 s."""
    end = CLOCK.mono_ns() + 15 * SECOND
    while core.samples <= above and CLOCK.mono_ns() < end:
        await asyncio.sleep(0.05)
    return core.samples

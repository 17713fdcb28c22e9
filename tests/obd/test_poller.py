import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import aclosing
from itertools import pairwise
from uuid import uuid4

import can
import pytest

from agent.clock import MS, SECOND, SystemClock
from agent.config import BusConfig
from agent.errors import SourceLostError
from agent.events import CalibrationRead, FreezeFrameRead, MonitorsRead
from agent.obd.address import one_ecu
from agent.obd.ecu import Ecu
from agent.obd.guard import Guard, Limits
from agent.obd.needs import (
    CALIBRATION,
    CAUSE,
    MONITORS,
    PENDING_CODES,
    PERMANENT_CODES,
    usual_needs,
)
from agent.obd.poll import Need
from agent.obd.poller import Poller
from agent.obd.question import Question
from agent.obd.reading import ObdReading
from agent.obd.request import ObdRequester
from agent.obd.route import Route
from agent.obd.sentry import Sentry
from agent.signalsets import signal_commands

VIN = "KMHTEST0000000017"
CLOCK = SystemClock()
LATE = Route().at(19.0)
SPEED, CODES, WHO = Question(0x01, 0x0D), Question(0x03), Question(0x09, 0x02)


def often(*questions: Question) -> list[Need]:
    return [Need(question, 0.02, 0.02) for question in questions]


def poller(channel: str, needs: list[Need]) -> Poller:
    return Poller(ObdRequester(channel, "virtual", CLOCK), CLOCK, needs)


async def first(poller: Poller, count: int) -> list[ObdReading]:
    found: list[ObdReading] = []
    async with aclosing(poller.readings()) as readings:
        async for reading in readings:
            found.append(reading)
            if len(found) == count:
                break
    return found


@pytest.fixture
async def channel() -> AsyncIterator[str]:
    """Where an ECU with a stored fault answers."""
    name = uuid4().hex
    with (
        can.Bus(name, "virtual", ignore_config=True) as bus,
        Ecu(bus, lambda: LATE, vin=VIN),
    ):
        yield name


async def test_values_arrive_as_signals_again_and_again(channel: str) -> None:
    begun = CLOCK.now_ns()
    readings = await first(poller(channel, often(SPEED)), 4)
    signals = [signal for reading in readings for signal in reading.signals]
    assert [signal.name for signal in signals] == ["speed.vehicle"] * 4
    assert signals[0].value == pytest.approx(LATE.speed_mps, abs=0.15)
    times = [signal.t_ns for signal in signals]
    assert times == sorted(times)
    assert begun < times[0] < begun + 150 * MS < times[-1] < CLOCK.now_ns()


async def test_codes_and_vin_arrive(channel: str) -> None:
    readings = await first(poller(channel, often(CODES, WHO)), 2)
    assert [reading.dtcs for reading in readings if reading.dtcs] == [{"7E8": frozenset({"P0A80"})}]
    assert [reading.vin for reading in readings if reading.vin] == [VIN]


async def test_codes_of_every_memory_and_what_an_ecu_says_of_itself_arrive(channel: str) -> None:
    asked = often(PENDING_CODES, PERMANENT_CODES, CAUSE, MONITORS, CALIBRATION)
    asked.append(Need(Question(0x19, 0x02, one_ecu("7E0")), 0.02, 0.02))
    requester = ObdRequester(channel, "virtual", CLOCK, ecus=[one_ecu("7E0")])
    readings = await first(Poller(requester, CLOCK, asked), len(asked))
    codes = {one.memory: one.dtcs for one in readings if one.dtcs is not None}
    assert codes == {
        "pending": {"7E8": frozenset()},
        "permanent": {"7E8": frozenset({"P0A80"})},
        "confirmed": {"7E8": frozenset({"P0A80-00"})},
    }
    facts = {fact.kind: fact for one in readings for fact in one.facts}
    assert facts.pop("calibration-read/1") == CalibrationRead("7E8", ["SIMCAR-EV-0001"])
    assert facts.pop("monitors-read/1") == MonitorsRead("7E8", True, 1, ["components"], [])
    [frame] = facts.values()
    assert isinstance(frame, FreezeFrameRead)
    assert (frame.code, len(frame.values) > 5) == ("P0A80", True)


async def test_values_of_a_signal_set_arrive_in_si() -> None:
    """A real car's answer, given by a simulated ECU at its address."""
    name = uuid4().hex
    commands = signal_commands(
        BusConfig(uri="virtual:x", queries=True, signals=("hyundai-kona-electric",))
    )
    answer = bytes.fromhex(
        "FFF7E7FF74000000000300240E4E201E1E1E1E20000020BA32BA1A00009200"
        "0138A4000136830000735500006F8A00D325510D016B000000000AC6"
    )
    battery = one_ecu("7E4", "7EC")
    question = Question(0x22, 0x0101, battery)
    requester = ObdRequester(name, "virtual", CLOCK, ecus=[battery])
    with (
        can.Bus(name, "virtual", ignore_config=True) as bus,
        Ecu(bus, lambda: LATE, vin=VIN, number=4, data={0x0101: answer}),
    ):
        polled = Poller(requester, CLOCK, often(question), commands=commands)
        [reading] = await first(polled, 1)
    found = {signal.name: signal.value for signal in reading.signals}
    assert found == pytest.approx(
        {
            "battery.plug": 0,
            "battery.current": 3.6,
            "battery.voltage": 366.2,
            "battery.temperature": 303.15,
            "supply.voltage": 14.6,
            "battery.energy.charged": 2952.5 * 3.6e6,
            "battery.energy.discharged": 2855.4 * 3.6e6,
        }
    )


async def test_vin_is_asked_for_once(channel: str) -> None:
    readings = await first(poller(channel, often(WHO, SPEED)), 8)
    assert len([reading for reading in readings if reading.vin]) == 1


async def test_unsupported_pids_are_left_alone_once_the_car_has_listed_its_own(
    channel: str,
) -> None:
    fuel = Question(0x01, 0x2F)  # an electric car has none
    needs = [Need(Question(0x01, 0x20), 1.0, 0.0), Need(fuel, 0.02, 1.0), *often(SPEED)]
    with can.Bus(channel, "virtual", ignore_config=True) as listener:
        await first(poller(channel, needs), 5)
        frames = iter(lambda: listener.recv(0), None)
        asked = [bytes(frame.data[1:3]).hex() for frame in frames if frame.arbitration_id == 0x7DF]
    assert "0120" in asked
    assert "012f" not in asked


async def test_closing_ends_the_thread_at_once(channel: str) -> None:
    before = threading.active_count()
    polled = poller(channel, usual_needs())
    async with aclosing(polled.readings()) as readings:
        await anext(readings)
        begun = CLOCK.mono_ns()
    assert CLOCK.mono_ns() - begun < SECOND // 2
    assert threading.active_count() == before


async def test_silent_car_gives_no_reading_and_lets_itself_be_left() -> None:
    polled = poller(uuid4().hex, [Need(SPEED, 30.0, 30.0)])
    before = threading.active_count()
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first(polled, 1), 0.3)
    assert threading.active_count() == before


async def test_answers_that_make_no_sense_are_counted() -> None:
    channel = uuid4().hex
    done = threading.Event()

    def serve(bus: can.BusABC) -> None:
        while not done.is_set():
            heard = bus.recv(0.01)
            if heard is not None and heard.arbitration_id == 0x7DF:
                frame = bytes.fromhex("03 41 0C 32" if heard.data[2] == 0x0C else "03 41 0D 32")
                bus.send(can.Message(arbitration_id=0x7E8, data=frame, is_extended_id=False))

    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        thread = threading.Thread(target=serve, args=(bus,))
        thread.start()
        polled = poller(channel, [*often(SPEED), Need(Question(0x01, 0x0C), 0.1, 0.0)])
        await first(polled, 3)
        done.set()
        thread.join()
    assert polled.broken >= 1


async def test_a_supply_that_rises_while_nobody_is_asked_is_worth_a_look() -> None:
    begun = CLOCK.mono_ns() - 3600 * SECOND
    guard = Guard("elm", Limits(), begun)
    for passed_s in range(0, 3600, 5):
        guard.step(begun + passed_s * SECOND)
    assert not guard.asking

    measured: list[float] = []

    def supply_v() -> float:
        measured.append(14.1)
        return 14.1

    requester = ObdRequester(uuid4().hex, "virtual", CLOCK)
    sentry = Sentry(guard, CLOCK)
    polled = Poller(requester, CLOCK, often(SPEED), sentry, supply_v=supply_v)
    [reading] = await asyncio.wait_for(first(polled, 1), 5)

    assert reading.asking is not None
    assert reading.asking.reason == "something charges the battery, 14.10 V"
    assert measured == [14.1]


async def test_lost_bus_reaches_whoever_reads() -> None:
    requester = ObdRequester("no-such-interface", "socketcan", CLOCK)
    polled = Poller(requester, CLOCK, often(SPEED))
    with pytest.raises(SourceLostError):
        await first(polled, 1)
    with pytest.raises(SourceLostError):  # and again, when it is tried again
        await first(polled, 1)


async def test_a_busy_ecu_is_left_alone_longer_and_longer_and_found_again() -> None:
    channel = uuid4().hex
    asked: list[int] = []
    done = threading.Event()

    def serve(bus: can.BusABC) -> None:
        while not done.is_set():
            heard = bus.recv(0.01)
            if heard is not None and heard.arbitration_id == 0x7DF:
                asked.append(CLOCK.mono_ns())
                frame = f"03 41 {heard.data[2]:02X} 32" if len(asked) > 3 else "03 7F 01 21"
                data = bytes.fromhex(frame)
                bus.send(can.Message(arbitration_id=0x7E8, data=data, is_extended_id=False))

    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        thread = threading.Thread(target=serve, args=(bus,))
        thread.start()
        readings = await first(poller(channel, often(SPEED)), 3)
        done.set()
        thread.join()
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert all(wait >= SECOND // 4 << place for place, wait in enumerate(waits[:2]))
    assert waits[3] < SECOND // 4
    assert [reading.signals[0].name for reading in readings] == ["speed.vehicle"] * 3


def test_repr_of_a_reading_does_not_say_the_vin() -> None:
    assert VIN not in repr(ObdReading(vin=VIN))

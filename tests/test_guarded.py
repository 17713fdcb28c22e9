"""The sleep guard through the whole agent, from the bus to the log. The clock runs 25 times."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import can
import msgspec
import pytest
from structlog.testing import capture_logs

from agent.archive import Archive, archive
from agent.clock import SECOND, RecordedClock
from agent.compose import configured
from agent.config import BusConfig, Config
from agent.events import AskingChanged, SignalsSampled
from agent.obd.ecu import Ecu
from agent.obd.guard import Limits
from agent.obd.route import Route
from agent.pollsign import sign_polls
from tests.conftest import START_NS
from tests.opened import opened

PARKED = msgspec.structs.replace(Route().at(0.0), speed_mps=0.0, motor_rps=0.0)
DRIVEN = msgspec.structs.replace(PARKED, motor_rps=20.0)
SPEED = 25
PATIENCE_S = 10.0


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Archive]:
    with archive(tmp_path / "state", RecordedClock(START_NS, speed=SPEED), wait=True) as made:
        yield made


@pytest.fixture
def channel() -> str:
    return uuid4().hex


@pytest.fixture
def car(channel: str) -> Iterator[can.BusABC]:
    """The car's own end of the bus, on which nothing is sent but by the tests."""
    with can.Bus(channel, "virtual", ignore_config=True) as bus:
        yield bus


@pytest.fixture
async def agent(parts: Archive, channel: str) -> AsyncIterator[Archive]:
    """Runs on that bus, and takes an engine for off after 10 s."""
    bus = BusConfig(uri=f"virtual:{channel}", queries=True)
    config = Config(bus=(bus,), guard=Limits(off_after_s=10))
    stop = asyncio.Event()
    run = asyncio.create_task(configured(config, parts, None).run(stop))
    yield parts
    stop.set()
    await asyncio.wait_for(run, PATIENCE_S)


async def until(parts: Archive, state: str) -> list[AskingChanged]:
    """The guard's events once the last of them says so."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            told = [event for event in opened(parts) if isinstance(event, AskingChanged)]
            if told and told[-1].state == state:
                return told
            await asyncio.sleep(0.02)


def questions(bus: can.BusABC) -> int:
    heard = iter(lambda: bus.recv(0), None)
    return sum(frame.arbitration_id == 0x7DF for frame in heard)


async def test_a_parked_car_is_asked_no_more_until_it_speaks_and_the_log_tells_it(
    agent: Archive, car: can.BusABC, channel: str
) -> None:
    state = PARKED
    with (
        capture_logs() as lines,
        can.Bus(channel, "virtual", ignore_config=True) as heard,
        Ecu(car, lambda: state, vin="KMHTEST0000000017"),
    ):
        told = await until(agent, "asleep")
        assert [change.state for change in told] == ["on", "off", "asleep"]
        assert questions(heard) > 0
        await asyncio.sleep(0.2)  # five seconds of the car's
        assert questions(heard) == 0

        state = DRIVEN
        speaks = asyncio.create_task(speak(car))
        told = await until(agent, "on")
        speaks.cancel()
        assert [change.state for change in told[3:]] == ["off", "on"]
        assert told[3].reason == "the bus carries frames that we did not cause"
        assert {change.origin for change in told} == {channel}
        states = [line["state"] for line in lines if line["event"] == "asking the car"]
        assert states == ["on", "off", "asleep", "off", "on"]


async def test_a_file_of_polls_decides_what_is_asked_and_recorded(
    parts: Archive, tmp_path: Path, car: can.BusABC, channel: str
) -> None:
    (tmp_path / "polls.toml").write_text(
        "version = 1\nserial = 1\n"
        '[[signal]]\nname = "supply.voltage"\nperiod_s = 1\ndead_band = 0.1\n'
        '[[signal]]\nname = "engine.coolant.temperature"\nperiod_s = 1\n'
    )
    sign_polls(tmp_path / "polls.toml", parts.keys.device)
    bus = BusConfig(uri=f"virtual:{channel}", queries=True)
    config = Config(bus=(bus,), polls=str(tmp_path / "polls.toml"))
    stop = asyncio.Event()
    with Ecu(car, lambda: DRIVEN, vin="KMHTEST0000000017"):
        run = asyncio.create_task(configured(config, parts, None).run(stop))
        async with asyncio.timeout(PATIENCE_S):
            while (counts := samples(parts))["engine.coolant.temperature"] < 4:
                await asyncio.sleep(0.02)
        stop.set()
        await asyncio.wait_for(run, PATIENCE_S)
    assert set(counts) == {"supply.voltage", "engine.coolant.temperature"}
    assert counts["supply.voltage"] == 1


def samples(parts: Archive) -> Counter[str]:
    sampled = [event for event in opened(parts) if isinstance(event, SignalsSampled)]
    return Counter(name for event in sampled for name in event.series)


async def speak(bus: can.BusABC) -> None:
    while True:
        bus.send(can.Message(arbitration_id=0x130, data=bytes(8), is_extended_id=False))
        await asyncio.sleep(0.01)


async def test_a_car_that_answers_nothing_is_asked_no_more_in_the_stated_time(
    agent: Archive, car: can.BusABC
) -> None:
    begun = agent.clock.mono_ns()
    await until(agent, "asleep")
    assert agent.clock.mono_ns() - begun < 60 * SECOND
    questions(car)
    await asyncio.sleep(0.2)
    assert questions(car) == 0

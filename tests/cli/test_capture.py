"""Raw frames round a trigger: from the bus into the log, and out of it for can-utils."""

import asyncio
import gzip
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from uuid import uuid4

import can
import pytest

from agent.archive import Archive, archive
from agent.clock import SystemClock
from agent.compose import configured
from agent.config import BusConfig, CaptureConfig, Config, TriggerConfig
from agent.errors import ConfigError
from agent.events import CapturedFrame, FramesCaptured, InputClosed, InputLost, TriggerFired
from agent.obd.simcar import SimCar
from agent.privacy import Level
from tests.cli.conftest import Cli
from tests.opened import opened, recorded
from tests.shared import RAV4, TOYOTA_DBC, needs_shared

VIN = "KMHTEST0000000017"
SIMCAR = Path(__file__).parents[2] / "dbc" / "simcar.dbc"
UNDESCRIBED = 0x6F1
VINS, POSITIONS = {0x580, 0x581, 0x582}, {0x203, 0x204}
FAST = TriggerConfig(name="fast", when="speed.vehicle > 5")
SLOTS = 500
"""Five seconds of the car's drive, sent as quickly as it goes."""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def parts(state: Path) -> Iterator[Archive]:
    with archive(state, SystemClock(), wait=True) as made:
        yield made


async def drive(parts: Archive, *triggers: TriggerConfig) -> list[can.Message]:
    """The agent on the bus of a car that drives; what it took from that bus."""
    channel = uuid4().hex
    bus = BusConfig(uri=f"virtual:{channel}", dbc=(str(SIMCAR),))
    config = Config(bus=(bus,), capture=CaptureConfig(trigger=triggers))
    car, stop = SimCar(channel, parts.clock, vin=VIN), asyncio.Event()
    with can.Bus(channel, "virtual", ignore_config=True) as heard:
        run = asyncio.create_task(configured(config, parts, None).run(stop))
        await asyncio.sleep(0.1)
        for slot in range(SLOTS):
            car.send_slot(slot)
            if slot % 10 == 0:
                car.bus.send(can.Message(arbitration_id=UNDESCRIBED, is_extended_id=False))
            if slot % 20 == 0:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        stop.set()
        await run
        car.close()
        [closed] = [event for event in opened(parts) if isinstance(event, InputClosed)]
        return list(islice(iter(lambda: heard.recv(0), None), closed.taken))


def captured(parts: Archive, level: Level) -> set[int]:
    levels = [event.level for event in recorded(parts, FramesCaptured)]
    events = [event for event in opened(parts) if isinstance(event, FramesCaptured)]
    pairs = zip(levels, events, strict=True)
    return {f.can_id for own, event in pairs if own == level for f in event.frames}


async def test_frames_before_and_after_a_trigger_are_in_the_log_each_once(parts: Archive) -> None:
    sent = await drive(parts, FAST)
    events = opened(parts)
    assert [event.name for event in events if isinstance(event, TriggerFired)] == ["fast"]
    assert not [event for event in events if isinstance(event, InputLost)]
    frames = [f for event in events if isinstance(event, FramesCaptured) for f in event.frames]

    def key(frame: CapturedFrame) -> tuple[int, bytes]:
        return frame.can_id, frame.data

    assert sorted(map(key, frames)) == sorted((m.arbitration_id, bytes(m.data)) for m in sent)


async def test_a_frame_that_may_carry_a_vin_or_a_position_is_sealed(parts: Archive) -> None:
    await drive(parts, FAST, TriggerConfig(name="mine", when="speed.vehicle > 5 or can.X.Y > 1"))
    assert [event.level for event in recorded(parts, TriggerFired)] == [Level.LV3, Level.LV1]
    clear, closed = captured(parts, Level.LV4), captured(parts, Level.LV1)
    assert len(clear) > 20
    assert not clear & closed
    assert {UNDESCRIBED, *VINS, *POSITIONS} <= closed
    raw = b"".join(event.payload for event in recorded(parts, FramesCaptured) if event.level == 4)
    assert VIN[:8].encode() not in raw
    assert VIN[:7].encode() not in raw


async def test_without_a_trigger_nothing_is_kept(parts: Archive) -> None:
    await drive(parts, TriggerConfig(name="never", when="speed.vehicle > 500"))
    assert recorded(parts, FramesCaptured) == []


async def test_they_come_out_as_candump_writes_them(state: Path, cli: Cli, tmp_path: Path) -> None:
    with archive(state, SystemClock(), wait=True) as parts:
        sent = await drive(parts, FAST)
    out = tmp_path / "raw.log"

    assert cli("log", "export", state, "--format", "candump", "--open", "--out", out).code == 0

    with can.CanutilsLogReader(out) as log:
        read = sorted((m.arbitration_id, bytes(m.data)) for m in log)
    assert read == sorted((m.arbitration_id, bytes(m.data)) for m in sent)
    assert cli("log", "verify", state).code == 0


@needs_shared
async def test_a_recorded_drive_comes_out_as_it_went_in(
    state: Path, cli: Cli, tmp_path: Path
) -> None:
    with archive(state, SystemClock(), wait=True) as parts:
        bus = BusConfig(uri=f"replay:{RAV4 / 'can.log.gz'}", dbc=(str(TOYOTA_DBC),))
        moves = TriggerConfig(name="moves", when="speed.vehicle > 1")
        config = Config(bus=(bus,), capture=CaptureConfig(after_s=600, trigger=(moves,)))
        await configured(config, parts, None).run(asyncio.Event())
    out = tmp_path / "raw.log"

    assert cli("log", "export", state, "--format", "candump", "--open", "--out", out).code == 0

    with gzip.open(RAV4 / "can.log.gz", "rt") as recording:
        assert sorted(out.read_text().splitlines()) == sorted(recording.read().splitlines())


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("sped.vehicle > 1", "sped.vehicle is not in docs/signals.md"),
        ("1 < 2", "capture.trigger[1].when = '1 < 2': no signal is in it"),
        ("speed.vehicle >", "capture.trigger[1].when: 'speed.vehicle >' is no condition"),
    ],
)
def test_a_condition_that_is_none_is_refused(parts: Archive, when: str, said: str) -> None:
    wrong = CaptureConfig(trigger=(FAST, TriggerConfig(name="x", when=when)))
    config = Config(bus=(BusConfig(uri="virtual:x"),), capture=wrong)
    with pytest.raises(ConfigError) as caught:
        configured(config, parts, None)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)

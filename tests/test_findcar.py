"""A directory in the place of a DBC file: the car is found, told in the log, and overridable."""

import asyncio
from pathlib import Path

import can
import pytest

from agent.archive import Archive
from agent.compose import bus_sources, decoder, recorder
from agent.config import BusConfig
from agent.errors import ConfigError, UsageError
from agent.events import CarChosen, SignalsSampled
from agent.feeds import BusFeed
from agent.installed import codec, resource
from agent.obd.bus import open_bus
from agent.obd.dbc import load_dbc
from agent.obd.guard import Limits
from agent.obd.vin import VinFinder
from agent.privacy import Level
from agent.record import Recorder
from tests.opened import opened, recorded

SIMCAR = resource("agent.dbc", "simcar.dbc")
CODEC = codec()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    place = tmp_path / "files"
    place.mkdir()
    (place / "simcar.dbc").write_bytes(Path(SIMCAR).read_bytes())
    other = "".join(f"BO_ {n} M{n}: 8 X\n" for n in range(0x700, 0x720))
    (place / "other.dbc").write_text(other, encoding="utf-8")
    return place


async def test_a_live_bus_finds_its_file_and_what_it_held_is_recorded(
    parts: Archive, directory: Path
) -> None:
    """The bus is closed before the look is over, as when the car is left."""
    core = recorder(parts, None, CODEC)
    decode, _ = decoder([str(directory)])
    with can.Bus(interface="virtual", channel="findcar") as sender:
        feed = BusFeed(open_bus("virtual:findcar"), decode, VinFinder())
        reading = asyncio.create_task(deliver_all(feed, core))
        await asyncio.sleep(0.05)
        for key, message in load_dbc(SIMCAR).messages.items():
            data = bytes(message.length)
            sender.send(can.Message(arbitration_id=key, is_extended_id=False, data=data))
        await asyncio.sleep(0.1)
        feed.close()
        await asyncio.wait_for(reading, 5)
    core.finish()
    (chosen,) = [event for event in opened(parts) if isinstance(event, CarChosen)]
    assert (chosen.origin, chosen.dbc, chosen.profile) == ("findcar", "simcar", "Simulated car")
    assert [event.level for event in recorded(parts, CarChosen)] == [Level.LV2]
    names = {n for e in opened(parts) if isinstance(e, SignalsSampled) for n in e.series}
    assert {"speed.vehicle", "battery.charge"} <= names


async def deliver_all(feed: BusFeed, core: Recorder) -> None:
    async for deliver in feed.deliveries():
        deliver(core)


@pytest.mark.parametrize(
    ("dbcs", "why"),
    [
        (["{dir}", SIMCAR], "every channel: DBC files or a directory of them, not both"),
        (["can0={dir}", f"can0={SIMCAR}"], "can0: DBC files or a directory"),
        (["{dir}", f"can0={SIMCAR}"], "either every DBC file has a channel"),
    ],
)
def test_a_directory_and_files_do_not_mix(directory: Path, dbcs: list[str], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        decoder([text.format(dir=directory) for text in dbcs])


def test_one_channel_may_have_a_file_and_another_a_directory(directory: Path) -> None:
    decode, _ = decoder([f"can0={SIMCAR}", f"can1={directory}"])
    assert decode.keys("can0")
    assert not decode.keys("can1")


@pytest.mark.parametrize(
    ("profile", "why"),
    [("Trabant", "one of .*'Toyota'"), ("Toyota", "it fits none of the DBC files")],
)
def test_a_profile_that_cannot_be_used_is_refused(
    parts: Archive, directory: Path, profile: str, why: str
) -> None:
    for place in (SIMCAR, str(directory)):
        bus = BusConfig(uri="virtual:findcar", dbc=(place,), profile=profile)
        with pytest.raises(ConfigError, match=f"profile '{profile}': {why}"):
            bus_sources(bus, parts, Limits())


def test_the_kernel_cannot_filter_for_a_file_that_is_not_chosen_yet(
    parts: Archive, directory: Path
) -> None:
    bus = BusConfig(uri="can:can0", dbc=(str(directory),), filter=True)
    with pytest.raises(ConfigError, match="filter = true needs DBC files, not a directory"):
        bus_sources(bus, parts, Limits())

"""What a bus could not take is told, at the latest when it is closed."""

import asyncio
import socket
from collections.abc import Iterator

import can
import pytest

from agent.archive import Archive
from agent.compose import recorder
from agent.errors import SourceLostError
from agent.events import InputClosed, InputLost
from agent.feeds import BusFeed
from agent.installed import codec
from agent.obd.bus import BusSource
from agent.obd.decode import Decoder
from agent.obd.kernelqueue import KernelQueue
from agent.obd.vin import VinFinder
from agent.record import Recorder
from agent.service import Service, Source
from agent.watchdog import SystemdWatchdog
from tests.opened import opened

UNREAD = 7
LOST = InputLost("frames", UNREAD, "can:can0: more than we take")
CODEC = codec()


@pytest.fixture
def queue() -> Iterator[KernelQueue]:
    """A kernel's queue in which something waits; UDP stands for CAN, which not every kernel has."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        reader.bind(("127.0.0.1", 0))
        for _ in range(UNREAD):
            sender.sendto(b"frame", reader.getsockname())
        yield KernelQueue(reader)


def feed(bus: can.BusABC, queue: KernelQueue) -> BusFeed:
    return BusFeed(BusSource("can:can0", "can0", bus, queue), Decoder([], []), VinFinder())


def service(parts: Archive, source: Source) -> Service:
    return Service(
        recorder(parts, None, CODEC),
        journal=parts.journal,
        clock=parts.clock,
        sources=[source],
        radio=None,
        healthy=lambda: True,
        watchdog=SystemdWatchdog(""),
    )


def told(parts: Archive) -> list[InputLost | InputClosed]:
    return [event for event in opened(parts) if isinstance(event, InputLost | InputClosed)]


async def deliver_all(reading: BusFeed, core: Recorder) -> None:
    async for deliver in reading.deliveries():
        deliver(core)


async def test_frames_left_unread_at_a_stop_are_told_before_the_bus_is_closed(
    parts: Archive, queue: KernelQueue
) -> None:
    stop = asyncio.Event()
    reading = feed(can.Bus(interface="virtual", channel="left-unread"), queue)
    run = asyncio.create_task(service(parts, Source("can:can0", lambda: reading)).run(stop))
    await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait_for(run, 5)
    assert told(parts) == [LOST, InputClosed("can:can0", 0, 0, "stopped")]


async def test_frames_left_unread_by_a_bus_that_broke_are_told(
    parts: Archive, queue: KernelQueue
) -> None:
    bus = can.Bus(interface="virtual", channel="broke")
    bus.shutdown()
    with pytest.raises(SourceLostError, match="closed bus"):
        await deliver_all(feed(bus, queue), recorder(parts, None, CODEC))
    assert told(parts) == [LOST]

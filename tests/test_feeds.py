"""What became of every frame is told, at the latest when its bus is closed."""

import asyncio
import socket
import struct
from collections.abc import Iterator
from errno import ENETDOWN
from pathlib import Path

import can
import pytest

from agent.archive import Archive
from agent.clock import SECOND
from agent.compose import decoder, recorder
from agent.errors import SourceLostError
from agent.events import BusChanged, Event, InputClosed, InputCounted, InputLost
from agent.feeds import BusFeed
from agent.installed import codec
from agent.obd.bus import BusSource, open_bus
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame, Counts
from agent.obd.socketcan import LEFT_UNREAD, SocketCan
from agent.obd.vin import VinFinder
from agent.record import Recorder
from agent.service import Service, Source
from agent.watchdog import SystemdWatchdog
from tests.opened import opened

UNREAD = 7
LOST = InputLost("frames", UNREAD, f"can:can0: {LEFT_UNREAD}")
FRAME = struct.pack("=IB3x8s", 0x123, 8, b"")
SIMCAR = Path(__file__).parents[1] / "dbc" / "simcar.dbc"
SPEED = 0x0AA


def message(number: int, **more: object) -> can.Message:
    plain = {"arbitration_id": number, "is_extended_id": False, "data": bytes(8)}
    return can.Message(**{**plain, **more})  # type: ignore[arg-type]  # keywords of python-can


SENT = [
    *[message(SPEED)] * 3,
    message(SPEED, data=b""),
    *[message(0x7FF)] * 2,
    message(SPEED, is_remote_frame=True, data=b""),
    message(0x40, is_error_frame=True),
    message(0x02, is_error_frame=True),
]
CODEC = codec()


class Broken(SocketCan):
    """Over a socket that fails at the first look, as that of an interface which went down."""

    def wait(self, seconds: float) -> bool:
        del seconds
        raise OSError(ENETDOWN, "Network is down")


class Gone(Broken):
    """Not even what was queued can be read."""

    def read(self) -> list[CanFrame]:
        raise OSError(ENETDOWN, "Network is down")


@pytest.fixture
def unread() -> Iterator[socket.socket]:
    """A socket in which frames wait; UDP stands for CAN, which not every kernel has."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reader,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        reader.bind(("127.0.0.1", 0))
        for _ in range(UNREAD):
            sender.sendto(FRAME, reader.getsockname())
        yield reader


def feed(reader: type[SocketCan], unread: socket.socket) -> BusFeed:
    counts = Counts()
    source = BusSource("can:can0", reader(unread, "can0", counts), counts)
    return BusFeed(source, Decoder([], []), VinFinder())


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


def told(parts: Archive) -> list[Event]:
    kinds = InputLost | InputClosed | InputCounted | BusChanged
    return [event for event in opened(parts) if isinstance(event, kinds)]


async def deliver_all(reading: BusFeed, core: Recorder) -> None:
    async for deliver in reading.deliveries():
        deliver(core)


async def test_frames_waiting_at_a_stop_are_still_taken_and_counted(
    parts: Archive, unread: socket.socket
) -> None:
    stop = asyncio.Event()
    reading = feed(SocketCan, unread)
    run = asyncio.create_task(service(parts, Source("can:can0", lambda: reading)).run(stop))
    await asyncio.sleep(0.1)
    stop.set()
    await asyncio.wait_for(run, 5)
    assert sorted(told(parts), key=lambda event: event.kind) == [
        InputClosed("can:can0", UNREAD, 0, "stopped"),
        InputCounted("can:can0", {"undescribed": UNREAD}),
    ]


async def test_frames_left_unread_by_a_bus_that_broke_are_told(
    parts: Archive, unread: socket.socket
) -> None:
    with pytest.raises(SourceLostError, match="Network is down"):
        await deliver_all(feed(Gone, unread), recorder(parts, None, CODEC))
    assert told(parts) == [LOST]


async def test_frames_that_came_before_a_bus_broke_are_taken(
    parts: Archive, unread: socket.socket
) -> None:
    core = recorder(parts, None, CODEC)
    with pytest.raises(SourceLostError, match="Network is down"):
        await deliver_all(feed(Broken, unread), core)
    core.finish()
    assert told(parts) == [InputCounted("can:can0", {"undescribed": UNREAD})]


async def test_every_frame_of_a_bus_has_one_fate_in_the_log(parts: Archive) -> None:
    core = recorder(parts, None, CODEC)
    decode, _ = decoder([str(SIMCAR)])
    with can.Bus(interface="virtual", channel="fates") as sender:
        source = open_bus("virtual:fates")
        reading = asyncio.create_task(deliver_all(BusFeed(source, decode, VinFinder()), core))
        await asyncio.sleep(0.05)
        for message in SENT:
            sender.send(message)
        await asyncio.sleep(0.1)
        source.close()
        await asyncio.wait_for(reading, 5)
    core.finish()
    *states, counted = told(parts)
    assert isinstance(counted, InputCounted)
    assert counted.counts == {
        "decoded": 3,
        "undescribed": 2,
        "undecodable": 1,
        "remote": 1,
        "error: bus off": 1,
        "error: arbitration lost": 1,
    }
    assert sum(counted.counts.values()) == len(SENT)
    assert [e.state for e in states if isinstance(e, BusChanged)] == ["bus off"]


async def test_counts_are_told_once_a_minute_and_only_what_is_new(parts: Archive) -> None:
    core = recorder(parts, None, CODEC)
    for second in range(0, 181, 20):
        core.counted("can:can0", {"decoded": 10, "broken": 0})
        core.tick(second * SECOND, second * SECOND)
    assert told(parts) == [
        InputCounted("can:can0", {"decoded": 40}),
        InputCounted("can:can0", {"decoded": 30}),
        InputCounted("can:can0", {"decoded": 30}),
    ]

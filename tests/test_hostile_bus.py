"""What a bus does to the agent costs bounded memory and time, and every frame is counted."""

import asyncio
import threading
import time
import tracemalloc
from collections import Counter
from pathlib import Path

import can

from agent.archive import Archive
from agent.compose import decoder, recorder
from agent.events import BusChanged, InputCounted, InputLost
from agent.feeds import BusFeed
from agent.installed import codec
from agent.obd.bus import HELD_FRAMES_MAX, TOO_SLOW, BusSource
from agent.obd.frame import Counts
from agent.obd.pythoncan import PythonCan
from agent.obd.vin import VinFinder
from agent.service import Service, Source
from agent.watchdog import SystemdWatchdog
from tests.opened import opened

SIMCAR = Path(__file__).parents[1] / "dbc" / "simcar.dbc"
POWER = 0x0AA
FIRST_SIGNAL_BYTES = 2
CODEC = codec()
FLOOD = 10 * HELD_FRAMES_MAX
MIB = 1 << 20


class Flood(can.BusABC):
    """Frames as fast as they are fetched; `read` is set when there are no more."""

    def __init__(self, messages: list[can.Message], times: int) -> None:
        super().__init__("flood")
        self._messages = messages
        self._left = len(messages) * times
        self.read = threading.Event()

    def _recv_internal(self, timeout: float | None) -> tuple[can.Message | None, bool]:
        if self._left == 0:
            self.read.set()
            time.sleep(timeout or 0)
            return None, True
        self._left -= 1
        return self._messages[self._left % len(self._messages)], True

    def send(self, msg: can.Message, timeout: float | None = None) -> None:
        raise NotImplementedError


def frame(number: int, data: bytes, **more: bool) -> can.Message:
    return can.Message(arbitration_id=number, is_extended_id=False, data=data, **more)


def error(data: bytes) -> can.Message:
    return can.Message(arbitration_id=0x40, is_error_frame=True, data=data)


async def live(parts: Archive, bus: Flood, *, stuck: bool = False) -> Counter[str]:
    """The service on that bus until all is read; what became of the frames, by fate.

    stuck: the loop does nothing else until the bus is read to its end, as on a board that hangs
    """
    counts = Counts()
    decode, _ = decoder([str(SIMCAR)])
    source = BusSource("can:can0", PythonCan(bus, "can0", counts), counts)
    service = Service(
        recorder(parts, None, CODEC),
        journal=parts.journal,
        clock=parts.clock,
        sources=[Source("can:can0", lambda: BusFeed(source, decode, VinFinder()))],
        radio=None,
        healthy=lambda: True,
        watchdog=SystemdWatchdog(""),
    )
    stop = asyncio.Event()
    running = asyncio.create_task(service.run(stop))
    while not bus.read.is_set():
        if stuck and source.counts.taken:
            assert bus.read.wait(30)
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.wait_for(running, 10)
    return fates(parts)


def fates(parts: Archive) -> Counter[str]:
    found = Counter[str]()
    for event in opened(parts):
        if isinstance(event, InputCounted):
            found.update(event.counts)
        if isinstance(event, InputLost) and event.what == "frames":
            found[event.reason] += event.count
    return found


async def test_flood_beyond_what_is_held_is_counted_to_the_frame_in_bounded_memory(
    parts: Archive,
) -> None:
    bus = Flood([frame(POWER, bytes(8)), frame(0x7FF, b"")], FLOOD // 2)
    tracemalloc.start()
    try:
        found = await live(parts, bus, stuck=True)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.total() == FLOOD
    assert found[f"can:can0: {TOO_SLOW}"] > 0
    assert found["decoded"] > 0
    assert peak < 64 * MIB


async def test_every_wrong_length_of_a_described_frame_is_counted(parts: Archive) -> None:
    sent = [frame(POWER, bytes(length)) for length in range(9)]
    sent.append(frame(POWER, bytes(64), is_fd=True))
    found = await live(parts, Flood(sent, 1))
    assert found == {"undecodable": FIRST_SIGNAL_BYTES, "decoded": len(sent) - FIRST_SIGNAL_BYTES}


async def test_bus_that_goes_off_and_comes_back_is_told_both_ways(parts: Archive) -> None:
    power = frame(POWER, bytes(8))
    restarted = can.Message(arbitration_id=0x100, is_error_frame=True, data=bytes(8))
    # from the last to the first
    found = await live(parts, Flood([power, restarted, error(bytes(8)), power], 1))
    states = [event.state for event in opened(parts) if isinstance(event, BusChanged)]
    assert states[0] == "bus off"
    assert len(states) == 2
    assert states[1] != "bus off"
    assert found["decoded"] == 2
    assert found["error: bus off"] == 1

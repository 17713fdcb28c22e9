"""Lateness of the 10 Hz tick while a bus carries 4,000 described frames a second.

The sender is a thread of the same process, so its cost counts against us. Prints, asserts nothing.
"""

import asyncio
import tempfile
import threading
import time
from pathlib import Path

import can

from agent.archive import archive
from agent.bsm.message import VehicleSize
from agent.clock import MS, SECOND, SystemClock
from agent.compose import decoder, recorder, service, steady
from agent.feeds import BusFeed, PositionFeed
from agent.installed import codec, resource
from agent.obd.bus import open_bus
from agent.obd.simcar import SimCar
from agent.obd.vin import VinFinder
from agent.record import Recorder
from agent.service import Source
from bench.machine import describe

FRAMES_A_SECOND = 4_000
SECONDS = 30
CHANNEL = "bench-lateness"
VIN = "KMHAMXAG0NU000001"


class Load(threading.Thread):
    """Sends frames of the simulated car's messages, evenly, until it is stopped."""

    def __init__(self, frames: list[can.Message]) -> None:
        super().__init__(daemon=True)
        self.sent = 0
        self.stopped = threading.Event()
        self._frames = frames

    def run(self) -> None:
        with can.Bus(CHANNEL, "virtual", ignore_config=True) as bus:
            begun = time.monotonic()
            while not self.stopped.wait(0.005):
                due = int((time.monotonic() - begun) * FRAMES_A_SECOND)
                for number in range(self.sent, due):
                    bus.send(self._frames[number % len(self._frames)])
                self.sent = due


def car_frames(clock: SystemClock) -> list[can.Message]:
    """One second of what the simulated car sends."""
    with can.Bus("bench-capture", "virtual", ignore_config=True) as ear:
        car = SimCar("bench-capture", clock, vin=VIN)
        for slot in range(100):
            car.send_slot(slot)
        car.close()
        frames = []
        while (frame := ear.recv(0)) is not None:
            frames.append(frame)
    return frames


async def drive() -> tuple[list[float], int, int]:
    """(lateness of every tick in ms, frames sent, frames lost)."""
    clock = SystemClock()
    load = Load(car_frames(clock))
    late_ms: list[float] = []
    with (
        tempfile.TemporaryDirectory() as folder,
        archive(Path(folder) / "s", clock, wait=False) as parts,
    ):
        core = recorder(parts, VehicleSize(1.8, 4.4), codec())
        decode, _ = decoder([resource("agent.dbc", "simcar.dbc")])
        watch(core, clock, late_ms)
        feed = BusFeed(open_bus(f"virtual:{CHANNEL}"), decode, VinFinder())
        car = SimCar("bench-positions", clock, vin=VIN)
        sources = [
            Source(f"virtual:{CHANNEL}", lambda: feed),
            Source("gnss:simulated", lambda: PositionFeed(car)),
        ]
        stop = asyncio.Event()
        running = asyncio.create_task(service(parts, core, sources, None).run(stop))
        steady()
        load.start()
        await clock.sleep_until(clock.mono_ns() + SECONDS * SECOND)
        load.stopped.set()
        await asyncio.to_thread(load.join)
        await clock.sleep_until(clock.mono_ns() + SECOND)
        stop.set()
        await running
        car.close()
    return late_ms, load.sent, load.sent - decode.described


def watch(core: Recorder, clock: SystemClock, late_ms: list[float]) -> None:
    """Note how late each tick reaches the recorder."""
    tick = core.tick

    def noted(due_ns: int, mono_ns: int) -> bytes | None:
        late_ms.append((clock.mono_ns() - mono_ns) / MS)
        return tick(due_ns, mono_ns)

    core.tick = noted  # type: ignore[method-assign]  # only here, to look at the clock


def main() -> None:
    begun = time.process_time()
    late_ms, sent, lost = asyncio.run(drive())
    late_ms.sort()
    used = (time.process_time() - begun) / (SECONDS + 1)
    print(describe())
    print(f"{sent:,} frames in {SECONDS} s, {lost} lost, sender included {used:.0%} of a core")
    p50, p99 = late_ms[len(late_ms) // 2], late_ms[int(len(late_ms) * 0.99)]
    print(f"  tick lateness  p50 {p50:.2f} ms  p99 {p99:.2f} ms  max {late_ms[-1]:.2f} ms")


if __name__ == "__main__":
    main()

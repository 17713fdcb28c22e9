"""A live car into the chained store: frames lost, share of a core, peak memory.

Each drive runs the agent in a process of its own, so that its figures are its own:

- the Kona's log at its own pace, two buses, through the whole pipeline;
- a saturated bus of 4,000 and of 8,000 described frames a second. The frames come as SocketCAN
  gives them, from another process, through the reader of SocketCAN; where the kernel has no CAN a
  UDP socket on loopback stands for the raw socket. The same through python-can's virtual bus, whose
  sender is a thread of the same process and counts against us; and a plain loop of python-can and
cantools on that bus, which keeps nothing.

Prints, asserts nothing. Share of a core is processor time by wall time, of everything the agent
did, from opening its bus until everything is on disk.
"""

import asyncio
import importlib
import json
import multiprocessing
import resource
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from agent.archive import Archive, archive
from agent.cli.replay import NO_SIZE, recorded
from agent.clock import SECOND, Clock, RecordedClock, SystemClock
from agent.compose import decoder, recorder, service, steady
from agent.feeds import BusFeed
from agent.installed import codec
from agent.installed import resource as installed_file
from agent.obd.bus import BusSource, open_bus
from agent.obd.frame import Counts
from agent.obd.logfile import LogFile
from agent.obd.replay import LogSource
from agent.obd.socketcan import SocketCan
from agent.obd.vin import VinFinder
from agent.service import Source
from bench.lateness import car_frames
from bench.machine import describe

SECONDS = 30
SLOT_S = 0.005
SHARED = Path(__file__).parent.parent.parent / "shared" / "data"
KONA = SHARED / "can" / "hyundai-kona-ev" / "230112-7-2019-pcan-ccan-power-off-on-ready-off.csv.gz"
KONA_DBC = [SHARED / "dbc" / "kona-ev" / f"{bus}can.dbc" for bus in "cp"]

CHANNEL = "bench-canbus"
SIMCAR = installed_file("agent.dbc", "simcar.dbc")

Figures = dict[str, Any]


def kona() -> Figures:
    """The recorded drive at 1x; every frame of the file that did not reach the decoder is lost."""
    file = LogFile(KONA)
    clock = RecordedClock(file.start_ns or 0)
    decode, _ = decoder([str(path) for path in KONA_DBC])
    source = LogSource(file, clock)

    async def drive(parts: Archive) -> None:
        agent = service(parts, recorder(parts, NO_SIZE, codec()), [recorded(source, decode)], None)
        steady()
        await agent.run(asyncio.Event())

    seconds = measured(clock, drive)
    frames = source.counts.taken
    return seconds | {"sent": frames, "lost": frames - decode.described - decode.undescribed}


def socketcan(rate: int) -> Figures:
    """Frames of the simulated car in the form of linux/can.h, from another process."""
    clock = SystemClock()
    frames = [
        struct.pack("=IB3x8s", frame.arbitration_id, len(frame.data), bytes(frame.data))
        for frame in car_frames(clock)
    ]
    reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reader.bind(("127.0.0.1", 0))
    counts = Counts()
    source = BusSource("can:bench", SocketCan(reader, "bench", counts), counts)
    sent = multiprocessing.Value("q", 0)
    sender = multiprocessing.Process(target=send, args=(reader.getsockname(), frames, rate, sent))
    return saturated(source, clock, sender.start, sender.join, lambda: sent.value)


def send(address: tuple[str, int], frames: list[bytes], rate: int, sent: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.connect(address)
        evenly(rate, lambda number: wire.send(frames[number % len(frames)]), sent)


def virtual(rate: int) -> Figures:
    """The same frames through python-can's bus inside one process."""
    sender, sent = virtual_sender(rate)
    source = open_bus(f"virtual:{CHANNEL}")
    return saturated(source, SystemClock(), sender.start, sender.join, lambda: sent.value)


def virtual_sender(rate: int) -> tuple[threading.Thread, Any]:
    """A thread that sends on python-can's virtual bus, and the count of what it sent."""
    frames = car_frames(SystemClock())
    sent = multiprocessing.Value("q", 0)

    def load() -> None:
        with can().Bus(CHANNEL, "virtual", ignore_config=True) as bus:
            evenly(rate, lambda number: bus.send(frames[number % len(frames)]), sent)

    return threading.Thread(target=load), sent


def plain(rate: int) -> Figures:
    """The libraries' own loop on that bus: each frame received and decoded, nothing kept."""
    database = importlib.import_module("cantools").database.load_file(SIMCAR)
    sender, sent = virtual_sender(rate)
    decoded = 0
    with can().Bus(CHANNEL, "virtual", ignore_config=True) as bus:
        used, begun = time.process_time(), time.monotonic()
        sender.start()
        while (frame := bus.recv(0.5)) is not None:
            database.decode_message(frame.arbitration_id, frame.data, decode_choices=False)
            decoded += 1
        used, wall = time.process_time() - used, time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    lost = sent.value - decoded
    return {"used_s": used, "wall_s": wall, "peak_bytes": peak, "sent": sent.value, "lost": lost}


def can() -> ModuleType:
    """python-can, loaded after the agent, which keeps it lean."""
    return importlib.import_module("can")


def evenly(rate: int, send_one: Callable[[int], object], sent: Any) -> None:
    """Call with every number that is due, 200 times a second, for SECONDS."""
    begun = time.monotonic()
    done = 0
    while (gone := time.monotonic() - begun) < SECONDS:
        for number in range(done, int(gone * rate)):
            send_one(number)
        done = sent.value = max(done, int(gone * rate))
        time.sleep(SLOT_S)


def saturated(
    source: Any,
    clock: Clock,
    start: Callable[[], None],
    join: Callable[[], None],
    sent: Callable[[], int],
) -> Figures:
    decode, _ = decoder([SIMCAR])

    async def drive(parts: Archive) -> None:
        sources = [Source(source.uri, lambda: BusFeed(source, decode, VinFinder()))]
        agent = service(parts, recorder(parts, NO_SIZE, codec()), sources, None)
        stop = asyncio.Event()
        running = asyncio.create_task(agent.run(stop))
        steady()
        start()
        await asyncio.to_thread(join)
        await clock.sleep_until(clock.mono_ns() + SECOND // 2)
        stop.set()
        await running

    seconds = measured(clock, drive)
    losses = dict(source.counts.losses)
    return seconds | {"sent": sent(), "lost": sent() - decode.described, "losses": losses}


def measured(clock: Clock, drive: Callable[[Archive], Any]) -> Figures:
    """Processor and wall seconds of a drive into a store of its own, until all is on disk."""
    with (
        tempfile.TemporaryDirectory() as folder,
        archive(Path(folder) / "s", clock, wait=False) as parts,
    ):
        used, begun = time.process_time(), time.monotonic()
        asyncio.run(drive(parts))
        parts.writer.flush()
        used, wall = time.process_time() - used, time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"used_s": used, "wall_s": wall, "peak_bytes": peak}


DRIVES: dict[str, Callable[[], Figures]] = {
    "Kona at 1x": kona,
    "SocketCAN reader, 4,000/s": lambda: socketcan(4_000),
    "SocketCAN reader, 8,000/s": lambda: socketcan(8_000),
    "virtual bus, 4,000/s": lambda: virtual(4_000),
    "virtual bus, 8,000/s": lambda: virtual(8_000),
    "python-can + cantools, 4,000/s": lambda: plain(4_000),
}


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(DRIVES[sys.argv[1]]()))
        return
    print(describe())
    for name, drive in DRIVES.items():
        if drive is kona and not KONA.exists():
            print(f"  {name}: {KONA.name} is not there")
            continue
        command = [sys.executable, "-m", "bench.canbus", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        figures = json.loads(done.stdout)
        share, rate = figures["used_s"] / figures["wall_s"], figures["sent"] / figures["wall_s"]
        print(
            f"  {name:<30} {figures['sent']:>7,} frames, {rate:>5,.0f}/s, {figures['lost']} lost, "
            f"{share:.1%} of a core, peak {figures['peak_bytes'] / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()

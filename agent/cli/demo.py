"""`amo-agent demo`: the main job, end to end, on this machine alone.

A simulated car on a virtual bus, or a recorded drive at its own pace; everything behind the bus is
the real agent. Exit 0 only if every part of it held.
"""

import asyncio
import json
import math
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click

from agent.archive import Archive, archive
from agent.bsm.message import VehicleSize
from agent.cli.neighbour import Neighbour
from agent.cli.replay import NO_SIZE, peak_memory_bytes, place, project, recorded
from agent.cli.report import write_report
from agent.cli.sale import Sale, sell
from agent.cli.show import bar, figures, log_to_stderr
from agent.clock import MS, SECOND, Clock, RecordedClock, SystemClock
from agent.compose import decoder, recorder, service, steady
from agent.errors import UsageError
from agent.eventstore.verify import verify
from agent.feeds import BusFeed, ObdFeed, PositionFeed
from agent.installed import codec, resource
from agent.obd.bus import open_bus
from agent.obd.decode import Decoder
from agent.obd.ecu import Ecu
from agent.obd.logfile import LogFile
from agent.obd.poller import Poller
from agent.obd.replay import LogSource
from agent.obd.request import ObdRequester
from agent.obd.simcar import SimCar
from agent.obd.vin import VinFinder
from agent.record import Recorder
from agent.service import Service, Source
from agent.v2x.gnss import NmeaFile, NmeaPlayback
from agent.v2x.udp import UdpRadio
from agent.wallet import curve
from agent.wallet.keys import FileKey

VIN = "KMHAMXAG0NU000001"
"""Of the simulated car; no real one has it."""
SIZE = VehicleSize(1.83, 4.47)
SECONDS = 30.0
BSM_RATE = 10
BSM_SHARE = 0.83  # of a message every 100 ms; a desk may be busy, a car may not
DRAIN_S = 2.0
"""How long the last frames may take from the car to the decoder."""


@dataclass(frozen=True, slots=True)
class Driven:
    """What the drive gave.

    frames: read from the bus; lost: of those the car sent; heard_by_other: messages of ours
    bsms_due: messages that a car which knows where it is should have sent, at the least
    """

    frames: int
    lost: int
    heard_by_other: int
    lateness_ms_max: float
    ticks_late: int
    ticks_skipped: int
    bsms_due: int


@click.command()
@click.option("--seconds", type=click.FloatRange(1, 86_400), help="Of the drive; 30, or the log.")
@click.option("--log", "path", help="A recorded drive takes the car's place.")
@click.option("--dbc", "dbcs", multiple=True, help="FILE or CHANNEL=FILE for --log.")
@click.option("--nmea", help="A recording of the GNSS receiver for --log.")
@click.option("--state", type=click.Path(path_type=Path), help="Kept there; else thrown away.")
@click.option("--report", type=click.Path(path_type=Path), help="Write the drive as a web page.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    *,
    seconds: float | None,
    path: str | None,
    dbcs: tuple[str, ...],
    nmea: str | None,
    state: Path | None,
    report: Path | None,
    as_json: bool,
) -> None:
    """Drive a simulated car, or a recorded one, through the whole agent.

    Example: amo-agent demo --seconds 30 --report drive.html
    """
    log_to_stderr()
    if path is None and (dbcs or nmea):
        raise UsageError("--dbc and --nmea go with --log: they describe a recorded drive")
    if seconds is not None and not math.isfinite(seconds):
        raise UsageError(f"--seconds {seconds}: a number from 1 to 86400")
    if report is not None and (report.is_dir() or not os.access(report.parent, os.W_OK)):
        raise UsageError(f"{report}: a page cannot be written there")
    file = None if path is None else LogFile(path)
    fixes = None if nmea is None else NmeaFile(Path(nmea))
    clock: Clock = SystemClock() if file is None else RecordedClock(file.start_ns or 0)
    decode, complaints = decoder(dbcs if file else [resource("agent.dbc", "simcar.dbc")])
    with place(state) as directory:
        with archive(directory, clock, wait=False) as parts:
            core = recorder(parts, SIZE if file is None else NO_SIZE, codec())
            steady()
            driven = asyncio.run(_drive(parts, core, decode, file, fixes, seconds))
            sale = asyncio.run(sell(parts, FileKey(curve.new_scalar(), protected=False)))
            parts.writer.flush()
        losses = project(directory)
        summary = _summary(directory, core, driven, sale) | {"losses": losses}
        if report is not None:
            write_report(directory, report)
    if file is not None:
        complaints += [f"{file.path}: {text}" for text in file.complaints]
    for complaint in complaints:
        click.echo(complaint, err=True)
    click.echo(json.dumps(summary) if as_json else figures(summary))
    failures = _failures(summary, sale, driven)
    for failure in failures:
        click.echo(f"amo-agent: {failure}", err=True)
    sys.exit(1 if failures else 0)


async def _drive(
    parts: Archive,
    core: Recorder,
    decode: Decoder,
    file: LogFile | None,
    fixes: NmeaFile | None,
    seconds: float | None,
) -> Driven:
    """Car, neighbour and agent together, until the drive ends."""
    neighbour = Neighbour(parts.clock, codec())
    air = UdpRadio(send_to=await neighbour.address(), listen=("127.0.0.1", 0))
    await air.open()
    assert air.listening is not None
    others = [
        asyncio.create_task(neighbour.speak(air.listening)),
        asyncio.create_task(neighbour.listen()),
    ]
    try:
        if file is None:
            lost, agent = await _simulated(parts, core, decode, air, seconds or SECONDS)
        else:
            lost, agent = await _from_log(parts, core, decode, air, file, fixes, seconds)
    finally:
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        neighbour.close()
        air.close()
    frames = decode.described + decode.undescribed
    ticks = agent.schedule
    due = 0 if file else int((seconds or SECONDS) * BSM_RATE * BSM_SHARE)
    late_ms = ticks.worst_ns / MS
    return Driven(frames, lost, neighbour.heard, late_ms, ticks.late, ticks.skipped, due)


async def _simulated(
    parts: Archive, core: Recorder, decode: Decoder, air: UdpRadio, seconds: float
) -> tuple[int, Service]:
    """Our own car, its ECU and our questions to it; (frames lost, the service that ran)."""
    channel = f"amo-agent-demo-{os.getpid()}"
    clock = parts.clock
    car = SimCar(channel, clock, vin=VIN)
    finder = VinFinder()
    requester = ObdRequester(channel, "virtual", clock)
    sources = [
        Source(
            f"virtual:{channel}", lambda: BusFeed(open_bus(f"virtual:{channel}"), decode, finder)
        ),
        Source("gnss:simulated", lambda: PositionFeed(car)),
        Source(f"obd:{channel}", lambda: ObdFeed(Poller(requester, clock))),
    ]
    agent = service(parts, core, sources, air)
    stop = asyncio.Event()
    with ExitStack() as stack:
        stack.callback(car.close)
        stack.enter_context(Ecu(car.bus, car.state, vin=VIN))
        running = asyncio.create_task(agent.run(stop))
        await _until(lambda: parts.writer.appended > 0, clock, DRAIN_S)
        driving = asyncio.create_task(car.run())
        try:
            await _watch(clock, seconds, running)
        finally:
            driving.cancel()
            await asyncio.gather(driving, return_exceptions=True)
        await _until(lambda: decode.described >= car.frames_sent, clock, DRAIN_S)
        stop.set()
        await running
    return car.frames_sent - decode.described, agent


async def _from_log(
    parts: Archive,
    core: Recorder,
    decode: Decoder,
    air: UdpRadio,
    file: LogFile,
    fixes: NmeaFile | None,
    seconds: float | None,
) -> tuple[int, Service]:
    """A recorded drive at its own pace, to its end or for so many seconds."""
    source = LogSource(file, parts.clock)
    sources = [recorded(source, decode)]
    if fixes is not None:
        playback = NmeaPlayback(fixes, parts.clock)
        sources.append(Source("nmea", lambda: PositionFeed(playback)))
    agent = service(parts, core, sources, air)
    stop = asyncio.Event()
    running = asyncio.create_task(agent.run(stop))
    if seconds is not None:
        await _watch(parts.clock, seconds, running)
        stop.set()
    await running
    return source.counts.taken - decode.described - decode.undescribed, agent


async def _watch(clock: Clock, seconds: float, running: asyncio.Task[None]) -> None:
    """Let the drive go on for so long, with a progress bar; not longer than the service runs."""
    begun = clock.mono_ns()
    with bar("driving") as progress:
        while not running.done() and (gone := clock.mono_ns() - begun) < seconds * SECOND:
            progress(gone // MS, int(seconds * 1000))
            await clock.sleep_until(begun + min(gone + 200 * MS, int(seconds * SECOND)))


async def _until(held: Callable[[], bool], clock: Clock, limit_s: float) -> None:
    """Wait until something holds, but not for ever."""
    end = clock.mono_ns() + int(limit_s * SECOND)
    while not held() and clock.mono_ns() < end:
        await clock.sleep_until(clock.mono_ns() + 5 * MS)


def _summary(directory: Path, core: Recorder, driven: Driven, sale: Sale) -> dict[str, Any]:
    checked = verify(directory / "events.db")
    return {
        "frames": driven.frames,
        "frames_lost": driven.lost,
        "signals": core.samples,
        "bsms_sent": core.bsms_sent,
        "bsms_heard": core.bsms_heard,
        "bsms_heard_by_other": driven.heard_by_other,
        "bsm_lateness_ms_max": round(driven.lateness_ms_max, 3),
        "bsm_ticks_late": driven.ticks_late,
        "bsm_ticks_skipped": driven.ticks_skipped,
        "events": checked.events,
        "blocks": checked.blocks,
        "parcels_registered": len(sale.registered),
        "bytes_uploaded": sum(parcel.size_bytes for parcel in sale.registered),
        "grant_opened": 0 < sale.wanted == sale.opened,
        "records_opened": sale.records,
        "chain_intact": checked.verdict == "intact",
        "peak_memory_bytes": peak_memory_bytes(),
    }


def _failures(summary: dict[str, Any], sale: Sale, driven: Driven) -> list[str]:
    """What did not hold, each in a line."""
    wrong = {
        f"{summary['frames_lost']} frames were lost": summary["frames_lost"] != 0,
        "no frame was read": summary["frames"] == 0,
        f"{summary['bsms_sent']} BSMs were sent, {driven.bsms_due} were due": (
            summary["bsms_sent"] < driven.bsms_due
        ),
        "the other car heard no BSM of ours": summary["bsms_sent"] > 0 == driven.heard_by_other,
        "no BSM was heard": summary["bsms_heard"] == 0,
        "no parcel was registered": not sale.registered,
        "the buyer could not open what was granted": not summary["grant_opened"],
        "the chain does not hold": not summary["chain_intact"],
    }
    return [text for text, so in wrong.items() if so]

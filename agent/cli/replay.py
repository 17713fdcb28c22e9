"""`amo-agent replay`: recorded traffic through the same pipeline, as fast as it goes."""

import asyncio
import json
import resource
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import click

from agent.archive import Archive, archive
from agent.bsm.message import VehicleSize
from agent.cli.show import bar, figures, log_to_stderr
from agent.clock import SECOND, ManualClock, RecordedClock
from agent.compose import decoder, recorder, service
from agent.events import InputClosed, InputOpened, SignalDoubted
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.verify import verify
from agent.feeds import BusFeed, PositionFeed, decoded, set_aside
from agent.installed import codec
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame
from agent.obd.logfile import LogFile
from agent.obd.replay import LogSource
from agent.obd.vin import VinFinder
from agent.playback import Playback
from agent.record import Recorder
from agent.service import Source
from agent.v2x.gnss import NmeaFile, NmeaPlayback

PROGRESS_FRAMES = 5_000
NO_SIZE = VehicleSize(0.0, 0.0)
"""A recording does not say how big its car is: SAE J2735, DF_VehicleSize, 0 is unavailable."""


class _Speed(click.ParamType[float | None]):
    """A positive number, or "max" as None."""

    name = "N|max"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float | None:
        if value == "max":
            return None
        try:
            speed = float(value)
        except ValueError:
            speed = 0.0
        if not 0 < speed <= 1000:  # noqa: PLR2004 - the limit is in the message
            self.fail(f"{value}: a number over 0, up to 1000, or max", param, ctx)
        return speed


@click.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option("--dbc", "dbcs", multiple=True, help="FILE or CHANNEL=FILE; several may be given.")
@click.option("--nmea", help="A recording of the GNSS receiver.")
@click.option("--state", type=click.Path(path_type=Path), help="Kept there; else thrown away.")
@click.option("--speed", type=_Speed(), default="max", show_default=True, help="N times real time.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    *,
    logs: tuple[str, ...],
    dbcs: tuple[str, ...],
    nmea: str | None,
    state: Path | None,
    speed: float | None,
    as_json: bool,
) -> None:
    """Put recorded CAN traffic through the whole pipeline; - is standard input.

    Example: amo-agent replay drive.log.gz --dbc car.dbc --state ./drive
    """
    log_to_stderr()
    with ExitStack() as stack:
        files = [LogFile(stack.enter_context(_file(path))) for path in logs]
        _replay(files, dbcs, nmea, state, speed=speed, as_json=as_json)


@contextmanager
def _file(path: str) -> Iterator[str]:
    """The path; standard input becomes a file, for a recording is looked at before it is read."""
    if path != "-":
        yield path
        return
    with tempfile.NamedTemporaryFile(prefix="amo-agent-") as kept:
        shutil.copyfileobj(sys.stdin.buffer, kept)
        kept.flush()
        yield kept.name


def _replay(
    files: list[LogFile],
    dbcs: tuple[str, ...],
    nmea: str | None,
    state: Path | None,
    *,
    speed: float | None,
    as_json: bool,
) -> None:
    fixes = NmeaFile(Path(nmea)) if nmea else None
    decode, complaints = decoder(dbcs)
    start_ns = next((file.start_ns for file in files if file.start_ns is not None), 0)
    with place(state) as directory:
        if speed is None:
            clock = ManualClock(start_ns)
            with archive(directory, clock, wait=True) as parts:
                core = recorder(parts, NO_SIZE, codec())
                _play(parts, core, files, decode, clock, fixes)
        else:
            paced = RecordedClock(start_ns, speed=speed)
            with archive(directory, paced, wait=True) as parts:
                core = recorder(parts, NO_SIZE, codec())
                asyncio.run(_pace(parts, core, files, decode, fixes))
        summary = _summary(directory, core, files, decode)
    complaints += [told(doubt) for doubt in core.doubts]
    for complaint in complaints + [f"{f.path}: {text}" for f in files for text in f.complaints]:
        click.echo(complaint, err=True)
    click.echo(json.dumps(summary) if as_json else figures(summary))
    sys.exit(0 if summary["chain_intact"] and not summary["frames_lost"] else 1)


def told(doubt: SignalDoubted) -> str:
    """A finding in one line."""
    numbers = f"{doubt.stated:.2f} where {doubt.expected:.2f} was expected"
    return f"{doubt.name} is doubted: {doubt.reason}, {numbers}"


@contextmanager
def place(state: Path | None) -> Iterator[Path]:
    """The state directory asked for, or one that is gone afterwards."""
    with ExitStack() as stack:
        if state is None:
            state = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="amo-agent-")))
        yield state


def peak_memory_bytes() -> int:
    """Largest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _play(
    parts: Archive,
    core: Recorder,
    files: list[LogFile],
    decode: Decoder,
    clock: ManualClock,
    fixes: NmeaFile | None,
) -> None:
    playback = Playback(core, decode, clock, fixes or ())
    with bar("replaying") as progress:
        for number, file in enumerate(files):
            parts.journal.write(InputOpened(file.uri))
            before = decoded(decode)
            playback.play(_watched(file, number, len(files), progress))
            counts = file.counts
            core.counted(file.uri, decoded(decode) - before + set_aside(counts))
            for t_ns, channel, state in file.errors.take():
                core.bus(file.uri, channel, state, t_ns)
            parts.journal.write(InputClosed(file.uri, counts.taken, counts.broken, "ended"))
    core.finish()
    parts.writer.flush()


def _watched(file: LogFile, number: int, of: int, progress: Any) -> Iterator[CanFrame]:
    """The frames of a file, with a look at the progress bar now and then."""
    for count, frame in enumerate(file):
        if count % PROGRESS_FRAMES == 0:
            progress(number, of)
        yield frame
    progress(number + 1, of)


async def _pace(
    parts: Archive, core: Recorder, files: list[LogFile], decode: Decoder, fixes: NmeaFile | None
) -> None:
    sources = [recorded(LogSource(file, parts.clock), decode) for file in files]
    if fixes is not None:
        playback = NmeaPlayback(fixes, parts.clock)
        sources.append(Source("nmea", lambda: PositionFeed(playback)))
    await service(parts, core, sources, None).run(asyncio.Event())
    await asyncio.to_thread(parts.writer.flush)


def recorded(source: LogSource, decode: Decoder) -> Source:
    """A recording as a source of the service, which ends with it."""
    finder = VinFinder()
    return Source(source.uri, lambda: BusFeed(source, decode, finder), finite=True)


def project(directory: Path) -> dict[str, int]:
    """Bring the read model of a closed state directory up to its log; why how much was lost."""
    with (
        LogReader.open(directory / "events.db") as log,
        ReadModel.open(directory / "readmodel.db") as model,
    ):
        model.catch_up(log)
        rows = model.db["loss_total"].rows
        return {f"{row['what']}, {row['reason']}": row["count"] for row in rows}


def _summary(
    directory: Path, core: Recorder, files: list[LogFile], decode: Decoder
) -> dict[str, Any]:
    taken = sum(file.counts.taken for file in files)
    stamps = [file.stamps for file in files]
    handled = decode.described + decode.undescribed
    losses = project(directory)
    checked = verify(directory / "events.db")
    return {
        "frames": taken,
        "frames_lost": taken - handled,
        "losses": losses,
        "frames_undescribed": decode.undescribed,
        "frames_undecodable": decode.undecodable,
        "frames_damaged": decode.damaged,
        "frames_without_data": sum(file.counts.other for file in files),
        "frames_remote": sum(file.counts.remote for file in files),
        "error_frames": dict(sum((file.counts.errors for file in files), Counter())),
        "lines_broken": sum(file.counts.broken for file in files),
        "times_back": sum(one.back for one in stamps),
        "times_back_s_max": max(one.back_ns for one in stamps) / SECOND,
        "times_gaps": sum(one.gaps for one in stamps),
        "times_gap_s_max": max(one.gap_ns for one in stamps) / SECOND,
        "times_whole_seconds": any(one.whole and one.frames > 1 for one in stamps),
        "signals": core.samples,
        "positions": core.fixes,
        "bsms_made": core.bsms_made,
        "events": checked.events,
        "blocks": checked.blocks,
        "chain_intact": checked.verdict == "intact",
        "peak_memory_bytes": peak_memory_bytes(),
    }

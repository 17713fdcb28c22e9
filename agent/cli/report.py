"""`amo-agent report`: a drive as a web page, made from the log."""

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Final

import click

from agent.archive import owners_view
from agent.cli.page import Drive, Happening, Point, page
from agent.cli.passphrase import PASSPHRASE, of_keys
from agent.cli.show import STATE
from agent.clock import SECOND
from agent.errors import MalformedInputError, SealError
from agent.events import (
    AgentStarted,
    AgentStopped,
    BrakedHard,
    ConsentGranted,
    DtcCleared,
    DtcSet,
    Event,
    FreezeFrameRead,
    InputLost,
    ParcelRegistered,
    PositionFixed,
    SignalsSampled,
    decode,
)
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.eventstore.verify import Verdict, verify
from agent.export.target import apart, new_file
from agent.obd.codetext import meaning
from agent.privacy import sealed
from agent.wallet.seal import Unsealer

SPEED: Final = "speed.vehicle"
TOLD: Final = (
    BrakedHard,
    DtcSet,
    DtcCleared,
    FreezeFrameRead,
    InputLost,
    ParcelRegistered,
    ConsentGranted,
    AgentStarted,
    AgentStopped,
)
"""Events that get a line of their own."""


@click.command()
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The page to write.")
@PASSPHRASE
def command(*, state: Path, out: Path) -> None:
    """Write a drive as one HTML page: trace, speed, events, the health of the chain.

    Positions are opened with the owner's key in STATE; the page shows them in clear.

    Example: amo-agent report /var/lib/amo-agent --out drive.html
    """
    write_report(state, out)
    click.echo(f"{out}: written")


def write_report(state: Path, out: Path) -> None:
    """Raises UsageError where the page cannot be written."""
    with new_file(apart(out, state)) as file:
        verdict = verify(state / "events.db")
        file.write(page(_drive(state, verdict)).encode())


def _drive(state: Path, verdict: Verdict) -> Drive:
    trace: list[Point] = []
    speed: dict[str, list[tuple[int, float]]] = {}
    happenings: list[Happening] = []
    with (
        LogReader.open(state / "events.db") as reader,
        owners_view(state, reader.log_id, of_keys(state / "keys")) as opener,
    ):
        for recorded in reader.read():
            event = _opened(recorded, opener)
            if isinstance(event, PositionFixed):
                trace.append(Point(event.t_ns, event.latitude_deg, event.longitude_deg))
            elif isinstance(event, SignalsSampled) and SPEED in event.series:
                offsets, values = event.series[SPEED]
                samples = zip((event.t0_ns + o for o in offsets), values, strict=True)
                speed.setdefault(event.origin, []).extend(samples)
            elif isinstance(event, TOLD):
                happenings.append(Happening(recorded.t_ns, recorded.kind, _words(event)))
    best = max(speed.values(), key=len, default=[])
    return Drive(
        title=_title(best, happenings),
        intact=verdict.verdict == "intact",
        verdict=_health(verdict),
        trace=trace,
        speed=best,
        happenings=happenings,
        facts=_facts(verdict, best, len(trace)),
    )


def _opened(recorded: Recorded, opener: Unsealer) -> Event | None:
    """The event, where it is of interest to the page."""
    wanted = {PositionFixed.kind, SignalsSampled.kind, *(kind.kind for kind in TOLD)}
    if recorded.kind not in wanted:
        return None
    payload = recorded.payload
    if sealed(recorded.level):
        if recorded.kind == SignalsSampled.kind:
            return None
        try:
            payload = opener.open(recorded.level, recorded.kind, payload)
        except SealError:  # its key was destroyed: the page is made of the rest
            return None
    try:
        return decode(recorded.kind, payload)
    except MalformedInputError:
        return None


def _words(event: Event) -> str:
    """What a person wants to know of it, in one line."""
    if isinstance(event, BrakedHard):
        onset = "" if event.onset_mps is None else f", from {event.onset_mps:.1f} m/s"
        return f"{event.peak_mps2:.1f} m/s² for {event.held_ms} ms{onset}"
    if isinstance(event, DtcSet | DtcCleared | FreezeFrameRead):
        return _fault(event)
    if isinstance(event, ParcelRegistered):
        span = f"events {event.first_seq} to {event.last_seq}"
        return f"Lv{event.parcel_level}, {span}, block {event.height}"
    if isinstance(event, ConsentGranted):
        return f"parcel {event.parcel_id[:16]}… to {event.buyer}, by {event.by}"
    if isinstance(event, InputLost):
        return f"{event.count} {event.what}: {event.reason}"
    return ""


def _fault(event: DtcSet | DtcCleared | FreezeFrameRead) -> str:
    """The code, its meaning where it is a generic one, and where it is; or what was kept of it."""
    words = meaning(event.code)
    code = f"{event.code} ({words})" if words else event.code
    if isinstance(event, FreezeFrameRead):
        kept = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
        return f"{code} in {event.ecu}: {kept}"
    return f"{code}, {event.memory} in {event.ecu}"


def _title(speed: list[tuple[int, float]], happenings: list[Happening]) -> str:
    times = [t for t, _ in speed[:1]] or [h.t_ns for h in happenings[:1]] or [0]
    return f"Drive of {datetime.fromtimestamp(times[0] // SECOND, UTC):%Y-%m-%d %H:%M} UTC"


def _health(verdict: Verdict) -> str:
    if verdict.verdict == "intact":
        return f"intact, {verdict.events:,} events in {verdict.blocks:,} blocks"
    return f"{verdict.verdict} at sequence {verdict.first_bad_seq}: {verdict.reason}"


def _facts(verdict: Verdict, speed: list[tuple[int, float]], fixes: int) -> list[tuple[str, str]]:
    facts = [("events", f"{verdict.events:,}"), ("positions", f"{fixes:,}")]
    if speed:
        facts += [
            ("speed samples", f"{len(speed):,}"),
            ("top speed", f"{max(v for _, v in speed) * 3.6:.1f} km/h"),
            ("distance", f"{_distance_m(speed) / 1000:.2f} km"),
        ]
    return [*facts, ("chain head", verdict.head[:32] + "…"), ("log", verdict.log_id[:32] + "…")]


def _distance_m(speed: list[tuple[int, float]]) -> float:
    """Speed over time, pauses of over a second left out."""
    total = 0.0
    for (before, slow), (after, fast) in pairwise(speed):
        step_s = (after - before) / SECOND
        if 0 < step_s < 1:
            total += (slow + fast) / 2 * step_s
    return total

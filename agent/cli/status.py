"""`amo-agent status`: one screen that says how the agent is and how much it missed."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click
import msgspec

from agent.cli import EXIT_NOT_SO
from agent.cli.show import STATE, bar, iso, one_line
from agent.clock import SECOND, SystemClock
from agent.errors import UsageError
from agent.eventstore.state import EVENTS
from agent.missed import READ, Missed, Source
from agent.status import Chain, Status, look

MIB = 1 << 20
WIDTH = 9
"""Of the column of words on the left."""
_Line = tuple[str, str]


@click.command(name="status")
@click.option("--state", type=click.Path(path_type=Path), default=STATE, show_default=True)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(*, state: Path, as_json: bool) -> None:
    """Say in one screen how the agent is and how much it missed; running or not.

    Exit 1 where the owner should act: the end of the log is not where floor and seals have it,
    more than 1 % of all frames since the agent's start were lost, the disk is so full that less is
    kept, the log was not sealed for ten minutes, a node of the chain was found lying, a key is
    missing. Frames are counted once a minute. Only the end of the log is held against what lies
    beside it; `log verify` checks all.

    Example: amo-agent status --state ./drive --json
    """
    if not state.is_dir():
        raise UsageError(f"{state} is not a directory")
    with bar(f"reading {EVENTS}") as progress:
        found = look(state, SystemClock(), progress)
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(f"{name:<{WIDTH}} {one_line(text)}" for name, text in _screen(found)))
    sys.exit(EXIT_NOT_SO if found.wrong else 0)


def _screen(found: Status) -> Iterator[_Line]:
    for wrong in found.wrong:
        yield "WRONG", wrong
    yield "agent", _agent(found)
    yield "chain", _chain(found.chain, found.now_ns)
    for source in found.missed.sources:
        yield "source", _source(source)
    yield "missed", _missed(found.missed, found.since_ns)
    for loss in found.missed.others:
        yield "missed", f"{loss.count:,} {loss.what}: {loss.reason}"
    for origin, samples in found.missed.dead_band.items():
        yield "thinned", f"{origin}: {samples:,} samples within their dead band, not recorded"
    yield from _car(found)
    yield "upload", _upload(found)
    yield "disk", _disk(found)
    yield "clock", _CLOCKS[found.clock]
    yield "keys", "; ".join(f"{use}: {where}" for use, where in found.keys.items())


_CLOCKS = {
    "UNKNOWN": "wrong: it shows a time before this program was written",
    "FREE": "runs free, nobody keeps it right",
    "NTP": "kept right, by NTP or a receiver's pulse",
    "GNSS": "agrees with the satellite receiver",
    "RECORDED": "that of a recording",
}
_STEPS = {
    "ALL": "everything is kept",
    "EARLY": "what was uploaded goes early",
    "NO_BULK": "raw frames (Lv4) are not kept",
    "NO_SAMPLES": "neither raw frames nor Lv3 samples are kept",
    "URGENT": "only urgent events are kept",
}


def _agent(found: Status) -> str:
    version = f"version {found.version}" if found.version else "of unknown version"
    if found.since_ns is None:
        return "never started on this log"
    since = iso(found.since_ns)
    if found.process is not None:
        return f"runs, {version}, since {since}, process {found.process}"
    ended = f"it stopped: {found.stopped}" if found.stopped else "it was cut off"
    return f"does not run; {version} started at {since}, {ended}"


def _chain(chain: Chain, now_ns: int) -> str:
    last = "none yet" if chain.last_ns is None else _ago(now_ns - chain.last_ns)
    seal = "no seal yet"
    if chain.seal is not None:
        covers = f"seal {chain.seal.no:,} over {chain.seal.events:,} of them"
        seal = f"{covers}, {_ago(now_ns - chain.seal.t_ns)}"
    end = "its end is NOT as it should be" if chain.end else "its end is as floor and seals have it"
    return f"{chain.events:,} events in {chain.blocks:,} blocks, the last {last}; {seal}; {end}"


def _ago(age_ns: int) -> str:
    """The clock may have been set back meanwhile."""
    seconds = age_ns // SECOND
    if seconds < 0:
        return f"{-seconds:,} s ahead of the clock"
    units = ((86_400, "days"), (3_600, "h"), (60, "min"))
    size, unit = next((u for u in units if seconds >= 2 * u[0]), (1, "s"))
    return f"{seconds // size:,} {unit} ago"


def _source(source: Source) -> str:
    states = {"open": "connected", "closed": "closed"}
    state = states.get(source.state, "known by its counts")
    if source.since_ns is not None:
        state += f" since {iso(source.since_ns)}"
    if source.reason is not None:
        state += f" ({source.reason})"
    counts = dict(source.counts)
    words = [f"{counts.pop(fate, 0):,} {fate}" for fate in READ] if source.taken else []
    words += [f"{count:,} {fate}" for fate, count in counts.items() if fate not in READ]
    words += [f"{count:,} LOST, {reason}" for reason, count in source.lost.items()]
    taken = f"; {source.taken:,} frames taken" if source.taken else ""
    return f"{source.uri}: {state}{taken}{': ' if words else ''}{', '.join(words)}"


def _missed(lost: Missed, since_ns: int | None) -> str:
    since = "" if since_ns is None else f" since the agent's start at {iso(since_ns)}"
    share = "0 %" if not lost.lost else f"{lost.percent:.2g} %"
    return f"{lost.lost:,} of {lost.arrived:,} frames ({share}) were lost{since}"


def _car(found: Status) -> Iterator[_Line]:
    for row in found.buses:
        yield "bus", f"{row['channel']} ({row['uri']}): {row['state']}, {iso(row['t_ns'])}"
    for row in found.asking:
        asked = "asked" if row["state"] in {"on", "off"} else "not asked"
        volts = "" if row["voltage_v"] is None else f", {row['voltage_v']:.1f} V"
        yield "asking", f"{row['origin']}: {asked} ({row['state']}): {row['reason']}{volts}"
    vin = "a VIN was read, it is sealed" if found.vin_read else "no VIN was read"
    fixes, own, heard = found.kinds.values()
    yield "car", f"{vin}; {fixes:,} fixes, {own:,} own and {heard:,} heard messages in the log"


def _upload(found: Status) -> str:
    waits = ""
    if found.outbox_bytes:
        size = sum(found.outbox_bytes) / MIB
        waits = f"; {len(found.outbox_bytes)} parcels of {size:,.1f} MiB wait in the outbox"
    if not found.upload:
        return f"nothing was uploaded yet{waits}"
    levels = [
        f"Lv{row['level']} {row['parcels']:,} parcels through event {row['last_seq']:,}, "
        f"{row['behind']:,} before the end"
        for row in found.upload
    ]
    return "; ".join(levels) + waits


def _disk(found: Status) -> str:
    size = found.state_bytes / MIB
    return f"{found.used_percent:.0f} % full, {size:,.1f} MiB of it here; {_STEPS[found.step]}"

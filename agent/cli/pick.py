"""Which events of a log a person asked for: by kind, time, trip and place.

Kinds, times and trips are found by the index of the read model where there is one of this log, and
by looking through the log where not. The index is no evidence: `log verify --projection` checks it.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import click
import msgspec
from sqlite_utils import Database

from agent.cli.show import TIME, utc_ns
from agent.clock import SystemClock
from agent.errors import UsageError
from agent.eventstore.log import Recorded
from agent.eventstore.places import EVERYWHERE, Box, Open, Places
from agent.eventstore.reader import LogReader
from agent.eventstore.state import READMODEL
from agent.eventstore.timeline import between
from agent.eventstore.view import view
from agent.whereabouts import LOCATE

EARLIEST_NS: Final = -(2**63)
LATEST_NS: Final = 2**63 - 1
LAST_TRIP: Final = 2**32 - 1
"""Starts are counted in 32 bits: docs/formats/log.md."""
BOX: Final = "SOUTH,WEST,NORTH,EAST"
_Command = TypeVar("_Command", bound=Callable[..., Any])
_TRIP: Final = "SELECT first_seq FROM trip WHERE boot = ?"


class Wish(msgspec.Struct, frozen=True):
    """
    kind:  of the event, or its beginning
    since_ns, until_ns: both ends belong to it
    after: sequence number behind which to begin
    trip:  number of a start of the agent
    box:   where it happened
    """

    kind: str = ""
    since_ns: int = EARLIEST_NS
    until_ns: int = LATEST_NS
    after: int = 0
    trip: int | None = None
    box: Box | None = None

    def fits(self, event: Recorded) -> bool:
        """Whether all but the place does."""
        return (
            event.seq > self.after
            and event.kind.startswith(self.kind)
            and self.since_ns <= event.t_ns <= self.until_ns
            and self.trip in (None, event.boot)
        )


def _box(_context: click.Context, _option: click.Parameter, value: str | None) -> Box | None:
    if value is None:
        return None
    try:
        box = Box(*map(float, value.split(",")))
    except (TypeError, ValueError) as error:
        raise click.BadParameter(f"{value!r} is not four numbers: {BOX}") from error
    corners = (box.south_deg, box.west_deg), (box.north_deg, box.east_deg)
    if box.south_deg > box.north_deg or not all(EVERYWHERE.holds(*c) for c in corners):
        raise click.BadParameter(f"{value!r}: south to north in -90..90, the others in -180..180")
    return box


_OPTIONS: Final = (
    click.option("--kind", default="", help='Only this kind, like "dtc-set/1", or its beginning.'),
    click.option("--since", type=TIME, metavar="TIME", help="UTC."),
    click.option("--until", type=TIME, metavar="TIME", help="UTC."),
    click.option("--trip", type=click.IntRange(1, LAST_TRIP), help="Only this start of the agent."),
    click.option("--within", metavar=BOX, callback=_box, help="In degrees; needs --open."),
    click.option("--after", type=click.IntRange(0), default=0, help="Only behind this event."),
)
LIMIT: Final = click.option(
    "--limit", type=click.IntRange(1, sys.maxsize), help="Stop after so many events."
)


def wishes(command: _Command) -> _Command:
    """The options of a command that shows events; what they say is for `wish_of`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wish_of(
    *, since: datetime | None, until: datetime | None, within: Box | None, **rest: Any
) -> Wish:
    return Wish(
        since_ns=EARLIEST_NS if since is None else _ns(since),
        until_ns=LATEST_NS if until is None else _ns(until),
        box=within,
        **rest,
    )


def _ns(time: datetime) -> int:
    """As near to it as an event can be: a calendar reaches further than 64 bits of nanoseconds."""
    return max(EARLIEST_NS, min(utc_ns(time), LATEST_NS))


def picked(log: LogReader, state: Path, wish: Wish, open_sealed: Open | None) -> Iterator[Recorded]:
    """In the order of the log. Raises UsageError for a box without a key, StoreError."""
    with ExitStack() as stack:
        model = _index(stack, log, state)
        if wish.box is None:
            yield from _listed(log, model, wish)
            return
        if open_sealed is None:
            raise UsageError("--within needs --open, since places are sealed")
        with Places(open_sealed, LOCATE) as places:
            places.add(_listed(log, model, wish))
            there = {place.seq for place in places.within(wish.box)}
        yield from (event for event in _listed(log, model, wish) if event.seq in there)


def _listed(log: LogReader, model: Database | None, wish: Wish) -> Iterator[Recorded]:
    for event in _about(log, model, wish):
        if wish.trip is not None and event.boot > wish.trip:
            return
        if wish.fits(event):
            yield event


def _about(log: LogReader, model: Database | None, wish: Wish) -> Iterator[Recorded]:
    """Those of the kind, the time or the trip, and some around them."""
    whole = (wish.kind, wish.since_ns, wish.until_ns) == ("", EARLIEST_NS, LATEST_NS)
    if model is not None and not whole:
        return between(model, log, wish.since_ns, wish.until_ns, wish.kind)
    starts = [] if model is None else model.execute(_TRIP, [wish.trip]).fetchall()
    return log.read(max([wish.after, *(first_seq - 1 for (first_seq,) in starts)]))


def _index(stack: ExitStack, log: LogReader, state: Path) -> Database | None:
    """The read model beside the log; None where there is none of this log and version."""
    with suppress(UsageError):
        model = view(state / READMODEL, SystemClock())
        stack.callback(model.close)
        if model.execute("SELECT log_id FROM cursor").fetchone() == (log.log_id,):
            return model
    return None

"""`amo-agent log`: look at the event log and check that nobody changed it."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from agent.cli.eventline import owners_eye, text, values
from agent.cli.proof import check_proof, prove
from agent.cli.show import STATE, bar
from agent.clock import SECOND
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.eventstore.verify import verify


@click.group(name="log")
def command() -> None:
    """Show and verify the event log.

    Example: amo-agent log verify /var/lib/amo-agent
    """


command.add_command(prove)
command.add_command(check_proof)


@command.command(name="verify")
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@click.option("--from-scratch", is_flag=True, help="Every event from the first; always so for now.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify_(state: Path, *, from_scratch: bool, as_json: bool) -> None:
    """Check every event of the chain; exit 0 intact, 1 not.

    STATE is a state directory or a copied events.db.

    Example: amo-agent log verify ./copy/events.db --json
    """
    del from_scratch
    path = state / "events.db" if state.is_dir() else state
    with bar("verifying") as progress:
        verdict = verify(path, progress=progress)
    intact = verdict.verdict == "intact"
    if as_json:
        click.echo(json.dumps({"intact": intact, **msgspec.to_builtins(verdict)}))
    elif intact:
        click.echo(
            f"intact: {verdict.events} events in {verdict.blocks} blocks, head {verdict.head}"
        )
    else:
        where = "" if verdict.first_bad_seq is None else f" at sequence {verdict.first_bad_seq}"
        click.echo(f"{verdict.verdict}{where}: {verdict.reason}")
    sys.exit(0 if intact else 1)


@command.command()
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@click.option("--kind", help='Only this kind, for example "dtc-set/1", or its beginning.')
@click.option("--since", type=click.DateTime(), help="UTC.")
@click.option("--until", type=click.DateTime(), help="UTC.")
@click.option(
    "--after", type=click.IntRange(0), default=0, help="Begin behind this sequence number."
)
@click.option("--limit", type=click.IntRange(1), help="Stop after so many events.")
@click.option("--open", "unseal", is_flag=True, help="Open Lv1 and Lv2 with the owner's key.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(
    state: Path,
    *,
    kind: str | None,
    since: datetime | None,
    until: datetime | None,
    after: int,
    limit: int | None,
    unseal: bool,
    as_json: bool,
) -> None:
    """Print events in order.

    Example: amo-agent log show /var/lib/amo-agent --kind dtc --since 2026-11-22
    """
    left = limit or sys.maxsize
    with owners_eye(state) if unseal else nullcontext() as opener:
        for event in _events(state, after):
            if not _wanted(event, kind, since, until):
                continue
            line = values(event, opener.open if opener else None)
            click.echo(json.dumps(line) if as_json else text(line))
            left -= 1
            if not left:
                return


def _events(state: Path, after: int) -> Iterator[Recorded]:
    with LogReader.open(state / "events.db" if state.is_dir() else state) as reader:
        yield from reader.read(after)


def _wanted(
    event: Recorded, kind: str | None, since: datetime | None, until: datetime | None
) -> bool:
    return (
        (kind is None or event.kind.startswith(kind))
        and (since is None or event.t_ns >= since.replace(tzinfo=UTC).timestamp() * SECOND)
        and (until is None or event.t_ns <= until.replace(tzinfo=UTC).timestamp() * SECOND)
    )

"""`amo-agent log`: look at the event log and check that nobody changed it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.archive import owners_view
from agent.cli.erase import erase
from agent.cli.hold import hold, release
from agent.cli.show import STATE, bar
from agent.clock import SECOND
from agent.errors import ErasedError, MalformedInputError, UsageError
from agent.events import decode
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.eventstore.verify import verify
from agent.privacy import sealed
from agent.wallet.seal import Unsealer


@click.group(name="log")
def command() -> None:
    """Show, verify and erase the event log.

    Example: amo-agent log verify /var/lib/amo-agent
    """


for _more in (erase, hold, release):
    command.add_command(_more)


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
    with _opener(state) if unseal else nullcontext() as opener:
        for event in _events(state, after):
            if not _wanted(event, kind, since, until):
                continue
            line = _line(event, opener)
            click.echo(json.dumps(line) if as_json else _text(line))
            left -= 1
            if not left:
                return


def _events(state: Path, after: int) -> Iterator[Recorded]:
    with LogReader.open(state / "events.db" if state.is_dir() else state) as reader:
        yield from reader.read(after)


@contextmanager
def _opener(state: Path) -> Iterator[Unsealer]:
    if not state.is_dir():
        raise UsageError(f"{state}: --open needs a state directory with its keys")
    with LogReader.open(state / "events.db") as reader:
        log_id = reader.log_id
    with owners_view(state, log_id) as opener:
        yield opener


def _wanted(
    event: Recorded, kind: str | None, since: datetime | None, until: datetime | None
) -> bool:
    return (
        (kind is None or event.kind.startswith(kind))
        and (since is None or event.t_ns >= since.replace(tzinfo=UTC).timestamp() * SECOND)
        and (until is None or event.t_ns <= until.replace(tzinfo=UTC).timestamp() * SECOND)
    )


def _line(event: Recorded, opener: Unsealer | None) -> dict[str, Any]:
    """One event as plain values; what stays sealed says so."""
    line: dict[str, Any] = {
        "seq": event.seq,
        "kind": event.kind,
        "level": int(event.level),
        "t_ns": event.t_ns,
        "time": datetime.fromtimestamp(event.t_ns // SECOND, UTC).isoformat(),
        "boot": event.boot,
    }
    payload = event.payload
    if sealed(event.level):
        if opener is None:
            return {**line, "sealed": True}
        try:
            payload = opener.open(event.level, event.kind, payload)
        except ErasedError:
            return {**line, "erased": True}
    try:
        fields = decode(event.kind, payload)
    except MalformedInputError as error:
        return {**line, "unknown": str(error)}
    names = fields.__struct_fields__
    values = msgspec.to_builtins(fields, builtin_types=(bytes,))
    return {
        **line,
        **{n: v.hex() if isinstance(v, bytes) else v for n, v in zip(names, values, strict=True)},
    }


def _text(line: dict[str, Any]) -> str:
    rest = {k: v for k, v in line.items() if k not in {"seq", "kind", "level", "t_ns", "time"}}
    words = " ".join(f"{name}={value}" for name, value in rest.items())
    return f"{line['seq']:>8}  {line['time']}  Lv{line['level']}  {line['kind']:<22} {words}"

"""`amo-agent log`: look at the event log and check that nobody changed it."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.archive import owners_view
from agent.cli.pick import picked, wish_of, wishes
from agent.cli.show import STATE, bar, iso, log_file
from agent.cli.state import command as state_
from agent.errors import MalformedInputError, UsageError
from agent.events import decode
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.eventstore.verify import verify
from agent.privacy import sealed
from agent.wallet.seal import Unsealer


@click.group(name="log")
def command() -> None:
    """Show and verify the event log.

    Example: amo-agent log verify /var/lib/amo-agent
    """


command.add_command(state_)


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
    with bar("verifying") as progress:
        verdict = verify(log_file(state), progress=progress)
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
@wishes
@click.option("--limit", type=click.IntRange(1), help="Stop after so many events.")
@click.option("--open", "unseal", is_flag=True, help="Open Lv1 and Lv2 with the owner's key.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def show(
    state: Path,
    *,
    limit: int | None,
    unseal: bool,
    as_json: bool,
    **wished: Any,
) -> None:
    """Print events in order.

    Example: amo-agent log show /var/lib/amo-agent --kind dtc --since 2026-11-22T14:30:00
    """
    wish = wish_of(**wished)
    with (
        LogReader.open(log_file(state)) as log,
        _opener(state, log) if unseal else nullcontext() as opener,
    ):
        for event in islice(picked(log, state, wish, opener.open if opener else None), limit):
            line = _line(event, opener)
            click.echo(json.dumps(line) if as_json else _text(line))


@contextmanager
def _opener(state: Path, log: LogReader) -> Iterator[Unsealer]:
    if not state.is_dir():
        raise UsageError(f"{state}: --open needs a state directory with its keys")
    with owners_view(state, log.log_id) as opener:
        yield opener


def _line(event: Recorded, opener: Unsealer | None) -> dict[str, Any]:
    """One event as plain values; what stays sealed says so."""
    line: dict[str, Any] = {
        "seq": event.seq,
        "kind": event.kind,
        "level": int(event.level),
        "t_ns": event.t_ns,
        "time": iso(event.t_ns),
        "boot": event.boot,
    }
    payload = event.payload
    if sealed(event.level):
        if opener is None:
            return {**line, "sealed": True}
        payload = opener.open(event.level, event.kind, payload)
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

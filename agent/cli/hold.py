"""`amo-agent log hold` and `log release`: what must be kept, and until when."""

import json
from datetime import datetime
from pathlib import Path

import click
import msgspec

from agent.cli.passphrase import PASSPHRASE
from agent.cli.rest import DEVICE, at_rest
from agent.cli.show import STATE, TIME, bar, utc_ns
from agent.eventstore.holds import REASONS, Hold
from agent.hold import Holder


@click.command()
@click.option("--since", type=TIME, required=True, help="UTC.")
@click.option("--until", type=TIME, required=True, help="UTC.")
@click.option("--reason", type=click.Choice(REASONS), required=True, help="Is kept in clear.")
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@DEVICE
@PASSPHRASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def hold(
    state: Path,
    *,
    since: datetime,
    until: datetime,
    reason: str,
    device: str | None,
    as_json: bool,
) -> None:
    """Keep a time from being erased or pruned; the agent must be stopped.

    Example: amo-agent log hold --since 2026-11-22T14:00:00 --until 2026-11-22T15:00:00
    --reason crash
    """
    with bar("looking") as progress, at_rest(state, device) as parts:
        holder = Holder(parts.log, parts.journal)
        _print(holder.hold(utc_ns(since), utc_ns(until), reason, progress), "set", as_json=as_json)


@click.command()
@click.argument("number", type=click.IntRange(1))
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@DEVICE
@PASSPHRASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def release(number: int, state: Path, *, device: str | None, as_json: bool) -> None:
    """End the hold of that NUMBER; `log show --kind range-held` has them all.

    Example: amo-agent log release 4711
    """
    with at_rest(state, device) as parts:
        _print(Holder(parts.log, parts.journal).release(number), "released", as_json=as_json)


def _print(which: Hold, outcome: str, *, as_json: bool) -> None:
    plain = {"outcome": outcome, **msgspec.to_builtins(which)}
    click.echo(json.dumps(plain) if as_json else f"{outcome}: {which}")

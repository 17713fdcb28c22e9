"""`amo-agent log erase`: the owner has a time of one level forgotten."""

import json
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import click
import msgspec

from agent.cli.passphrase import PASSPHRASE
from agent.cli.rest import DEVICE, at_rest
from agent.cli.show import STATE, TIME, bar, iso, utc_ns
from agent.errors import UsageError
from agent.privacy import Level
from agent.survey import Parcel, Plan, Run

STAYS = (
    "a buyer who opened a parcel cannot be made to forget it; and its custody stays on the chain:"
    " whoever has it, the body and the owner's key opens the parcel"
)
"""What destroying keys in the car does not reach."""
ERASED, NOTHING, DECLINED = "erased", "nothing to erase", "nothing was erased"


@click.command()
@click.option(
    "--level",
    type=click.IntRange(1, 2),
    required=True,
    help="1 or 2; events of other levels are not sealed and have no key.",
)
@click.option("--since", type=TIME, required=True, help="UTC.")
@click.option("--until", type=TIME, required=True, help="UTC.")
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@DEVICE
@PASSPHRASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase(
    state: Path,
    *,
    level: int,
    since: datetime,
    until: datetime,
    device: str | None,
    as_json: bool,
    yes: bool,
) -> None:
    """Destroy the keys of one level and time; the agent must be stopped.

    Keys are those of ten minutes, so the time is rounded outwards: what would go is shown first.
    The chain and the proofs of everything else stay valid. Exit 1 when a hold forbids it.

    Example: amo-agent log erase --level 2 --since 2026-11-22 --until 2026-11-23
    """
    if not yes and not sys.stdin.isatty():
        raise UsageError("nobody is there to ask: --yes erases without asking")
    with at_rest(state, device) as parts:
        with bar("looking") as progress:
            plan = parts.eraser.plan(Level(level), utc_ns(since), utc_ns(until), progress)
        waiting = [path.name for path in parts.eraser.waiting(plan)]
        if not yes:
            click.echo("\n".join(_lines(plan, waiting)), err=True)
        agreed = yes or not plan.runs or _agreed(plan)
        keys = parts.eraser.carry_out(plan, "owner") if agreed else 0
        parts.receipts()  # the read model is there again for those who only look
    outcome = ERASED if keys else NOTHING if agreed else DECLINED
    report = {"outcome": outcome, "keys_destroyed": keys, **_plain(plan, waiting)}
    click.echo(json.dumps(report) if as_json else "\n".join(_words(report, plan, waiting)))
    sys.exit(0 if agreed else 1)


def _agreed(plan: Plan) -> bool:
    """Held ranges are refused below, whatever the answer would be."""
    return plan.hold is not None or click.confirm("Erase this for ever?", err=True)


def _words(report: dict[str, Any], plan: Plan, waiting: list[str]) -> Iterator[str]:
    yield f"{report['outcome']}: {report['keys_destroyed']} keys destroyed"
    yield from _lines(plan, waiting)


def _lines(plan: Plan, waiting: list[str]) -> Iterator[str]:
    """The plan, for people."""
    for run in plan.runs:
        yield (
            f"  segments {run.first_segment} to {run.last_segment}: {run.events} events of"
            f" Lv{plan.level:d}, {_time(run.first_ns)} to {_time(run.last_ns)},"
            f" sequence {run.first_seq} to {run.last_seq}"
        )
    for name in waiting:
        yield f"  outbox: {name}, not sent or not known to be"
    for parcel in plan.parcels:
        yield f"  uploaded: parcel {parcel.parcel_id}, {_buyers(parcel)}"
    if plan.parcels:
        yield f"  {STAYS}"


def _plain(plan: Plan, waiting: list[str]) -> dict[str, Any]:
    return {
        "level": int(plan.level),
        "runs": [_run(run) for run in plan.runs],
        "outbox": waiting,
        "parcels": [{"level": int(plan.level), **msgspec.to_builtins(p)} for p in plan.parcels],
        "not_recalled": STAYS if plan.parcels else None,
    }


def _run(run: Run) -> dict[str, Any]:
    times = {"since": _time(run.first_ns), "until": _time(run.last_ns)}
    return {**msgspec.to_builtins(run), **times}


def _buyers(parcel: Parcel) -> str:
    who = ", ".join(parcel.buyers)
    return f"opened perhaps by {who}" if who else "granted to nobody"


def _time(t_ns: int | None) -> str:
    """pruned: nothing is left that would tell."""
    return "pruned" if t_ns is None else iso(t_ns)

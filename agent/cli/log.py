"""`amo-agent log`: look at the event log and check that nobody changed it."""

from contextlib import nullcontext
from itertools import islice
from pathlib import Path
from typing import Any

import click

from agent.cli.erase import erase
from agent.cli.eventline import owners_eye, text, values
from agent.cli.export import export
from agent.cli.hold import hold, release
from agent.cli.passphrase import PASSPHRASE
from agent.cli.pick import LIMIT, picked, wish_of, wishes
from agent.cli.proof import check_proof, prove
from agent.cli.show import STATE, log_file
from agent.cli.state import command as state_
from agent.cli.verify import command as verify
from agent.eventstore.checked import CheckedReader
from agent.export.seen import json_line


@click.group(name="log")
def command() -> None:
    """Show, export, verify and erase the event log.

    Example: amo-agent log verify /var/lib/amo-agent
    """


for _more in (state_, verify, export, prove, check_proof, erase, hold, release):
    command.add_command(_more)


@command.command()
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@wishes
@LIMIT
@click.option("--open", "unseal", is_flag=True, help="Open Lv1 and Lv2 with the owner's key.")
@PASSPHRASE
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
        CheckedReader.open(log_file(state)) as log,
        owners_eye(state) if unseal else nullcontext() as opener,
    ):
        open_sealed = opener.open if opener else None
        for event in islice(picked(log, state, wish, open_sealed), limit):
            line = values(event, open_sealed)
            click.echo(json_line(line) if as_json else text(line))

"""`amo-agent owner`: what the owner tells of themselves, and what the log has of it."""

import json
import sys
from pathlib import Path
from typing import BinaryIO

import click
import msgspec

from agent.cli.eventline import owners_eye
from agent.cli.passphrase import PASSPHRASE
from agent.cli.rest import DEVICE, at_rest
from agent.cli.show import STATE, bar, figures, watched
from agent.errors import UsageError
from agent.eventstore.reader import LogReader
from agent.eventstore.state import EVENTS
from agent.owner import (
    DATA_USES,
    FIELDS,
    LONGEST,
    OLDEST,
    SEXES,
    Owner,
    from_json,
    owner_of,
    write_owner,
)

MAX_BYTES = 1 << 16
STATE_OPTION = click.option("--state", type=click.Path(path_type=Path), default=STATE)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
TAKES = {
    "name": f"1 to {LONGEST['name']} characters",
    "contact": f"1 to {LONGEST['contact']} characters",
    "age": f"0 to {OLDEST}",
    "sex": "|".join(SEXES),
    "data_use": "|".join(DATA_USES),
}
"""For people. Click's own types would quote a wrong value in their complaint."""


@click.group(name="owner")
def command() -> None:
    """Tell the log who the owner is, sealed, or see what it has.

    Example: amo-agent owner set --from - < owner.json
    """


@command.command(name="set")
@STATE_OPTION
@click.option("--name", help=TAKES["name"], metavar="TEXT")
@click.option("--contact", help=TAKES["contact"], metavar="TEXT")
@click.option("--age", help=TAKES["age"], metavar="YEARS")
@click.option("--sex", help=TAKES["sex"], metavar="WORD")
@click.option("--data-use", help=f"What the data may be used for: {TAKES['data_use']}.")
@click.option("--from", "source", type=click.File("rb"), help="A JSON object of these; - is stdin.")
@DEVICE
@PASSPHRASE
def set_owner(
    state: Path, *, source: BinaryIO | None, device: str | None, **given: str | None
) -> None:
    """Write name, contact, age, sex and data use into the log, sealed; the agent must be stopped.

    Fields that are not given stay; an empty one, in JSON null, is taken back. Without any field
    it asks for each, so that none is left in the history of the shell or the list of processes.

    Example: amo-agent owner set --state /var/lib/amo-agent
    """
    changes: dict[str, object] = {k: v or None for k, v in given.items() if v is not None}
    if source is not None:
        changes |= from_json(source.read(MAX_BYTES))
    elif not changes:
        changes = _asked()
    Owner().changed(changes)  # what none can be is refused before the log is touched
    with bar("looking") as progress, at_rest(state, device) as parts:
        parts.journal.flush()
        events = watched(parts.log.read(), parts.log.head().seq, progress)
        before = owner_of(events, parts.unsealer)
        after = before.changed(changes)
        write_owner(before, after, parts.journal)
    told = [field for field in FIELDS if getattr(after, field) is not None]
    click.echo(f"in the log, sealed: {', '.join(told) or 'nothing'}")


@command.command()
@STATE_OPTION
@AS_JSON
@PASSPHRASE
def show(state: Path, *, as_json: bool) -> None:
    """Print what the log has of the owner; the owner's key opens it.

    What was erased, or pruned after an upload, is not there.

    Example: amo-agent owner show --json
    """
    with (
        bar("looking") as progress,
        owners_eye(state) as opener,
        LogReader.open(state / EVENTS) as log,
    ):
        owner = owner_of(watched(log.read(), log.head().seq, progress), opener)
    told = msgspec.structs.asdict(owner)
    click.echo(
        json.dumps(told)
        if as_json
        else figures({k: "-" if v is None else v for k, v in told.items()})
    )


def _asked() -> dict[str, object]:
    """On a terminal, each field; an empty answer leaves it as it is."""
    if not sys.stdin.isatty():
        raise UsageError("no field is given, and nobody is there to ask; --from - reads them")
    answers = {
        field: click.prompt(f"{field} ({TAKES[field]})", default="", show_default=False, err=True)
        for field in FIELDS
    }
    return {field: answer for field, answer in answers.items() if answer}

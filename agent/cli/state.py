"""`amo-agent log state`: what the log says of the car at an instant."""

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from agent import installed
from agent.archive import owners_view
from agent.bsm.si import physical
from agent.cli.passphrase import PASSPHRASE, of_keys
from agent.cli.show import STATE, TIME, bar, iso, log_file, one_line, utc_ns, watched
from agent.errors import MalformedInputError, SealError, UsageError
from agent.events import BsmMade, Event, PositionFixed, decode
from agent.eventstore.instant import last_at
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import Progress, ReadModel
from agent.obd.codetext import meaning
from agent.wallet.seal import Unsealer

_TABLES: Final = {
    "dtcs": "dtc_open",
    "consents": "consent_now",
    "upload": "upload",
    "polls": "polls",
    "inputs": "input_total",
    "losses": "loss_total",
    "dead_letters": "dead_letter",
    "unseen": "unseen",
}
_LAST: Final = "SELECT max(last_seq) FROM kind_count WHERE kind = ?"


@click.command(name="state")
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@click.option("--at", type=TIME, metavar="TIME", help="UTC; without it, the end of the log.")
@click.option("--open", "unseal", is_flag=True, help="The last position and message too.")
@PASSPHRASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(state: Path, *, at: datetime | None, unseal: bool, as_json: bool) -> None:
    """Fold the log up to an instant and print what it says then.

    Latest values, fault codes that are set, the trip, consents, uploads and losses. STATE is a
    state directory or a copied events.db. The instant lies in the first start of the agent whose
    last event is at that time or later; events are taken in the order of the log up to the last
    one of that start that is not after it. --open needs the owner's key.

    Example: amo-agent log state /var/lib/amo-agent --at 2026-11-22T14:30:00 --json
    """
    if unseal and not state.is_dir():
        raise UsageError(f"{state}: --open needs a state directory with its keys")
    with LogReader.open(log_file(state)) as log, ReadModel.in_memory() as model:
        with bar("folding") as progress:
            through = None if at is None else _last_at(log, utc_ns(at), progress)
            model.catch_up(log, through=through, progress=progress)
        found = _found(model)
        if unseal:
            with owners_view(state, log.log_id, of_keys(state / "keys")) as opener:
                found |= _opened(model, log, opener)
    click.echo(json.dumps(found) if as_json else _text(found))


def _last_at(log: LogReader, t_ns: int, progress: Progress) -> int:
    return last_at(watched(log.read(), log.head().seq, progress), t_ns)


def _found(model: ReadModel) -> dict[str, Any]:
    trips = list(model.db.query("SELECT * FROM trip ORDER BY boot DESC LIMIT 1"))
    found: dict[str, Any] = {
        "seq": model.through,
        "trip": trips[0] if trips else None,
        "latest": {row.pop("name"): row for row in model.db["latest"].rows},
        **{name: list(model.db[table].rows) for name, table in _TABLES.items()},
    }
    for row in found["dtcs"]:
        row["meaning"] = meaning(row["code"]) or None
    return found


def _opened(model: ReadModel, log: LogReader, opener: Unsealer) -> dict[str, Any]:
    """Position and own message as they were last recorded; why not, where they do not open."""
    return {
        "position": _last(model, log, opener, PositionFixed),
        "bsm": _last(model, log, opener, BsmMade),
    }


def _last(model: ReadModel, log: LogReader, opener: Unsealer, kind: type[Event]) -> Any:
    ((seq,),) = model.db.execute(_LAST, [kind.kind])
    for recorded in () if seq is None else log.read(seq - 1, seq):
        try:
            payload = opener.open(recorded.level, recorded.kind, recorded.payload)
            return {"seq": seq, "recorded_ns": recorded.t_ns, **_fields(decode(kind.kind, payload))}
        except (SealError, MalformedInputError) as error:
            return {"seq": seq, "error": str(error)}
    return None


def _fields(event: Event) -> dict[str, Any]:
    if isinstance(event, BsmMade):
        codec = installed.codec()
        return {"on_air": event.on_air, "si": physical(codec, codec.decode_tree(event.message))}
    return msgspec.structs.asdict(event)


def _text(found: dict[str, Any]) -> str:
    return "\n".join(line for name, value in found.items() for line in _lines(name, value))


def _lines(name: str, value: Any) -> Iterator[str]:
    """A number in its line, rows in one line each, unknown values left out."""
    if isinstance(value, int) or not value:
        yield f"{name}: {value or 'none'}"
        return
    if name == "latest":
        value = [{"name": signal, **row} for signal, row in value.items()]
    yield f"{name}:"
    for row in [value] if isinstance(value, dict) else value:
        flat = {**row, **row.get("si", {})}
        flat.pop("si", None)
        yield "  " + " ".join(f"{k}={_word(k, v)}" for k, v in flat.items() if v is not None)


def _word(name: str, value: Any) -> str:
    return iso(value) if name.endswith("_ns") else one_line(value)

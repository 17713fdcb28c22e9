"""`amo-agent parcel`: what waits or was uploaded, listed, shown, checked and opened."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from agent.cli import EXIT_NOT_SO
from agent.cli.parcelbody import Found, bought, own, receipts, waiting
from agent.cli.passphrase import PASSPHRASE
from agent.cli.show import figures, iso, one_line
from agent.cli.walletdesk import AS_JSON, STATE_OPTION, WHERE
from agent.config import load_config
from agent.errors import MalformedInputError, RefusedError, SealError, StoreError, UsageError
from agent.events import decode
from agent.export.seen import fields, json_line
from agent.outbox import load
from agent.parcel.chunk import Parcel

_ENDING: Final = ".parcel"
_OPTIONS: Final = (
    click.argument("parcel"),
    WHERE,
    STATE_OPTION,
    PASSPHRASE,
    click.option("--key", "uri", help="A buyer's account key, file:FILE; then --rpc, --storage."),
    click.option("--rpc", help="Address of a node."),
    click.option("--storage", help="Address of the storage service."),
    click.option("--legacy", is_flag=True, help="Take custody that hides nothing, too."),
)


def _meant(command: Callable[..., None]) -> Callable[..., None]:
    """Options that say which parcel is meant, and who wants to see it."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


@click.group(name="parcel")
def command() -> None:
    """Parcels in the outbox and on the storage service, and those that you bought.

    PARCEL is its id, or the name of a file in the outbox.

    Example: amo-agent parcel list
    """


@command.command(name="list")
@WHERE
@STATE_OPTION
@AS_JSON
def show_all(config: Path, *, state: Path | None, as_json: bool) -> None:
    """What was uploaded, by the receipts in the log, and what waits for it in the outbox.

    Example: amo-agent parcel list --json
    """
    where = _state(config, state)
    with receipts(where) as (_, model):
        rows = list(model.db.query("SELECT * FROM parcel ORDER BY seq"))
    rows += _in_outbox(where / "outbox")
    if as_json:
        click.echo(msgspec.json.encode(rows))
        return
    for row in rows:
        events = f"events {row['first_seq']} to {row['last_seq']}"
        click.echo(f"{row['parcel_id']}  Lv{row['level']}  {events}  {row['size_bytes']:,} bytes")


@command.command()
@_meant
@AS_JSON
def show(*, as_json: bool, **which: Any) -> None:
    """What is in PARCEL, by its manifest.

    Example: amo-agent parcel show 00000001AB…
    """
    manifest = _manifest(_found(**which).opened())
    if as_json:
        click.echo(json_line(manifest))
        return
    chunks = manifest.pop("chunks")
    click.echo(figures({name: one_line(value) for name, value in manifest.items()}))
    for one in chunks:
        name = one_line(f"{one['metric']} {one['origin']}".strip())
        click.echo(f"{one['records']:>9,}  {iso(one['start'])} to {iso(one['end'])}  {name}")


@command.command()
@_meant
@AS_JSON
def verify(*, as_json: bool, **which: Any) -> None:
    """Hold PARCEL against its receipt: digest, custody, manifest, columns; exit 1 where not so.

    Example: amo-agent parcel verify 00000001AB…
    """
    told: dict[str, Any] = {"parcel": which["parcel"], "intact": True}
    try:
        chunks = _found(**which).opened().chunks
        told["records"] = sum(1 for chunk in chunks for _ in chunk.records())
        told["metrics"] = sorted({chunk.header.metric for chunk in chunks})
    except (SealError, MalformedInputError, RefusedError, StoreError) as error:
        told |= {"intact": False, "reason": one_line(error)}
    shown = told | {"metrics": ", ".join(map(one_line, told.get("metrics", [])))}
    click.echo(json_line(told) if as_json else figures(shown))
    sys.exit(0 if told["intact"] else EXIT_NOT_SO)


@command.command(name="open")
@_meant
def show_records(**which: Any) -> None:
    """Print every record of PARCEL, one JSON object a line.

    Example: amo-agent parcel open 00000001AB… --key file:me.key --rpc URL --storage URL
    """
    for line in _records(_found(**which).opened()):
        click.echo(json_line(line))


def _found(
    *,
    parcel: str,
    config: Path,
    state: Path | None,
    uri: str | None,
    rpc: str | None,
    storage: str | None,
    legacy: bool,
) -> Found:
    if uri is not None:
        if rpc is None or storage is None:
            raise UsageError("--key is a buyer's; --rpc and --storage go with it")
        return bought(parcel, uri, rpc, storage, legacy=legacy)
    where = _state(config, state)
    if parcel.endswith(_ENDING):
        return waiting(where / "outbox" / Path(parcel).name, where)
    return own(parcel, config, where)


def _state(config: Path, state: Path | None) -> Path:
    return Path(load_config(config).state) if state is None else state


def _in_outbox(outbox: Path) -> Iterator[dict[str, Any]]:
    for path in sorted(outbox.glob(f"*{_ENDING}")):
        entry = load(path)
        yield {
            "parcel_id": path.name,
            "level": int(entry.level),
            "first_seq": entry.first,
            "last_seq": entry.last,
            "size_bytes": len(entry.body),
        }


def _manifest(parcel: Parcel) -> dict[str, Any]:
    """As plain values; bytes are hexadecimal digits."""
    told: dict[str, Any] = msgspec.to_builtins(parcel.manifest, builtin_types=(bytes,))
    chunks = [one | {"id": one["id"].hex()} for one in told["chunks"]]
    previous = told["previous"] and told["previous"].hex()
    device, root = told["device"].hex(), parcel.root.hex()
    return told | {"root": root, "device": device, "previous": previous, "chunks": chunks}


def _records(parcel: Parcel) -> Iterator[dict[str, Any]]:
    for chunk in parcel.chunks:
        name, origin = chunk.header.metric, chunk.header.origin
        for seq, t_ns, value in chunk.records():
            told = _event(name, value) if isinstance(value, bytes) else value
            yield {"seq": seq, "t_ns": t_ns, "metric": name, "origin": origin, "value": told}


def _event(kind: str, payload: bytes) -> object:
    """Its fields by name; hex where this version does not know the kind."""
    try:
        return fields(decode(kind, payload))
    except MalformedInputError:
        return payload.hex()

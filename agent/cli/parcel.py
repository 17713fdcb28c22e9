"""`amo-agent parcel`: what was uploaded, listed, checked and opened, by its owner or a buyer."""

import asyncio
import hashlib
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

import click
import msgspec

from agent.amo.market import Buyer
from agent.amo.rpc import RpcClient
from agent.amo.storage import GONE, StorageClient
from agent.cli import EXIT_NOT_SO
from agent.cli.passphrase import PASSPHRASE, of_keys
from agent.cli.show import figures
from agent.cli.walletdesk import AS_JSON, STATE_OPTION, WHERE
from agent.clock import SystemClock
from agent.compose import device_key, tls_trust
from agent.config import Config, load_config
from agent.errors import (
    ConfigError,
    MalformedInputError,
    RefusedError,
    SealError,
    UsageError,
)
from agent.events import ParcelRegistered, decode
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.state import EVENTS, READMODEL
from agent.parcel.chunk import Parcel, open_parcel
from agent.privacy import Level
from agent.wallet.custody import unwrap
from agent.wallet.envelope import decrypt
from agent.wallet.keys import FileKey, key_at, load_keys

_SEQ: Final = "SELECT seq FROM parcel WHERE parcel_id = ?"


@click.group(name="parcel")
def command() -> None:
    """Parcels on the storage service: list, check and open yours, or open one that you bought.

    Example: amo-agent parcel list
    """


@command.command(name="list")
@WHERE
@STATE_OPTION
@AS_JSON
def show_all(config: Path, *, state: Path | None, as_json: bool) -> None:
    """What was uploaded, by the receipts in the log.

    Example: amo-agent parcel list --json
    """
    where = Path(load_config(config).state) if state is None else state
    with _model(where) as (_, model):
        rows = list(model.db.query("SELECT * FROM parcel ORDER BY seq"))
    if as_json:
        click.echo(json.dumps(rows))
        return
    for row in rows:
        events = f"events {row['first_seq']} to {row['last_seq']}"
        click.echo(f"{row['parcel_id']}  Lv{row['level']}  {events}  {row['size_bytes']:,} bytes")


@command.command()
@click.argument("parcel")
@WHERE
@STATE_OPTION
@AS_JSON
@PASSPHRASE
def verify(parcel: str, *, config: Path, state: Path | None, as_json: bool) -> None:
    """Fetch PARCEL and hold it against its receipt: digest, custody, manifest; exit 1 where not so.

    Example: amo-agent parcel verify 00000001AB…
    """
    try:
        found = _ours(load_config(config), config, state, parcel)
        told: dict[str, Any] = {
            "parcel": found.receipt.parcel_id,
            "intact": found.parcel.root == found.receipt.root,
            "records": sum(chunk.header.records for chunk in found.parcel.chunks),
            "metrics": sorted({chunk.header.metric for chunk in found.parcel.chunks}),
        }
    except (SealError, MalformedInputError, RefusedError) as error:
        told = {"parcel": parcel, "intact": False, "reason": str(error)}
    shown = told | {"metrics": ", ".join(told.get("metrics", []))}
    click.echo(json.dumps(told) if as_json else figures(shown))
    sys.exit(0 if told["intact"] else EXIT_NOT_SO)


@command.command(name="open")
@click.argument("parcel")
@WHERE
@STATE_OPTION
@PASSPHRASE
@click.option("--key", "uri", help="A buyer's account key, as file:FILE; then --rpc and --storage.")
@click.option("--rpc", help="Address of a node.")
@click.option("--storage", help="Address of the storage service.")
@click.option("--level", type=click.IntRange(1, 4), default=3, show_default=True)
@click.option("--legacy", is_flag=True, help="Take custody that hides nothing, too.")
def show_records(
    parcel: str,
    *,
    config: Path,
    state: Path | None,
    uri: str | None,
    rpc: str | None,
    storage: str | None,
    level: int,
    legacy: bool,
) -> None:
    """Print every record of PARCEL, one JSON object a line.

    Example: amo-agent parcel open 00000001AB… --key file:me.key --rpc URL --storage URL
    """
    if uri is None:
        opened = _ours(load_config(config), config, state, parcel).parcel
    elif rpc is None or storage is None:
        raise UsageError("--key is a buyer's; --rpc and --storage go with it")
    else:
        opened = _bought(_buyers(uri), parcel, rpc, storage, Level(level), legacy=legacy)
    for line in _records(opened):
        click.echo(line)


class _Found(NamedTuple):
    receipt: ParcelRegistered
    parcel: Parcel


def _ours(config: Config, path: Path, state: Path | None, parcel: str) -> _Found:
    """Raises UsageError for a parcel of which there is no receipt, SealError, RemoteError."""
    where = Path(config.state) if state is None else state
    receipt = _receipt(where, parcel.upper())
    if config.upload is None:
        raise ConfigError(f"{path}: upload: is missing, which names node and storage")
    keys = load_keys(where / "keys", of_keys(where / "keys"), device=device_key(config.keys))
    client = StorageClient(config.upload.storage, trust=tls_trust(config.upload))

    async def fetch() -> bytes:
        async with client:
            return await client.stored(receipt.parcel_id, keys.account)

    try:
        body = asyncio.run(fetch())
    except RefusedError as error:
        if error.code in GONE:
            raise RefusedError(f"{receipt.parcel_id}: is not stored any more") from error
        raise
    if hashlib.sha256(body).digest() != receipt.digest:
        raise SealError(f"{receipt.parcel_id}: another body is stored than was sent")
    level = Level(receipt.parcel_level)
    key = unwrap(receipt.custody, keys.owner, parcel_id=receipt.parcel_id, level=level)
    return _Found(receipt, open_parcel(decrypt(body, key)))


def _receipt(state: Path, parcel: str) -> ParcelRegistered:
    with _model(state) as (log, model):
        for row in model.db.query(_SEQ, [parcel]):
            recorded = next(log.read(row["seq"] - 1, row["seq"]))
            event = decode(recorded.kind, recorded.payload)
            assert isinstance(event, ParcelRegistered)
            return event
    raise UsageError(f"{state}: no parcel {parcel[:80]!r} was uploaded")


@contextmanager
def _model(state: Path) -> Iterator[tuple[LogReader, ReadModel]]:
    """The log and its read model, in memory; also while the agent runs."""
    if not (state / EVENTS).exists():
        raise UsageError(f"{state}: there is no log")
    with LogReader.open(state / EVENTS) as log, ReadModel.copied(state / READMODEL) as model:
        model.catch_up(log)
        yield log, model


def _buyers(uri: str) -> FileKey:
    try:
        key = key_at(uri, "account")
    except ConfigError as error:  # here the URI is not from a configuration
        raise UsageError(str(error)) from error
    if not isinstance(key, FileKey):
        raise UsageError(f"key {uri.partition(':')[0]!r}: a buyer's key is a file here")
    return key


def _bought(
    key: FileKey, parcel: str, rpc: str, storage: str, level: Level, *, legacy: bool
) -> Parcel:
    async def fetch() -> tuple[bytes, bytes]:
        async with RpcClient([rpc], clock=SystemClock()) as node, StorageClient(storage) as store:
            return await Buyer(node, store, key).fetch(parcel)

    body, custody = asyncio.run(fetch())
    data_key = unwrap(custody, key, parcel_id=parcel.upper(), level=level, legacy=legacy)
    return open_parcel(decrypt(body, data_key))


def _records(parcel: Parcel) -> Iterator[str]:
    for chunk in parcel.chunks:
        name, origin = chunk.header.metric, chunk.header.origin
        for seq, t_ns, value in chunk.records():
            told = _event(name, value) if isinstance(value, bytes) else value
            line = {"seq": seq, "t_ns": t_ns, "metric": name, "origin": origin, "value": told}
            yield msgspec.json.encode(line).decode()


def _event(kind: str, payload: bytes) -> object:
    """Its fields in order; hex where this version does not know the kind."""
    try:
        event = decode(kind, payload)
    except MalformedInputError:
        return payload.hex()
    return msgspec.to_builtins(event)

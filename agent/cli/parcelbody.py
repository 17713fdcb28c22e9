"""Where a parcel is taken from: the outbox or the storage service, by its owner or a buyer."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Final, NamedTuple

from agent.amo.market import Buyer
from agent.amo.rpc import RpcClient
from agent.amo.storage import GONE, StorageClient
from agent.cli.passphrase import named, of_keys
from agent.clock import SystemClock
from agent.compose import device_key, tls_trust
from agent.config import load_config
from agent.errors import ConfigError, RefusedError, SealError, UsageError
from agent.events import ParcelRegistered, decode
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.state import EVENTS, READMODEL
from agent.outbox import OUTBOX_ID, load
from agent.parcel.chunk import Parcel, open_parcel
from agent.wallet.custody import unwrap
from agent.wallet.envelope import decrypt, read_head
from agent.wallet.keys import FileKey, Opener, Signer, key_at, load_keys, load_owner

_SEQ: Final = "SELECT seq FROM parcel WHERE parcel_id = ?"


class Found(NamedTuple):
    """
    bound_to: the parcel id that custody is for
    digest, root: those of its receipt; empty for a buyer, who has none
    legacy: whether custody that hides nothing is taken, too
    """

    bound_to: str
    body: bytes
    custody: bytes
    opener: Opener
    digest: bytes = b""
    root: bytes = b""
    legacy: bool = False

    def opened(self) -> Parcel:
        """Raises SealError and MalformedInputError for what is not as it was made."""
        if self.digest and sha256(self.body).digest() != self.digest:
            raise SealError(f"{self.bound_to}: another body is stored than was sent")
        level = read_head(self.body).level
        key = unwrap(
            self.custody, self.opener, parcel_id=self.bound_to, level=level, legacy=self.legacy
        )
        parcel = open_parcel(decrypt(self.body, key))
        if parcel.manifest.level != level:
            raise SealError(f"envelope of Lv{level:d} has a parcel of Lv{parcel.manifest.level:d}")
        if self.root and parcel.root != self.root:
            raise SealError(f"{self.bound_to}: its manifest is not the one that was sent")
        return parcel


@contextmanager
def receipts(state: Path) -> Iterator[tuple[LogReader, ReadModel]]:
    """The log and its read model, in memory; also while the agent runs. Raises UsageError."""
    if not (state / EVENTS).exists():
        raise UsageError(f"{state}: there is no log")
    with LogReader.open(state / EVENTS) as log, ReadModel.copied(state / READMODEL) as model:
        model.catch_up(log)
        yield log, model


def bought(parcel: str, uri: str, rpc: str, storage: str, *, legacy: bool) -> Found:
    """As a buyer, who has the key of an account and nothing of the owner's."""
    key = _buyers(uri)

    async def fetch() -> tuple[bytes, bytes]:
        async with RpcClient([rpc], clock=SystemClock()) as node, StorageClient(storage) as store:
            return await Buyer(node, store, key).fetch(parcel)

    body, custody = asyncio.run(fetch())
    return Found(parcel.upper(), body, custody, key, legacy=legacy)


def waiting(path: Path, state: Path) -> Found:
    """A file of the outbox. Raises UsageError where it is not there, StoreError."""
    if not path.exists():
        raise UsageError(f"{path}: is not waiting any more, or never was")
    entry = load(path)
    owner = load_owner(state / "keys", of_keys(state / "keys"))
    return Found(OUTBOX_ID, entry.body, entry.key, owner, root=entry.root)


def own(parcel: str, path: Path, state: Path) -> Found:
    """One that was uploaded, from the storage service of the configuration at `path`.

    Raises UsageError for a parcel of which there is no receipt, SealError, RemoteError.
    """
    receipt = _receipt(state, parcel.upper())
    device = device_key(load_config(path).keys)
    keys = load_keys(state / "keys", of_keys(state / "keys"), device=device)
    name, digest, root = receipt.parcel_id, receipt.digest, receipt.root
    body = asyncio.run(_stored(name, path, keys.account))
    return Found(name, body, receipt.custody, keys.owner, digest, root)


async def _stored(parcel: str, path: Path, signer: Signer) -> bytes:
    upload = load_config(path).upload
    if upload is None:
        raise ConfigError(f"{path}: upload: is missing, which names node and storage")
    try:
        async with StorageClient(upload.storage, trust=tls_trust(upload)) as storage:
            return await storage.stored(parcel, signer)
    except RefusedError as error:
        if error.code in GONE:
            raise RefusedError(f"{parcel}: is not stored any more", code=error.code) from error
        raise


def _receipt(state: Path, parcel: str) -> ParcelRegistered:
    with receipts(state) as (log, model):
        for row in model.db.query(_SEQ, [parcel]):
            recorded = next(log.read(row["seq"] - 1, row["seq"]))
            event = decode(recorded.kind, recorded.payload)
            assert isinstance(event, ParcelRegistered)
            return event
    raise UsageError(f"{state}: no parcel {parcel[:80]!r} was uploaded")


def _buyers(uri: str) -> FileKey:
    try:
        key = key_at(uri, "account", named())
    except ConfigError as error:  # here the URI is not from a configuration
        raise UsageError(str(error)) from error
    if not isinstance(key, FileKey):
        raise UsageError(f"key {uri.partition(':')[0]!r}: a buyer's key is a file here")
    return key

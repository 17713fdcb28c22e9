"""What may leave this disk: parcels are read back from where they are stored, then bodies go.

Receipts alone prove nothing: a storage service that answered 200 may have lost the body. So each
parcel is fetched once more and held against the digest of what was sent (`ParcelChecked`), and only
then may the bodies of its blocks go. All of it runs beside the recording, in small steps.
"""

import asyncio
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

import structlog

from agent.clock import SECOND, Clock
from agent.errors import LogCorruptError, MalformedInputError, RemoteError
from agent.events import BodiesPruned, ParcelChecked, ParcelRegistered
from agent.eventstore import note
from agent.eventstore.outside import Outside
from agent.eventstore.pruner import Pruner
from agent.eventstore.reader import LogReader
from agent.eventstore.retention import Facts
from agent.eventstore.sqlite import SqliteLog
from agent.record import Journal
from agent.upload import NOT_IN_PARCELS

_log = structlog.get_logger()

EVERY_NS: Final = 3600 * SECOND
HURRY_NS: Final = 600 * SECOND
"""Between two passes while the disk is too full."""


class Storage(Protocol):
    """Where parcels lie. Raises RemoteError."""

    async def stored(self, parcel_id: str) -> bytes | None:
        """The body as it is stored now, whatever it is; None where it is gone."""


class Retainer:
    """
    keep_ns: how long a body stays here in any case
    hurry:   whether the disk is so full that this does not count
    lost:    is told of the parcels that were not found as they were sent
    """

    def __init__(
        self,
        *,
        log: SqliteLog,
        events_db: Path,
        journal: Journal,
        clock: Clock,
        storage: Storage,
        keep_ns: int,
        hurry: Callable[[], bool],
        lost: Callable[[list[ParcelRegistered]], None],
    ) -> None:
        self._path = events_db
        self._journal = journal
        self._clock = clock
        self._storage = storage
        self._keep_ns = keep_ns
        self._hurry = hurry
        self._lost = lost
        self._outside = Outside()
        self._pruner = Pruner(log, events_db, self._announce)
        self._last_ns: int | None = None

    async def once(self) -> int:
        """How many bodies went. Does nothing before the next pass is due. Raises StoreError.

        A log that is damaged loses nothing here: what cannot be read might be what has to stay.
        """
        now_ns = self._clock.mono_ns()
        every_ns = HURRY_NS if self._hurry() else EVERY_NS
        if self._last_ns is not None and now_ns - self._last_ns < every_ns:
            return 0
        self._last_ns = now_ns
        try:
            return await self._pass()
        except (LogCorruptError, MalformedInputError) as error:
            _log.warning("nothing is pruned", reason=str(error))
            return 0

    async def _pass(self) -> int:
        await self._catch_up()
        try:
            for receipt in self._outside.due():
                await self._read_back(receipt)
        except RemoteError as error:
            _log.warning("parcels are not read back", reason=str(error))
        await self._catch_up()
        self._lost(self._outside.lost())
        pruning = self._pruner.prune(await asyncio.to_thread(self._facts))
        gone = 0
        while (went := await asyncio.to_thread(next, pruning, None)) is not None:
            gone += went
        return gone

    async def _catch_up(self) -> None:
        await asyncio.to_thread(self._journal.flush)
        while not await asyncio.to_thread(self._catch_up_some):
            pass

    def _catch_up_some(self) -> bool:
        with LogReader.open(self._path) as reader:
            return self._outside.catch_up(reader)

    async def _read_back(self, receipt: ParcelRegistered) -> None:
        body = await self._storage.stored(receipt.parcel_id)
        equal = body is not None and await asyncio.to_thread(_digest, body) == receipt.digest
        if not equal:
            what = "gone" if body is None else "not what was sent"
            _log.warning("stored parcel is lost", parcel=receipt.parcel_id, body=what)
        checked = (receipt.parcel_id, receipt.parcel_level, receipt.first_seq, receipt.last_seq)
        self._journal.write(ParcelChecked(*checked, equal))

    def _facts(self) -> Facts:
        with LogReader.open(self._path) as reader:
            seal = reader.last_seal()
        return Facts(
            sealed=0 if seal is None else note.decode(seal.note).size,
            now_ns=self._clock.now_ns(),
            keep_ns=0 if self._hurry() else self._keep_ns,
            stored=self._outside.stored(),
            held=self._outside.held,
            nowhere=NOT_IN_PARCELS,
        )

    def _announce(self, event: BodiesPruned) -> None:
        self._journal.write(event)
        self._journal.flush()


def _digest(body: bytes) -> bytes:
    return sha256(body).digest()

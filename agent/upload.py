"""Outward: a range of the log -> parcel -> encrypted body -> storage and ledger -> receipt.

The log is the only buffer. Where the uploader stands is the fold of its receipts
(`ParcelRegistered`), so a restart loses nothing and sends nothing twice. A body is written to the
outbox before it is sent: after a crash the same bytes go out again under the same parcel id,
instead of a second parcel with the same content.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import Protocol

import structlog

from agent.errors import ErasedError, SealError, StoreError
from agent.events import (
    BodiesPruned,
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    EndpointDoubted,
    ErasureBegun,
    ErasureDone,
    FundsShort,
    HeaderTrusted,
    LogChecked,
    LogContinued,
    LogSealed,
    ParcelChecked,
    ParcelRegistered,
    PolicySet,
    RangeHeld,
    RangeReleased,
    TailLost,
    TxEnded,
    TxRepeated,
    TxSigned,
)
from agent.eventstore.anchor import Anchor
from agent.eventstore.log import EventLog, Recorded
from agent.outbox import OUTBOX_ID, Waiting, load, put
from agent.parcel.chunk import build, open_parcel
from agent.parcel.series import Row
from agent.privacy import Level, sealed
from agent.record import Journal
from agent.wallet.custody import unwrap, wrap
from agent.wallet.envelope import encrypt
from agent.wallet.keys import Opener

_log = structlog.get_logger()

PARCEL_EVENTS = 20_000
PARCEL_BYTES = 8 * 1024 * 1024
"""A parcel is cut at the first of these; our choice, so that a Pi builds one in 100 MB."""
NOT_IN_PARCELS = frozenset(
    event.kind
    for event in (
        ParcelRegistered,
        ParcelChecked,
        ConsentRequested,
        ConsentGranted,
        ConsentRefused,
        ConsentRevoked,
        PolicySet,
        LogChecked,
        LogContinued,
        TailLost,
        LogSealed,
        BodiesPruned,
        ErasureBegun,
        ErasureDone,
        RangeHeld,
        RangeReleased,
        TxSigned,
        TxEnded,
        TxRepeated,
        FundsShort,
        EndpointDoubted,
        HeaderTrusted,
    )
)
"""Books of wallet and log: no buyer's business, and a parcel of receipts would need a receipt."""


class Registered(Protocol):
    @property
    def parcel_id(self) -> str: ...

    @property
    def tx_hash(self) -> str: ...

    @property
    def height(self) -> int: ...


class Market(Protocol):
    """Storage service and ledger of the far side. Raises RemoteError and its children."""

    async def register(
        self, body: bytes, wrap: Callable[[str], bytes], extra: Mapping[str, object]
    ) -> Registered:
        """Upload the body, then register it under the custody that `wrap(parcel id)` gives."""


Open = Callable[[Level, str, bytes], bytes]
"""(level, kind, sealed payload) -> payload in clear. Raises SealError."""


class Uploader:
    """
    key:      the owner's key, which opens Lv1 and Lv2 and to which every parcel is wrapped
    anchor:   the last seal of the log; None while there is none
    receipts: those of all uploads so far, in order
    """

    def __init__(
        self,
        *,
        log: EventLog,
        journal: Journal,
        open_sealed: Open,
        key: Opener,
        market: Market,
        outbox: Path,
        anchor: Callable[[], Anchor | None],
        receipts: Iterable[ParcelRegistered],
    ) -> None:
        self._log = log
        self._journal = journal
        self._open = open_sealed
        self._key = key
        self._market = market
        self._outbox = outbox
        self._anchor = anchor
        self._lost: dict[str, ParcelRegistered] = {}
        self._previous: dict[tuple[int, int], bytes | None] = {}
        self._through = dict.fromkeys(Level, 0)
        self._root: dict[Level, bytes | None] = dict.fromkeys(Level)
        self._one = asyncio.Lock()
        for receipt in receipts:
            self._count(receipt)

    def again(self, lost: Iterable[ParcelRegistered]) -> None:
        """The bodies of these are lost: what is left of them is packed and sent once more."""
        self._lost |= {receipt.parcel_id: receipt for receipt in lost}

    async def once(self, levels: Iterable[Level]) -> list[ParcelRegistered]:
        """Send everything of these levels that the log holds now; one call at a time.

        Raises RemoteError at once, and SealError for a level of which an event does not open, when
        the others are sent.
        """
        async with self._one:
            return await self._once(levels)

    async def _once(self, levels: Iterable[Level]) -> list[ParcelRegistered]:
        await asyncio.to_thread(self._journal.flush)
        head = self._log.head().seq
        done = [await self._send(path) for path in self._unsent()]
        for name, receipt in list(self._lost.items()):
            path = await asyncio.to_thread(self._pack_again, receipt)
            if path is not None:
                done.append(await self._send(path))
            del self._lost[name]
        closed: SealError | None = None
        for level in levels:
            try:
                done += await self._send_new(level, head)
            except SealError as error:
                closed = error
        if closed is not None:
            raise closed
        return done

    async def _send_new(self, level: Level, head: int) -> list[ParcelRegistered]:
        done = []
        while self._through[level] < head:
            path = await asyncio.to_thread(self._pack_next, level, head)
            if path is not None:
                done.append(await self._send(path))
        return done

    def _pack_next(self, level: Level, head: int) -> Path | None:
        """The next parcel of a level, in the outbox; None where the range holds none of it."""
        first = self._through[level] + 1
        rows, last = self._rows(level, first, head)
        if not rows:
            self._through[level] = last
            return None
        return self._pack(level, rows, first, last, self._root[level])

    def _pack_again(self, receipt: ParcelRegistered) -> Path | None:
        """The parcel of a receipt anew, in the outbox; None where nothing of it is left here."""
        level, first = Level(receipt.parcel_level), receipt.first_seq
        rows, last = self._rows(level, first, receipt.last_seq)
        if not rows:
            return None
        return self._pack(level, rows, first, last, self._previous[level, first])

    def _pack(
        self, level: Level, rows: list[Row], first: int, last: int, previous: bytes | None
    ) -> Path:
        plain = build(
            rows,
            device=self._log.log_id,
            level=level,
            first_seq=first,
            last_seq=last,
            previous=previous,
        )
        body, data_key = encrypt(plain, level=level, header=b"")
        key = wrap(data_key, self._key.public, parcel_id=OUTBOX_ID, level=level)
        entry = Waiting(level, first, last, open_parcel(plain).root, body, key)
        return put(self._outbox, entry)

    def _rows(self, level: Level, first: int, head: int) -> tuple[list[Row], int]:
        rows: list[Row] = []
        size = 0
        last = head
        for event in self._log.read(after=first - 1):
            if event.seq > head or len(rows) >= PARCEL_EVENTS or size >= PARCEL_BYTES:
                last = event.seq - 1
                break
            if event.level == level and event.kind not in NOT_IN_PARCELS:
                rows += self._row(event)
                size += len(event.payload)
        return rows, last

    def _row(self, event: Recorded) -> list[Row]:
        """One row, or none where the owner had the event erased."""
        level = Level(event.level)
        payload = event.payload
        try:
            if sealed(level):
                payload = self._open(level, event.kind, payload)
        except ErasedError:
            return []
        return [(event.seq, event.t_ns, event.kind, payload)]

    async def _send(self, path: Path) -> ParcelRegistered:
        entry = load(path)
        level = entry.level
        data_key = unwrap(entry.key, self._key, parcel_id=OUTBOX_ID, level=level)
        custody = b""

        def custody_for(parcel_id: str) -> bytes:
            nonlocal custody
            custody = wrap(data_key, self._key.public, parcel_id=parcel_id, level=level)
            return custody

        anchor = await asyncio.to_thread(self._anchor)
        answer = await self._market.register(entry.body, custody_for, self._extra(level, anchor))
        receipt = ParcelRegistered(
            answer.parcel_id,
            int(level),
            entry.first,
            entry.last,
            len(entry.body),
            answer.tx_hash,
            answer.height,
            custody,
            entry.root,
            sha256(entry.body).digest(),
            *(anchor or (0, b"")),
        )
        self._journal.write(receipt)
        await asyncio.to_thread(self._journal.flush)
        self._sent(path, receipt)
        return receipt

    def _extra(self, level: Level, anchor: Anchor | None) -> dict[str, object]:
        """What everybody may read on the chain: it bears witness to the log so far."""
        known: dict[str, object] = {"amo-agent": 1, "level": int(level)}
        if anchor is None:
            head = self._log.head()
            return known | {"head_seq": head.seq, "head": head.hash.hex()}
        return known | {"seal": anchor.no, "note": anchor.digest.hex()}

    def _unsent(self) -> list[Path]:
        """Bodies that a crash left behind, but those whose receipt is in the log already.

        A file that cannot be read is set aside: its range is packed again from the log.
        """
        unsent = []
        for path in sorted(self._outbox.glob("*.parcel")):
            try:
                entry = load(path)
            except StoreError as error:
                _log.warning("outbox file set aside", reason=str(error))
                path.rename(path.with_suffix(".broken"))
                continue
            if entry.last <= self._through[entry.level]:
                path.unlink()
            else:
                unsent.append(path)
        return unsent

    def _sent(self, path: Path, receipt: ParcelRegistered) -> None:
        self._count(receipt)
        path.unlink()

    def _count(self, receipt: ParcelRegistered) -> None:
        level = Level(receipt.parcel_level)
        if receipt.last_seq <= self._through[level]:  # sent once more: later ones link to the first
            return
        self._previous[level, receipt.first_seq] = self._root[level]
        self._through[level] = receipt.last_seq
        self._root[level] = receipt.root

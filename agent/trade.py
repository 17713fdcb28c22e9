"""The owner's side of a sale: requests come in, a decision is taken, a grant goes out.

Nothing is granted here without a decision handed in, by the owner or by a rule of his. Each
request, decision and transaction becomes an event before and after the far side is asked, so that
the log tells who was let in, when, and by whom.
"""

import asyncio
from collections.abc import Collection, Sequence
from typing import Protocol

from agent.events import (
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    ParcelRegistered,
)
from agent.privacy import Level
from agent.record import Journal
from agent.wallet.consent import Request
from agent.wallet.grant import grant
from agent.wallet.keys import Opener


class Asked(Protocol):
    """A request as the ledger has it; the public key comes from the signed request itself."""

    @property
    def buyer(self) -> str: ...

    @property
    def buyer_public(self) -> bytes: ...

    @property
    def payment_mote(self) -> int: ...


class Ledger(Protocol):
    """The far side. Raises RemoteError and its children."""

    async def requests(self, parcel_id: str) -> Sequence[Asked]: ...

    async def grant(self, parcel_id: str, buyer: str, custody: bytes) -> str:
        """Return the hash of the transaction once it is in a block."""

    async def revoke(self, parcel_id: str, buyer: str) -> str: ...


class Trade:
    """
    key:         the owner's key, which opens his own custody of a parcel
    own_publics: keys of this wallet, which are never a buyer's
    """

    def __init__(
        self,
        *,
        journal: Journal,
        ledger: Ledger,
        key: Opener,
        own_publics: Collection[bytes],
    ) -> None:
        self._journal = journal
        self._ledger = ledger
        self._key = key
        self._own_publics = own_publics
        self._known: set[tuple[str, str]] = set()

    async def requests(self, parcel: ParcelRegistered) -> list[Request]:
        """What buyers ask of one parcel now; each request is recorded once."""
        found = [
            Request(
                parcel_id=parcel.parcel_id,
                level=Level(parcel.parcel_level),
                buyer_address=asked.buyer,
                buyer_public=asked.buyer_public,
                payment_mote=asked.payment_mote,
            )
            for asked in await self._ledger.requests(parcel.parcel_id)
        ]
        for request in found:
            key = (request.parcel_id, request.buyer_address)
            if key not in self._known:
                self._known.add(key)
                self._journal.write(ConsentRequested(*key, str(request.payment_mote)))
        return found

    async def grant(self, parcel: ParcelRegistered, request: Request, *, by: str) -> str:
        """Let one buyer read one parcel; the hash of the grant.

        Raises SealError for a buyer whose key cannot be used, RemoteError from the far side.
        """
        custody = grant(parcel.custody, self._key, request, own_publics=self._own_publics)
        tx_hash = await self._ledger.grant(request.parcel_id, request.buyer_address, custody)
        event = ConsentGranted(request.parcel_id, request.buyer_address, by, tx_hash)
        self._journal.write(event)
        await asyncio.to_thread(self._journal.flush)
        return tx_hash

    def refuse(self, request: Request, *, by: str) -> None:
        """Say no. Nothing is sent; the buyer may take the payment back by `cancel`."""
        self._journal.write(ConsentRefused(request.parcel_id, request.buyer_address, by))
        self._journal.flush()

    async def revoke(self, parcel_id: str, buyer: str) -> str:
        """Take a grant back. What the buyer opened before cannot be recalled."""
        tx_hash = await self._ledger.revoke(parcel_id, buyer)
        self._journal.write(ConsentRevoked(parcel_id, buyer, tx_hash))
        await asyncio.to_thread(self._journal.flush)
        return tx_hash

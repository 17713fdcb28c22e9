"""Requests of buyers: found on the ledger, recorded once, and what is said to each."""

import asyncio
from typing import Final

import msgspec

from agent.books import NOTHING, Books, Consents
from agent.errors import UsageError
from agent.events import ConsentRefused, ConsentRequested, ParcelRegistered
from agent.farside import Ledger, Pending
from agent.judge import Asked, Judge
from agent.outgoing import Outgoing
from agent.record import Journal
from agent.wallet.consent import Decision, Request, Verdict

WALLET: Final = "wallet"
"""Who refuses a request that cannot be granted at all (agent.wallet.consent)."""


class Asking(msgspec.Struct, frozen=True):
    """What a buyer asks for, and what would be given away.

    kinds: names of signals, and kinds of other events
    since_ns, until_ns: UTC; None where nothing of it is left here
    verdict: "granted", "refused" or "ask"; by: who decided, "" while nobody did
    """

    parcel_id: str
    level: int
    buyer: str
    payment_mote: str
    first_seq: int
    last_seq: int
    since_ns: int | None
    until_ns: int | None
    kinds: list[str]
    verdict: str
    by: str


class Requests:
    """Of the owner's parcels."""

    def __init__(
        self, *, books: Books, judge: Judge, journal: Journal, ledger: Ledger, outgoing: Outgoing
    ) -> None:
        self._books = books
        self._judge = judge
        self._journal = journal
        self._ledger = ledger
        self._outgoing = outgoing

    async def every(self) -> list[Asking]:
        """Of the newest parcels."""
        parcels = await asyncio.to_thread(self._books.parcels)
        return [asking for parcel in parcels for asking in await self.of(parcel)]

    async def of(self, parcel: ParcelRegistered) -> list[Asking]:
        found = await self._ledger.requests(parcel.parcel_id)
        if not found:
            return []
        told = await asyncio.to_thread(self._books.consents, parcel.parcel_id)
        return [await self._asking(parcel, asked, told) for asked in found]

    async def _record(
        self, parcel: ParcelRegistered, asked: Pending, told: Consents
    ) -> tuple[str, str]:
        """A new request, or one on other terms, once; what was decided on it and by whom."""
        state, by, offered = told.get(asked.buyer, NOTHING)
        paid = str(asked.payment_mote)
        if offered == paid and state in ("requested", "refused"):
            return state, by
        await self._journal.note(ConsentRequested(parcel.parcel_id, asked.buyer, paid))
        return "requested", ""

    async def _asking(self, parcel: ParcelRegistered, asked: Pending, told: Consents) -> Asking:
        state, by = await self._record(parcel, asked, told)
        verdict = Verdict.REFUSED
        if state != "refused" or by == WALLET:  # the key of a buyer may be found later
            decision = await self._decide(await self.request(parcel, asked))
            verdict, by = decision.verdict, decision.by
            if verdict is Verdict.REFUSED and state != "refused":
                await self._journal.note(ConsentRefused(parcel.parcel_id, asked.buyer, by))
        content = await asyncio.to_thread(self._judge.content, parcel)
        return Asking(
            parcel.parcel_id,
            parcel.parcel_level,
            asked.buyer,
            str(asked.payment_mote),
            parcel.first_seq,
            parcel.last_seq,
            content.since_ns,
            content.until_ns,
            sorted(content.kinds),
            verdict.value,
            by,
        )

    async def request(self, parcel: ParcelRegistered, asked: Pending) -> Request:
        found = Asked(asked.buyer, asked.buyer_public, asked.payment_mote)
        return await asyncio.to_thread(self._judge.request, parcel, found)

    async def _decide(self, request: Request) -> Decision:
        return await asyncio.to_thread(self._judge.decide, request, self._outgoing.pending())

    async def expect_granted(self, request: Request, by: str) -> None:
        """The rule may have granted all it may meanwhile, or be none any more."""
        decision = await self._decide(request)
        if (decision.verdict, decision.by) != (Verdict.GRANTED, by):
            raise UsageError(f"parcel {request.parcel_id}: rule {by!r} grants it no more")

    async def expect_same(self, parcel: ParcelRegistered, asked: Pending) -> None:
        """A buyer can take a request back and offer less; what was decided is not for that."""
        told = await asyncio.to_thread(self._books.consents, parcel.parcel_id)
        _, _, offered = told.get(asked.buyer, NOTHING)
        await self._record(parcel, asked, told)
        if offered not in ("", str(asked.payment_mote)):
            raise UsageError(
                f"parcel {parcel.parcel_id}: buyer {asked.buyer} offers {asked.payment_mote} mote"
                f" now, not {offered}; decide again"
            )

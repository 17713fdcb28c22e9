"""The owner's desk: coins, requests and consent, for the service and for whoever asks it.

Nothing is granted without a decision, by the owner or by a rule of his, and nobody but the owner
grants Lv1. What is decided and cannot be done yet, for lack of coins or of a node, is kept in the
log and tried again.
"""

import asyncio
import secrets
from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec
import structlog

from agent.books import OWNER, Books, Happened
from agent.contents import Contents
from agent.errors import (
    AlreadyDoneError,
    RefusedError,
    SealError,
    UsageError,
)
from agent.events import (
    ConsentGranted,
    ConsentRefused,
    ConsentRequested,
    ConsentRevoked,
    Event,
    FundsShort,
    ParcelRegistered,
    TxSigned,
)
from agent.outgoing import ONE_ENDPOINT, Outgoing, Sent
from agent.privacy import Level
from agent.record import Journal
from agent.replays import Watch
from agent.wallet.address import address
from agent.wallet.consent import Policy, Request, Verdict, decide
from agent.wallet.grant import grant
from agent.wallet.keys import Keys

_log = structlog.get_logger()

_GRANTED = 8
"""Result code of the chain: the parcel is granted to this buyer already."""
_ALARM = "balance"


class Asked(Protocol):
    """A request as the ledger has it; the public key comes from the signed request itself."""

    @property
    def buyer(self) -> str: ...

    @property
    def buyer_public(self) -> bytes: ...

    @property
    def payment_mote(self) -> int: ...


class Done(Protocol):
    """A transaction that was executed; as Sent."""

    @property
    def hash(self) -> str: ...

    @property
    def height(self) -> int: ...

    @property
    def proof(self) -> str: ...


class Ledger(Protocol):
    """The far side. Raises RemoteError and its children."""

    async def balance(self) -> int: ...

    async def requests(self, parcel_id: str) -> Sequence[Asked]: ...

    async def granted(self, parcel_id: str, buyer: str) -> bool: ...

    async def grant(
        self, parcel_id: str, buyer: str, custody: bytes, *, payment: int, by: str
    ) -> Done: ...

    async def revoke(self, parcel_id: str, buyer: str) -> Done: ...

    async def transfer(self, to: str, mote: int, *, once: str) -> Done: ...


class Shown(msgspec.Struct, frozen=True):
    """keys: use -> where it lies; protected: whether a passphrase guards every key file."""

    address: str
    public: str
    keys: dict[str, str]
    protected: bool


class Balance(msgspec.Struct, frozen=True):
    """mote: decimal text; believed: who says so."""

    mote: str
    believed: str


class Asking(msgspec.Struct, frozen=True):
    """What a buyer asks for, and what would be given away.

    kinds: names of signals, and kinds of other events; times in UTC ns
    verdict: "granted", "refused" or "ask"; by: who decided, "" while nobody did
    """

    parcel_id: str
    level: int
    buyer: str
    payment_mote: str
    first_seq: int
    last_seq: int
    since_ns: int
    until_ns: int
    kinds: list[str]
    verdict: str
    by: str


class Desk:
    """policy: the owner's rules; alarm_mote: the owner is told of a balance below it."""

    def __init__(
        self,
        *,
        books: Books,
        contents: Contents,
        journal: Journal,
        outgoing: Outgoing,
        ledger: Ledger,
        watch: Watch,
        keys: Keys,
        policy: Policy,
        alarm_mote: int = 0,
    ) -> None:
        self._books = books
        self._contents = contents
        self._journal = journal
        self._outgoing = outgoing
        self._ledger = ledger
        self._watch = watch
        self._keys = keys
        self._policy = policy
        self._alarm_mote = alarm_mote
        self._alarmed = False

    def show(self) -> Shown:
        keys, account = self._keys, self._keys.account
        lie = {"account": str(account.custody), "device": str(keys.device.custody)}
        return Shown(address(account.public), account.public.hex().upper(), lie, keys.protected)

    async def balance(self) -> Balance:
        return Balance(str(await self._ledger.balance()), ONE_ENDPOINT)

    async def transfer(self, to: str, mote: int) -> Sent:
        """Raises UsageError for what cannot be sent, and as Outgoing.submit."""
        once = f"transfer:{secrets.token_hex(8)}"
        return _sent(await self._ledger.transfer(to, mote, once=once))

    async def requests(self) -> list[Asking]:
        """What buyers ask for now, of the newest parcels; each request is recorded once."""
        parcels = await asyncio.to_thread(self._books.parcels)
        return [asking for parcel in parcels for asking in await self._asked(parcel)]

    async def grant(self, parcel_id: str, buyer: str) -> Sent:
        """Let one buyer read one parcel, because the owner says so.

        Raises UsageError where there is nothing to grant, SealError for a buyer whose key cannot
        be used, AlreadyDoneError, and as Outgoing.submit. For lack of coins, NotEnoughFundsError:
        the decision is kept and the grant is made when there are enough.
        """
        return await self._grant(parcel_id, buyer.upper(), OWNER)

    async def refuse(self, parcel_id: str, buyer: str) -> None:
        """Say no. Nothing is sent; the buyer may take the payment back by `cancel`."""
        await asyncio.to_thread(self._parcel, parcel_id)
        await self._note(ConsentRefused(parcel_id, buyer.upper(), OWNER))

    async def revoke(self, parcel_id: str, buyer: str) -> Sent:
        """Take a grant back. What the buyer opened before cannot be recalled."""
        done = await self._ledger.revoke(parcel_id, buyer.upper())
        await self._book()
        return _sent(done)

    def history(self) -> list[Happened]:
        """What happened to coins and parcels, the newest first."""
        return self._books.history()

    async def once(self) -> None:
        """The service's turn: what is under way, copies by others, requests, the owner's rules."""
        await self._outgoing.resume()
        await self._book()
        await self._watch.once()
        await self._alarm()
        for parcel_id, buyer in await asyncio.to_thread(self._books.waiting_grants):
            await self._try(parcel_id, buyer, OWNER)
        for asking in await self.requests():
            if asking.verdict == Verdict.GRANTED.value:
                await self._try(asking.parcel_id, asking.buyer, asking.by)

    async def _try(self, parcel_id: str, buyer: str, by: str) -> None:
        """One that cannot be granted now does not keep the others from it."""
        try:
            await self._grant(parcel_id, buyer, by)
        except (RefusedError, SealError, UsageError) as error:
            _log.warning("not granted", parcel=parcel_id, buyer=buyer, reason=str(error))

    async def _grant(self, parcel_id: str, buyer: str, by: str) -> Sent:
        parcel = await asyncio.to_thread(self._parcel, parcel_id)
        if by != OWNER and parcel.parcel_level == Level.LV1:
            raise SealError(f"rule {by!r} grants Lv1; only the owner can")
        found = await self._ledger.requests(parcel_id)
        asked = next((asked for asked in found if asked.buyer == buyer), None)
        if asked is None:
            await self._outgoing.resume()
            await self._book()
            if await self._ledger.granted(parcel_id, buyer):
                raise AlreadyDoneError(f"parcel {parcel_id}: granted already", code=_GRANTED)
            raise UsageError(f"parcel {parcel_id}: buyer {buyer[:40]} asks for nothing")
        await self._expect_same(parcel, asked)
        sent = await self._send(parcel, self._request(parcel, asked), by)
        await self._book()
        return sent

    async def _expect_same(self, parcel: ParcelRegistered, asked: Asked) -> None:
        """A buyer can take a request back and offer less; what was decided is not for that."""
        offered = (await self._consent(parcel, asked.buyer))[2]
        await self._record(parcel, asked)
        if offered not in ("", str(asked.payment_mote)):
            raise UsageError(
                f"parcel {parcel.parcel_id}: buyer {asked.buyer} offers {asked.payment_mote} mote"
                f" now, not {offered}; decide again"
            )

    async def _send(self, parcel: ParcelRegistered, request: Request, by: str) -> Sent:
        custody = grant(parcel.custody, self._keys.owner, request, own_publics=self._own())
        paid = request.payment_mote
        buyer = request.buyer_address
        return _sent(
            await self._ledger.grant(parcel.parcel_id, buyer, custody, payment=paid, by=by)
        )

    def _parcel(self, parcel_id: str) -> ParcelRegistered:
        parcel = self._books.parcel(parcel_id)
        if parcel is None:
            raise UsageError(f"parcel {parcel_id[:80]} is none of ours")
        return parcel

    def _own(self) -> Collection[bytes]:
        keys = self._keys
        return keys.account.public, keys.device.public, keys.owner.public

    @staticmethod
    def _request(parcel: ParcelRegistered, asked: Asked) -> Request:
        return Request(
            parcel_id=parcel.parcel_id,
            level=Level(parcel.parcel_level),
            buyer_address=asked.buyer,
            buyer_public=asked.buyer_public,
            payment_mote=asked.payment_mote,
        )

    async def _asked(self, parcel: ParcelRegistered) -> list[Asking]:
        found = await self._ledger.requests(parcel.parcel_id)
        return [await self._asking(parcel, asked) for asked in found]

    async def _consent(self, parcel: ParcelRegistered, buyer: str) -> tuple[str, str, str]:
        found = await asyncio.to_thread(self._books.consents, parcel.parcel_id)
        return found.get(buyer, ("", "", ""))

    async def _record(self, parcel: ParcelRegistered, asked: Asked) -> tuple[str, str]:
        """A new request, or one on other terms, once; what was decided on it and by whom."""
        state, by, offered = await self._consent(parcel, asked.buyer)
        paid = str(asked.payment_mote)
        if offered == paid and state in ("requested", "refused"):
            return state, by
        await self._note(ConsentRequested(parcel.parcel_id, asked.buyer, paid))
        return "requested", ""

    async def _asking(self, parcel: ParcelRegistered, asked: Asked) -> Asking:
        state, by = await self._record(parcel, asked)
        verdict = Verdict.REFUSED
        if state != "refused":
            decision = decide(self._request(parcel, asked), self._policy)
            verdict, by = decision.verdict, decision.by
            if verdict is Verdict.REFUSED:
                await self._note(ConsentRefused(parcel.parcel_id, asked.buyer, by))
        content = await asyncio.to_thread(self._contents.of, parcel)
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

    async def _book(self) -> None:
        """A consent event for each grant and revocation that is in a block."""
        for signed in await asyncio.to_thread(self._books.unbooked):
            await self._note(_consent(signed))

    async def _alarm(self) -> None:
        """Once for each time that the balance falls below what the owner wants to have."""
        if not self._alarm_mote:
            return
        balance = await self._ledger.balance()
        short = balance < self._alarm_mote
        if short and not self._alarmed:
            _log.warning("balance is low", mote=balance, alarm_mote=self._alarm_mote)
            await self._note(FundsShort(str(self._alarm_mote), str(balance), _ALARM, "alarm"))
        self._alarmed = short

    async def _note(self, event: Event) -> None:
        self._journal.write(event)
        await asyncio.to_thread(self._journal.flush)


def _consent(signed: TxSigned) -> Event:
    _, parcel_id, buyer = signed.once.split(":")
    if signed.tx_kind == "grant":
        return ConsentGranted(parcel_id, buyer, signed.by, signed.hash)
    return ConsentRevoked(parcel_id, buyer, signed.hash)


def _sent(done: Done) -> Sent:
    return Sent(done.hash, done.height, done.proof)

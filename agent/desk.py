"""The owner's desk: coins, requests and consent, for the service and for whoever asks it.

Nothing is granted without a decision, by the owner or by a rule of his, and nobody but the owner
grants Lv1. What is decided and cannot be done yet, for lack of coins or of a node, is kept in the
log and tried again.
"""

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Collection

import msgspec
import structlog

from agent.books import OWNER, Books, Happened
from agent.errors import AlreadyDoneError, RefusedError, SealError, UsageError
from agent.events import (
    ConsentGranted,
    ConsentRefused,
    ConsentRevoked,
    Event,
    FundsShort,
    ParcelRegistered,
    TxSigned,
)
from agent.farside import ONE_ENDPOINT, Done, Ledger
from agent.judge import Judge
from agent.outgoing import Outgoing, Sent
from agent.privacy import Level
from agent.record import Journal
from agent.replays import Watch
from agent.requests import Asking, Requests
from agent.wallet.address import address
from agent.wallet.consent import Request, Verdict
from agent.wallet.grant import grant
from agent.wallet.keys import Keys

_log = structlog.get_logger()

_GRANTED = 8
"""Result code of the chain: the parcel is granted to this buyer already."""
_ALARM = "balance"


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


class Desk:
    """
    alarm_mote: the owner is told of a balance below it
    coins: the balance in mote as several endpoints state it, and the words for how many do
    """

    def __init__(  # noqa: PLR0913 - wired in one place
        self,
        *,
        books: Books,
        judge: Judge,
        journal: Journal,
        outgoing: Outgoing,
        ledger: Ledger,
        watch: Watch,
        keys: Keys,
        alarm_mote: int = 0,
        coins: Callable[[], Awaitable[tuple[int, str]]] | None = None,
    ) -> None:
        self._books = books
        self._judge = judge
        self._requests = Requests(
            books=books, judge=judge, journal=journal, ledger=ledger, outgoing=outgoing
        )
        self._journal = journal
        self._outgoing = outgoing
        self._ledger = ledger
        self._watch = watch
        self._keys = keys
        self._alarm_mote = alarm_mote
        self._coins = coins
        self._alarmed = False
        self._one = asyncio.Lock()

    def show(self) -> Shown:
        keys, account = self._keys, self._keys.account
        lie = {"account": str(account.custody), "device": str(keys.device.custody)}
        return Shown(address(account.public), account.public.hex().upper(), lie, keys.protected)

    async def balance(self) -> Balance:
        """Raises RemoteError, also where endpoints contradict each other."""
        if self._coins is None:
            return Balance(str(await self._ledger.balance()), ONE_ENDPOINT)
        mote, believed = await self._coins()
        return Balance(str(mote), believed)

    async def transfer(self, to: str, mote: int) -> Sent:
        """Raises UsageError for what cannot be sent, and as Outgoing.submit."""
        once = f"transfer:{secrets.token_hex(8)}"
        return _sent(await self._ledger.transfer(to, mote, once=once))

    async def requests(self) -> list[Asking]:
        """What buyers ask for now, of the newest parcels; each request is recorded once."""
        return await self._requests.every()

    async def grant(self, parcel_id: str, buyer: str) -> Sent:
        """Let one buyer read one parcel, because the owner says so.

        Raises UsageError where there is nothing to grant, SealError for a buyer whose key cannot
        be used, AlreadyDoneError, and as Outgoing.submit. For lack of coins, NotEnoughFundsError:
        the decision is kept and the grant is made when there are enough.
        """
        return await self._grant(parcel_id.upper(), buyer.upper(), OWNER)

    async def refuse(self, parcel_id: str, buyer: str) -> None:
        """Say no. Nothing is sent; the buyer may take the payment back by `cancel`."""
        parcel = await asyncio.to_thread(self._parcel, parcel_id.upper())
        await self._journal.note(ConsentRefused(parcel.parcel_id, buyer.upper(), OWNER))

    async def revoke(self, parcel_id: str, buyer: str) -> Sent:
        """Take a grant back. What the buyer opened before cannot be recalled."""
        parcel = await asyncio.to_thread(self._parcel, parcel_id.upper())
        done = await self._ledger.revoke(parcel.parcel_id, buyer.upper())
        await self._book()
        return _sent(done)

    def history(self) -> list[Happened]:
        """What happened to coins and parcels, the newest first."""
        return self._books.history()

    def policy(self) -> str:
        """The owner's rules, as text. Raises SealError."""
        return self._judge.policy()

    def set_policy(self, toml: str) -> None:
        """These rules hold from now on. Raises ConfigError."""
        self._judge.set_policy(toml)

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
        """One at a time: what a rule may still grant depends on what it granted."""
        async with self._one:
            sent = await self._grant_alone(parcel_id, buyer, by)
            await self._book()
        return sent

    async def _grant_alone(self, parcel_id: str, buyer: str, by: str) -> Sent:
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
        await self._requests.expect_same(parcel, asked)
        request = await self._requests.request(parcel, asked)
        if by != OWNER:
            await self._requests.expect_granted(request, by)
        return await self._send(parcel, request, by)

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

    async def _book(self) -> None:
        """A consent event for each grant and revocation that is in a block."""
        for signed in await asyncio.to_thread(self._books.unbooked):
            await self._journal.note(_consent(signed))

    async def _alarm(self) -> None:
        """Once for each time that the balance falls below what the owner wants to have."""
        if not self._alarm_mote:
            return
        balance = await self._ledger.balance()
        short = balance < self._alarm_mote
        if short and not self._alarmed:
            _log.warning("balance is low", mote=balance, alarm_mote=self._alarm_mote)
            event = FundsShort(str(self._alarm_mote), str(balance), _ALARM, _ALARM)
            await self._journal.note(event)
        self._alarmed = short


def _consent(signed: TxSigned) -> Event:
    _, parcel_id, buyer = signed.once.split(":")
    if signed.tx_kind == "grant":
        return ConsentGranted(parcel_id, buyer, signed.by, signed.hash)
    return ConsentRevoked(parcel_id, buyer, signed.hash)


def _sent(done: Done) -> Sent:
    return Sent(done.hash, done.height, done.proof)

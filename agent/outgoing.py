"""Transactions on their way out: each is on disk before anybody sees it, and is executed once.

Signed, written down, flushed, and only then sent. A crash before the flush has sent nothing;
after it the same bytes go out again, which the chain executes once. What is under way is looked
up and sent again until it is in a block, or until no block can take it any more.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

import msgspec
import structlog

from agent.books import OWNER, Books
from agent.clock import SECOND, Clock
from agent.errors import DiskFullError, NotEnoughFundsError, RefusedError, RemoteError
from agent.events import FundsShort, TxEnded, TxSigned
from agent.farside import ONE_ENDPOINT, Node
from agent.record import Journal
from agent.wallet.address import address
from agent.wallet.keys import Signer

_log = structlog.get_logger()

DAY_NS: Final = 86_400 * SECOND
LATE_BLOCKS: Final = 2
"""A node's index of transactions may be behind its blocks; our choice."""
TOO_OLD: Final = 2
SHORT: Final = 4
"""Result codes of the chain: bound to a block that is gone; not enough balance."""
_HTTP: Final = range(100, 600)


class Sent(msgspec.Struct, frozen=True):
    """A transaction that was executed in the block of that height. proof: who says so."""

    hash: str
    height: int
    proof: str


Outcome = Callable[[str], Awaitable[tuple[int, int, str]]]
"""Hash of a transaction in a block -> height, code, and who says so. Raises RemoteError."""


class Outgoing:
    """
    fee: mote for the block's proposer, with every transaction
    daily_limit: mote that may be spent unattended in 24 hours; None is no limit
    outcome: who has the last word on what is in a block; without it, the node itself
    """

    def __init__(
        self,
        *,
        node: Node,
        signer: Signer,
        books: Books,
        journal: Journal,
        clock: Clock,
        fee: int = 0,
        daily_limit: int | None = None,
        outcome: Outcome | None = None,
    ) -> None:
        self._node = node
        self._signer = signer
        self._books = books
        self._journal = journal
        self._clock = clock
        self._fee = fee
        self._daily_limit = daily_limit
        self._outcome = outcome
        self._pending = {signed.hash: signed for signed in books.pending()}
        self._one = asyncio.Lock()

    def pending(self) -> list[TxSigned]:
        """Those of which it is not known how they ended."""
        return list(self._pending.values())

    async def submit(
        self,
        kind: str,
        payload: Mapping[str, object],
        *,
        once: str,
        cost: int = 0,
        gain: int = 0,
        by: str = OWNER,
    ) -> Sent:
        """Have it executed, once; what is under way for the same `once` is settled instead.

        cost, gain: mote that it takes and brings beside the fee
        Raises RefusedError with the chain's code where it failed, was not taken or cannot be
        afforded; RemoteError where it is kept and goes on later; DiskFullError.
        """
        async with self._one:
            ended = await self._earlier(once)
            if ended is None or not ended.height:
                await self._afford(once, cost, gain, by)
                ended = await self._send(await self._sign(kind, payload, once, cost, by))
        if ended.code:
            raise RefusedError(_failed(ended), code=ended.code)
        return Sent(ended.hash, ended.height, ended.proof)

    async def resume(self) -> list[Sent]:
        """Go on with what is under way; those that were executed now, without error."""
        async with self._one:
            ended = [await self._again(signed) for signed in self.pending()]
        for end in ended:
            if end.code:
                _log.warning("transaction ended", reason=_failed(end))
        return [Sent(end.hash, end.height, end.proof) for end in ended if not end.code]

    async def _earlier(self, once: str) -> TxEnded | None:
        for signed in self.pending():
            if signed.once == once:
                return await self._again(signed)
        return None

    async def _again(self, signed: TxSigned) -> TxEnded:
        """Look it up; send the same bytes where they can still be executed."""
        await asyncio.to_thread(self._journal.flush)
        latest = (await self._node.status()).latest_height
        found = await self._node.tx(signed.hash)
        if found is not None:
            return await self._end(signed, found.height, found.code)
        if latest > signed.last_height + await self._node.binding_window() + LATE_BLOCKS:
            return await self._end(signed, 0, TOO_OLD)
        return await self._settle(signed)

    async def _afford(self, once: str, cost: int, gain: int, by: str) -> None:
        if by != OWNER and self._daily_limit is not None:
            since_ns = self._clock.now_ns() - DAY_NS
            spent = await asyncio.to_thread(self._books.spent_mote, since_ns)
            if spent + self._fee + cost > self._daily_limit:
                raise RefusedError(
                    f"{once}: {spent} of {self._daily_limit} mote a day are spent"
                    f" and {self._fee + cost} are due; it waits"
                )
        needed = self._fee + max(0, cost - gain)
        balance = await self._node.balance(address(self._signer.public)) if needed else 0
        if balance < needed:
            await self._tell_short(FundsShort(str(needed), str(balance), once, by))
            raise NotEnoughFundsError(f"{once}: {balance} mote, {needed} are due", code=SHORT)

    async def _tell_short(self, event: FundsShort) -> None:
        if not await asyncio.to_thread(self._books.told_short, event.once, event.by):
            await self._journal.note(event)

    async def _sign(
        self, kind: str, payload: Mapping[str, object], once: str, cost: int, by: str
    ) -> TxSigned:
        """On disk when this returns."""
        made = await self._node.prepare(kind, payload, self._signer, self._fee)
        due = str(self._fee + cost)
        signed = TxSigned(made.hash, kind, made.raw, made.last_height, once, due, by)
        head = self._books.head()
        self._pending[signed.hash] = signed
        self._journal.write(signed)
        await asyncio.to_thread(self._journal.flush)
        if not await asyncio.to_thread(self._books.recorded, signed, head):
            del self._pending[signed.hash]
            raise DiskFullError(f"{once}: the log did not take the transaction; nothing was sent")
        return signed

    async def _send(self, signed: TxSigned) -> TxEnded:
        """For the first time: who refuses it now refuses what nobody else has seen."""
        try:
            await self._node.broadcast_sync(signed.raw)
        except RefusedError as error:
            if error.code not in _HTTP:
                await self._end(signed, 0, error.code)
            raise
        return await self._settle(signed)

    async def _settle(self, signed: TxSigned) -> TxEnded:
        try:
            height = (await self._node.settle(signed)).height
        except RefusedError as error:
            found = await self._node.tx(signed.hash)
            if found is None:
                raise RemoteError(f"{error}; transaction {signed.hash} is kept") from error
            return await self._end(signed, found.height, found.code)
        return await self._end(signed, height, 0)

    async def _end(self, signed: TxSigned, height: int, code: int) -> TxEnded:
        proof = ONE_ENDPOINT
        if height and self._outcome is not None:
            height, code, proof = await self._outcome(signed.hash)
        ended = TxEnded(signed.hash, height, code, proof)
        await self._journal.note(ended)
        self._pending.pop(signed.hash, None)
        return ended


def _failed(end: TxEnded) -> str:
    if not end.height:
        return f"transaction {end.hash} was not executed (code {end.code})"
    return f"transaction {end.hash} failed in block {end.height} (code {end.code}); its fee is lost"

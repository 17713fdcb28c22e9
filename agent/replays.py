"""Watches the chain for what is sent in our name and was not sent by us.

Whoever sees a signed transaction can send it again in other bytes until its binding ends, and it
is executed again (AMO protocol, 3.4). Most types fail by themselves the second time and cost the
fee; a transfer moves its coins once more. Nothing can be done about it but to bind shortly, to
notice, and to tell the owner.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Final, Protocol

import structlog

from agent.books import Books
from agent.events import TxEnded, TxRepeated
from agent.farside import ONE_ENDPOINT, Executed, Latest
from agent.record import Journal

_log = structlog.get_logger()

STRIDE: Final = 20
"""Blocks that a node looks through at one asking (6.7)."""
AT_ONCE: Final = 50
"""Strides in one turn: our choice, a few seconds at most."""


class Chain(Protocol):
    """The far side. Raises RemoteError."""

    async def status(self) -> Latest: ...

    async def binding_window(self) -> int: ...

    async def busy_heights(self, lowest: int, highest: int) -> list[int]: ...

    async def transactions(self, height: int) -> list[bytes]: ...

    async def tx(self, hash_hex: str) -> Executed | None: ...


class Sealed(Protocol):
    """A transaction as sent: its hash, who signed it, its binding, and what of it was signed."""

    @property
    def hash(self) -> str: ...

    @property
    def sender(self) -> str: ...

    @property
    def last_height(self) -> int: ...

    @property
    def message(self) -> bytes: ...


Identify = Callable[[bytes], Sealed | None]
"""Bytes -> what they are, None where they are no transaction that can be read."""


class Watch:
    """Of one account. It looks through blocks from the first one that a copy could be in."""

    def __init__(
        self, *, chain: Chain, books: Books, journal: Journal, account: str, identify: Identify
    ) -> None:
        self._chain = chain
        self._books = books
        self._journal = journal
        self._account = account
        self._identify = identify
        self._seen: int | None = None

    async def once(self) -> list[TxRepeated]:
        """Look through what is new, as far as there is time; what was found."""
        latest = (await self._chain.status()).latest_height
        if self._seen is None:
            self._seen = await self._begin(latest)
        found: list[TxRepeated] = []
        for _ in range(AT_ONCE):
            if self._seen >= latest:
                break
            last = min(self._seen + STRIDE, latest)
            for height in reversed(await self._chain.busy_heights(self._seen + 1, last)):
                found += await self._look(height)
            self._seen = last
        return found

    async def _begin(self, latest: int) -> int:
        """The height before all that a copy of a transaction of ours can be in."""
        lowest = latest - await self._chain.binding_window()
        first = await asyncio.to_thread(self._books.first_alive, lowest)
        return latest if first is None else min(first - 1, latest)

    async def _look(self, height: int) -> list[TxRepeated]:
        sent = map(self._identify, await self._chain.transactions(height))
        ours = [tx for tx in sent if tx is not None and tx.sender == self._account]
        if not ours:
            return []
        known = await asyncio.to_thread(self._books.ended, [tx.hash for tx in ours])
        for tx in ours:
            if known.get(tx.hash) == 0:
                await self._late(tx)
        strange = [tx for tx in ours if tx.hash not in known]
        return await asyncio.to_thread(self._tell, strange, height) if strange else []

    def _tell(self, strange: Iterable[Sealed], height: int) -> list[TxRepeated]:
        """Each once, however often its block is looked through."""
        told = self._books.repeated()
        found = [TxRepeated(t.hash, self._original(t), height) for t in strange]
        found = [event for event in found if event.hash not in told]
        for event in found:
            self._journal.write(event)
            of = event.of_hash or "no transaction of ours: somebody else has the account key"
            _log.warning("sent again by others", transaction=event.hash, of=of, height=height)
        self._journal.flush()
        return found

    async def _late(self, tx: Sealed) -> None:
        """It was refused, and somebody who had it brought it into a block all the same."""
        found = await self._chain.tx(tx.hash)
        if found is not None:
            ended = TxEnded(tx.hash, found.height, found.code, ONE_ENDPOINT)
            await self._journal.note(ended)
            _log.warning("executed after all", transaction=tx.hash, height=found.height)

    def _original(self, copy: Sealed) -> str:
        """Hash of ours that says the same; empty where there is none."""
        for signed in self._books.bound_to(copy.last_height):
            own = self._identify(signed.raw)
            if own is not None and own.message == copy.message:
                return signed.hash
        return ""

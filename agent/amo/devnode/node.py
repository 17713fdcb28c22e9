"""The development node: a chain that makes blocks by the clock, and its JSON-RPC server."""

import asyncio
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import structlog
from aiohttp import web
from nacl.signing import SigningKey

from agent.amo.devnode.archive import Archive
from agent.amo.devnode.chain import Chain
from agent.amo.devnode.genesis import Genesis
from agent.amo.devnode.mempool import Mempool
from agent.amo.devnode.outcome import NOT_RUN, Outcome
from agent.amo.devnode.rpc_error import internal_error
from agent.amo.devnode.rpc_server import RpcServer
from agent.amo.devnode.state import State
from agent.clock import SECOND, Clock
from agent.errors import AgentError, StoreError

COMMIT_TIMEOUT_S: Final = 10.0
"""How long `broadcast_tx_commit` waits for the block."""
_MAX_WAITING: Final = 100
_HEADER_ROOM: Final = 4096  # bytes of a block that are not transactions: header and commit

_log = structlog.get_logger()


class DevNode:
    """
    genesis:          the chain; a directory that holds another one is a UsageError
    validator:        Ed25519 key of this node
    others:           keys of validators that sign with it; together more than 2/3 of the power
    directory:        where the chain is kept; None: in memory
    block_interval_s: pause after a block; a transaction that arrives later does not wait
    empty_blocks:     make blocks without transactions too, not only to show an app hash

    A chain whose power goes to other keys by `stake` stands still from then on, as a real one
    without those validators would.
    """

    def __init__(
        self,
        *,
        genesis: Genesis,
        validator: SigningKey,
        directory: Path | None,
        clock: Clock,
        block_interval_s: float = 1.0,
        empty_blocks: bool = False,
        others: Sequence[SigningKey] = (),
    ) -> None:
        self._archive = Archive(directory / "chain.db" if directory else None)
        try:
            self.chain = Chain(genesis, validator, self._archive, others)
        except AgentError:
            self._archive.close()
            raise
        self.mempool = Mempool(self.chain.ledger)
        self.clock = clock
        self._interval_ns = int(block_interval_s * SECOND)
        self._empty_blocks = empty_blocks
        self._arrived = asyncio.Event()
        self._waiting: dict[bytes, asyncio.Future[tuple[int, Outcome]]] = {}
        self._server = RpcServer(self, clock)
        self._making: asyncio.Task[None] | None = None

    @property
    def state(self) -> State:
        """The committed state."""
        return self.chain.ledger.state

    @property
    def url(self) -> str:
        return self._server.url

    async def start(
        self, host: str = "127.0.0.1", port: int = 0, before: web.Application | None = None
    ) -> None:
        """Returns when the server listens; UsageError where it cannot. port 0: any free one.

        before: as in `RpcServer.start`
        """
        await self._server.start(host, port, before)
        self._making = asyncio.create_task(self._make_blocks())

    async def stop(self) -> None:
        """Ends the server and the chain. Raises StoreError where a block could not be kept."""
        for future in self._waiting.values():
            future.cancel()
        await self._server.stop()
        making, self._making = self._making, None
        try:
            if making is not None:
                making.cancel()
                await asyncio.wait({making})
                if not making.cancelled():
                    making.result()
        finally:
            self._archive.close()

    def submit(self, raw: bytes) -> Outcome:
        """Hand a transaction to the mempool. Raises NotTakenError."""
        outcome = self.mempool.add(raw)
        if outcome.code == 0:
            self._arrived.set()
        return outcome

    async def submit_and_wait(self, raw: bytes) -> tuple[Outcome, Outcome, int]:
        """Check, result, and height of the block (0: refused by the check).

        Raises NotTakenError, and RpcError when the block does not come in time.
        """
        if len(self._waiting) >= _MAX_WAITING:
            raise internal_error(f"max_subscription_clients {_MAX_WAITING} reached")
        checked = self.submit(raw)
        if checked.code != 0:
            return checked, NOT_RUN, 0
        digest = sha256(raw).digest()
        future = self._waiting[digest] = asyncio.get_running_loop().create_future()
        try:
            height, delivered = await self._in_time(future)
        finally:
            self._waiting.pop(digest, None)
        return checked, delivered, height

    async def _in_time(self, future: asyncio.Future[tuple[int, Outcome]]) -> tuple[int, Outcome]:
        limit_ns = self.clock.mono_ns() + int(COMMIT_TIMEOUT_S * SECOND)
        timer = asyncio.ensure_future(self.clock.sleep_until(limit_ns))
        either: set[asyncio.Future[Any]] = {future, timer}
        try:
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        finally:
            timer.cancel()
        if not future.done() or future.cancelled():
            raise internal_error("timed out waiting for tx to be included in a block")
        return future.result()

    async def _make_blocks(self) -> None:
        try:
            while self.chain.can_commit:
                await self._due()
                self._make_block()
                await self.clock.sleep_until(self.clock.mono_ns() + self._interval_ns)
        except StoreError as error:
            _log.exception("chain cannot go on", reason=str(error))
            raise
        _log.warning("chain stands still", reason=self.chain.halt_reason)

    async def _due(self) -> None:
        """Return when the next block has something to say."""
        while not (self._empty_blocks or len(self.mempool) or self.chain.needs_proof):
            self._arrived.clear()
            await self._arrived.wait()

    def _make_block(self) -> None:
        room = self.chain.genesis.max_bytes - _HEADER_ROOM
        made = self.chain.make(self.mempool.reap(room), self.clock.now_ns())
        self.mempool.update(made.block.txs)
        for raw, outcome in zip(made.block.txs, made.outcome.outcomes, strict=True):
            future = self._waiting.get(sha256(raw).digest())
            if future is not None and not future.done():
                future.set_result((self.chain.height, outcome))

"""A node of the chain, asked and sent to: transactions are followed into their block.

Success in the mempool says nothing about the block, a failed transaction costs its fee,
and a transaction seen by others can be executed again until its binding ends. So every
one is followed until it is executed, and bound as shortly as the chain's age allows.
"""

import base64
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import ClientSession

from agent.amo.chain import ChainReader, Executed, expect_hash
from agent.amo.codes import ResultCode, refusal
from agent.amo.jsonrpc import Reply
from agent.amo.kinds import OLDEST, expect_known, expect_sender, since
from agent.amo.p256 import address_of
from agent.amo.tls import Trust
from agent.amo.transaction import Sendable, SignedTx, Signer, build, tx_hash
from agent.amo.web import SYSTEM_TRUST, Limits
from agent.clock import SECOND, Clock
from agent.errors import PushbackError, RefusedError, RemoteError

BINDING_BLOCKS: Final = 100
"""Blocks a transaction stays valid for, where the chain is old enough; our choice."""

_POLL_S: Final = (0.1, 0.2, 0.4, 0.8)
_ALREADY_SENT: Final = "tx already exists in cache"
_ALREADY_DONE: Final = "already processed tx"


@dataclass(frozen=True, slots=True)
class Receipt:
    """A transaction that was executed without error in the block of that height."""

    hash: str
    height: int


class RpcClient(ChainReader):
    """Asks and sends; used inside `async with`.

    patience_s: how long a transaction is followed until it is in a block.
    Every method raises RemoteError, PushbackError or RefusedError; a RefusedError about a
    transaction carries the chain's result code.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        clock: Clock,
        session: ClientSession | None = None,
        limits: Limits | None = None,
        patience_s: float = 60.0,
        trust: Trust = SYSTEM_TRUST,
    ) -> None:
        super().__init__(endpoints, session=session, limits=limits, clock=clock, trust=trust)
        self._clock = clock
        self._patience_s = patience_s
        self._window: int | None = None

    async def broadcast_sync(self, raw: bytes) -> str:
        """Put a transaction into the mempool; its hash. Having been there is success."""
        params = {"tx": base64.b64encode(raw).decode()}
        reply = await self._rpc.find("broadcast_tx_sync", params, absent=_ALREADY_SENT)
        if reply is not None:
            expect_hash(reply, reply.at("hash").text(), tx_hash(raw))
            _expect_done(reply, known=_ALREADY_DONE)
        return tx_hash(raw)

    async def broadcast_async(self, raw: bytes) -> str:
        """Hand a transaction over and learn nothing of what becomes of it; its hash."""
        params = {"tx": base64.b64encode(raw).decode()}
        reply = await self._rpc.find("broadcast_tx_async", params, absent=_ALREADY_SENT)
        if reply is not None:
            expect_hash(reply, reply.at("hash").text(), tx_hash(raw))
        return tx_hash(raw)

    async def broadcast_commit(self, raw: bytes) -> Receipt:
        """Have the node wait for the block, up to its own ten seconds; both codes count."""
        params = {"tx": base64.b64encode(raw).decode()}
        reply = await self._rpc.find("broadcast_tx_commit", params, absent=_ALREADY_SENT)
        if reply is None:
            return await self._follow(tx_hash(raw))
        expect_hash(reply, reply.at("hash").text(), tx_hash(raw))
        _expect_done(reply.at("check_tx"))
        _expect_done(reply.at("deliver_tx"))
        return Receipt(tx_hash(raw), reply.at("height").whole())

    async def submit(
        self, kind: str, payload: Mapping[str, object], signer: Signer, fee: int = 0
    ) -> Receipt:
        """Sign, send, and wait for the block; the fee in mote is lost if it fails there.

        After a RemoteError that names its hash, the transaction may still get into a block.
        """
        return await self.settle(await self.prepare(kind, payload, signer, fee))

    async def prepare(
        self, kind: str, payload: Mapping[str, object], signer: Signer, fee: int = 0
    ) -> SignedTx:
        """A signed transaction that lives for about BINDING_BLOCKS blocks from now.

        Raises UsageError for what this chain would refuse whatever its state.
        """
        expect_sender(kind, payload, address_of(signer.public))
        if since(kind, payload) > OLDEST:
            expect_known(kind, payload, await self.protocol())
        bound = await self._binding_height()
        return build(kind, payload, signer=signer, fee=fee, last_height=bound)

    async def settle(self, signed: Sendable) -> Receipt:
        """Send these bytes and wait for their block. Doing it twice executes them once."""
        await self.broadcast_sync(signed.raw)
        return await self._follow(signed.hash)

    async def _binding_height(self) -> int:
        latest = (await self.status()).latest_height
        if self._window is None:
            self._window = await self.binding_window()
        bound = latest - self._window + min(BINDING_BLOCKS, self._window)
        return bound if bound > 0 else latest  # a young chain keeps it for its whole window

    async def _follow(self, hash_hex: str) -> Receipt:
        end_ns = self._clock.mono_ns() + round(self._patience_s * SECOND)
        for pause_s in itertools.chain(_POLL_S, itertools.repeat(_POLL_S[-1])):
            found, failure = await self._look_for(hash_hex)
            if found is not None:
                return _receipt(found)
            wake_ns = self._clock.mono_ns() + round(_pause_s(pause_s, failure) * SECOND)
            if wake_ns > end_ns:
                break
            await self._clock.sleep_until(wake_ns)
        raise RemoteError(
            f"transaction {hash_hex} is in no block after {self._patience_s} s; it may still come"
        ) from failure

    async def _look_for(self, hash_hex: str) -> tuple[Executed | None, RemoteError | None]:
        """A node that fails now may answer at the next look."""
        try:
            return await self.tx(hash_hex), None
        except RefusedError:
            raise
        except RemoteError as error:
            return None, error


def _pause_s(pause_s: float, failure: RemoteError | None) -> float:
    wanted = failure.retry_after_s if isinstance(failure, PushbackError) else None
    return max(pause_s, wanted or 0.0)


def _expect_done(result: Reply, *, known: str = "") -> None:
    code = result.at("code").whole()
    log = result.at("log").text()
    if code != ResultCode.OK and not (code == ResultCode.IMPROPER_TX and known and log == known):
        raise refusal(code, log, result.endpoint)


def _receipt(found: Executed) -> Receipt:
    if found.code != ResultCode.OK:
        raise refusal(found.code, found.log, f"block {found.height}")
    return Receipt(found.hash, found.height)

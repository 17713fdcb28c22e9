"""Questions to a node: its blocks, its transactions, and the state the chain is in.

What a node answers is checked in form, and a transaction by its hash; whether a node
tells the truth about the state is not decided here.
"""

import base64
import binascii
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from aiohttp import ClientSession

from agent.amo.codes import QueryCode
from agent.amo.jsonrpc import JsonRpc, Reply
from agent.amo.rawjson import decode
from agent.amo.tls import Trust
from agent.amo.transaction import tx_hash
from agent.amo.web import SYSTEM_TRUST, Http, Limits
from agent.clock import Clock
from agent.errors import MalformedInputError, RefusedError, RemoteError, UsageError

_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}")
_NOT_FOUND: Final = ") not found"


@dataclass(frozen=True, slots=True, kw_only=True)
class Status:
    """chain_id: the name of the chain. Heights are those of whole blocks."""

    chain_id: str
    latest_height: int
    earliest_height: int
    catching_up: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """A transaction in a block, and how it ended. raw: the bytes as they were sent."""

    hash: str
    height: int
    code: int
    log: str
    raw: bytes


class ChainReader:
    """One chain behind any number of endpoints, used inside `async with`.

    Every method raises RemoteError, PushbackError or RefusedError.
    """

    def __init__(
        self,
        endpoints: Sequence[str],
        *,
        session: ClientSession | None = None,
        limits: Limits | None = None,
        clock: Clock | None = None,
        trust: Trust = SYSTEM_TRUST,
    ) -> None:
        self._http = Http(session, limits or Limits(), trust)
        self._rpc = JsonRpc(endpoints, self._http, clock)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.__aexit__(*exc)

    def drop(self, endpoint: str, reason: str) -> None:
        """One that was found lying is not asked again before the next start."""
        self._rpc.endpoints.drop(endpoint, reason)

    async def status(self) -> Status:
        reply = await self._rpc.call("status", {})
        sync = reply.at("sync_info")
        return Status(
            chain_id=reply.at("node_info", "network").text(),
            latest_height=sync.at("latest_block_height").whole(),
            earliest_height=sync.at("earliest_block_height").whole(),
            catching_up=sync.at("catching_up").value is True,
        )

    async def block(self, height: int) -> dict[str, object]:
        """`block_id` and `block` as the node gives them."""
        return (await self._rpc.call("block", {"height": str(height)})).members()

    async def transactions(self, height: int) -> list[bytes]:
        """The transactions of a block as they were sent, in their order."""
        reply = await self._rpc.call("block", {"height": str(height)})
        return [decoded(item) for item in reply.at("block", "data", "txs").items()]

    async def busy_heights(self, lowest: int, highest: int) -> list[int]:
        """Heights in this range whose blocks hold transactions, newest first.

        A node looks at the highest 20 blocks of the range and at no more.
        """
        if lowest > highest:
            return []
        span = {"minHeight": str(lowest), "maxHeight": str(highest)}
        metas = (await self._rpc.call("blockchain", span)).at("block_metas").items()
        heights = [
            meta.at("header", "height").whole() for meta in metas if meta.at("num_txs").whole()
        ]
        return sorted({height for height in heights if lowest <= height <= highest}, reverse=True)

    async def tx(self, hash_hex: str) -> Executed | None:
        """A transaction that is in a block; None where the node knows of none."""
        if not _HASH.fullmatch(hash_hex):
            raise UsageError(f"transaction hash {hash_hex[:80]!r} is not 64 hex digits")
        asked = base64.b64encode(bytes.fromhex(hash_hex)).decode()
        reply = await self._rpc.find("tx", {"hash": asked, "prove": False}, absent=_NOT_FOUND)
        if reply is None:
            return None
        found = _executed(reply)
        expect_hash(reply, found.hash, hash_hex)
        return found

    async def tx_search(self, query: str) -> list[Executed]:
        """Transactions in blocks, at most 30 of them, the oldest first.

        With a node's usual settings only "tx.hash='HEX'" finds anything.
        """
        asked = {"query": query, "prove": False, "page": "1", "per_page": "30", "order_by": "asc"}
        reply = await self._rpc.call("tx_search", asked)
        return [_executed(item) for item in reply.at("txs").items()]

    async def abci_query(self, path: str, data: object) -> object | None:
        """What the chain's state holds; None where it has nothing (code 1005)."""
        reply = await self._query(path, data)
        return None if reply is None else reply.value

    async def balance(self, address: str) -> int:
        """Mote; 0 for an account the chain has not heard of."""
        reply = await self._query("/balance", address)
        if reply is None:
            raise RemoteError("/balance: malformed answer: it is empty")
        return reply.mote()

    async def parcel(self, parcel_id: str) -> dict[str, object] | None:
        return await self._record("/parcel", parcel_id)

    async def request(self, recipient: str, target: str) -> dict[str, object] | None:
        return await self._record("/request", {"recipient": recipient, "target": target})

    async def usage(self, recipient: str, target: str) -> dict[str, object] | None:
        """The grant of a parcel to this recipient, with its custody."""
        return await self._record("/usage", {"recipient": recipient, "target": target})

    async def storage(self, number: int) -> dict[str, object] | None:
        return await self._record("/storage", number)

    async def binding_window(self) -> int:
        """Blocks a transaction stays valid for when bound to the latest height."""
        reply = await self._query("/config", None)
        if reply is None:
            raise RemoteError("/config: malformed answer: it is empty")
        return reply.at("block_binding_window").whole()

    async def protocol(self) -> int:
        """The version of the rules in force: 4, 5 or 6."""
        reply = await self._query("/version", None)
        if reply is None:
            raise RemoteError("/version: malformed answer: it is empty")
        return reply.at("state_protocol_version").whole()

    async def did(self, did: str) -> dict[str, object] | None:
        """The document that `did.claim` put under this DID, and its owner where `claim` did."""
        return await self._record("/did", did)

    async def _record(self, path: str, data: object) -> dict[str, object] | None:
        reply = await self._query(path, data)
        return None if reply is None else reply.members()

    async def _query(self, path: str, data: object) -> Reply | None:
        asked = json.dumps(data, separators=(",", ":")).encode().hex().upper()
        reply = await self._rpc.call(
            "abci_query", {"path": path, "data": asked, "height": "0", "prove": False}
        )
        response = reply.at("response")
        code = response.at("code").whole()
        if code == QueryCode.NO_MATCH:
            return None
        if code != QueryCode.OK:
            log = line(response.at("log").text())
            raise RefusedError(f"{reply.endpoint}: {path}: code {code}: {log}", code=code)
        try:
            return Reply(reply.endpoint, decode(decoded(response.at("value"))))
        except MalformedInputError as error:
            raise RemoteError(f"{reply.endpoint}: {path}: malformed answer: {error}") from error


def _executed(reply: Reply) -> Executed:
    raw = decoded(reply.at("tx"))
    return Executed(
        hash=tx_hash(raw),
        height=reply.at("height").whole(),
        code=reply.at("tx_result", "code").whole(),
        log=reply.at("tx_result", "log").text(),
        raw=raw,
    )


def decoded(reply: Reply) -> bytes:
    """Bytes from base64. Raises RemoteError."""
    try:
        return base64.b64decode(reply.text(), validate=True)
    except (binascii.Error, ValueError) as error:
        raise RemoteError(f"{reply.endpoint}: malformed answer: no base64") from error


def expect_hash(reply: Reply, given: str, wanted: str) -> None:
    if given.upper() != wanted.upper():
        raise RemoteError(f"{reply.endpoint}: malformed answer: it is about another transaction")


def line(text: str) -> str:
    """Foreign words, in one line of bounded length."""
    return " ".join(text.split())[:200]

"""One endpoint as a light client asks it: headers, votes, validators, proofs and results.

Its answers are checked in form only: `agent.amo.light` decides what is true.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final, TypeVar

from aiohttp import ClientSession

from agent.amo.chain import ChainReader, decoded
from agent.amo.jsonrpc import Reply
from agent.amo.tendermint.block import result_leaf
from agent.amo.tendermint.commit import commit_from_json
from agent.amo.tendermint.header import Header, header_from_json
from agent.amo.tendermint.merkle import Proof, leaf_hash
from agent.amo.tendermint.validators import ValidatorSet, from_json
from agent.amo.tendermint.verify import MAX_VALIDATORS, SignedHeader
from agent.amo.tls import Trust
from agent.amo.web import SYSTEM_TRUST, Limits
from agent.errors import MalformedInputError, RemoteError, UsageError

HEADERS: Final = 20
"""Headers that a node gives at once."""
_HASH: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_PAGE: Final = 100
_MAX_AUNTS: Final = 32
_MAX_CODE: Final = (1 << 32) - 1

Read = TypeVar("Read")


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Where a transaction is said to be, and what is to prove it."""

    height: int
    proof: Proof


@dataclass(frozen=True, slots=True)
class Results:
    """Of the transactions of one block: the codes, and what their hash is built over."""

    codes: tuple[int, ...]
    leaves: tuple[bytes, ...]


class BlockSource(ChainReader):
    """Every method raises RemoteError, for an answer of another form too."""

    def __init__(
        self,
        endpoint: str,
        *,
        session: ClientSession | None = None,
        limits: Limits | None = None,
        trust: Trust = SYSTEM_TRUST,
    ) -> None:
        super().__init__([endpoint], session=session, limits=limits, trust=trust)
        self.endpoint: Final = endpoint

    async def signed_header(self, height: int) -> SignedHeader:
        reply = await self._rpc.call("commit", {"height": str(height)})
        return _read(reply.at("signed_header"), _signed_header)

    async def headers(self, lowest: int, highest: int) -> list[Header]:
        """At most HEADERS of them, the highest first."""
        span = {"minHeight": str(lowest), "maxHeight": str(highest)}
        metas = (await self._rpc.call("blockchain", span)).at("block_metas").items()
        return [_read(meta.at("header"), header_from_json) for meta in metas[:HEADERS]]

    async def members(self, height: int) -> ValidatorSet:
        """The validators of a height, in the node's order."""
        found: list[Reply] = []
        for page in range(1, MAX_VALIDATORS // _PAGE + 1):
            span = {"height": str(height), "page": str(page), "per_page": str(_PAGE)}
            reply = await self._rpc.call("validators", span)
            new = reply.at("validators").items()
            found += new[:_PAGE]
            if not new or len(found) >= reply.at("total").whole():
                break
        return tuple(_read(each, from_json) for each in found)

    async def inclusion(self, hash_hex: str) -> Inclusion:
        """Of a transaction, by the hex of its hash. The leaf is of that hash, whatever was said."""
        digest = _digest(hash_hex)
        asked = {"hash": base64.b64encode(digest).decode(), "prove": True}
        reply = await self._rpc.call("tx", asked)
        proof = reply.at("proof", "proof")
        aunts = proof.at("aunts").items()
        if len(aunts) > _MAX_AUNTS:
            raise RemoteError(f"{self.endpoint}: {len(aunts)} aunts, at most {_MAX_AUNTS}")
        return Inclusion(
            reply.at("height").whole(),
            Proof(
                proof.at("total").whole(),
                proof.at("index").whole(),
                leaf_hash(digest),
                tuple(_aunt(aunt) for aunt in aunts),
            ),
        )

    async def results(self, height: int) -> Results:
        reply = await self._rpc.call("block_results", {"height": str(height)})
        items = reply.at("txs_results").items()
        codes = tuple(_code(item.at("code")) for item in items)
        return Results(codes, tuple(map(result_leaf, codes, map(_data, items))))


def _digest(hash_hex: str) -> bytes:
    if not _HASH.fullmatch(hash_hex):
        raise UsageError(f"transaction hash {hash_hex[:80]!r} is not 64 hex digits")
    return bytes.fromhex(hash_hex)


def _signed_header(json: Mapping[str, Any]) -> SignedHeader:
    return SignedHeader(header_from_json(json["header"]), commit_from_json(json["commit"]))


def _aunt(reply: Reply) -> bytes:
    aunt = decoded(reply)
    if len(aunt) != sha256().digest_size:
        raise RemoteError(f"{reply.endpoint}: malformed answer: an aunt of {len(aunt)} bytes")
    return aunt


def _code(reply: Reply) -> int:
    """In the hash it counts modulo 2^64, so it is held to its 32 bits."""
    code = reply.whole()
    if not 0 <= code <= _MAX_CODE:
        raise RemoteError(f"{reply.endpoint}: malformed answer: result code {code}")
    return code


def _data(item: Reply) -> bytes:
    data = item.at("data")
    return b"" if data.value is None else decoded(data)


def _read(reply: Reply, reader: Callable[[Mapping[str, Any]], Read]) -> Read:
    try:
        return reader(reply.members())
    except (KeyError, TypeError, ValueError, AttributeError, MalformedInputError) as error:
        raise RemoteError(
            f"{reply.endpoint}: malformed answer: {type(error).__name__} in a part of a block"
        ) from error

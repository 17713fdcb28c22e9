"""A chain made by the tests with real Ed25519 keys, and an endpoint that tells of it."""

from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from hashlib import sha256
from typing import Any

from nacl.signing import SigningKey

from agent.amo.blocksource import BlockSource
from agent.amo.tendermint.block import data_hash, results_hash, tx_proof
from agent.amo.tendermint.commit import ABSENT_VOTE, Commit, Flag, Vote
from agent.amo.tendermint.header import NO_BLOCK, BlockId, Header
from agent.amo.tendermint.validators import Validator, ValidatorSet, in_order, set_hash
from agent.clock import SECOND
from tests.amo.nodes import Node, result, served

CHAIN_ID = "amo-light"
START_NS = 1_800_000_000 * SECOND
PARTS = bytes(range(32))

Powers = Mapping[SigningKey, int]


def keys(count: int, first: int = 0) -> list[SigningKey]:
    return [SigningKey(sha256(b"%d" % n).digest()) for n in range(first, first + count)]


def alike(signers: Sequence[SigningKey], power: int = 10) -> Powers:
    return dict.fromkeys(signers, power)


def members_of(powers: Powers) -> ValidatorSet:
    return in_order([Validator(bytes(key.verify_key), power) for key, power in powers.items()])


def voted(
    header: Header, members: ValidatorSet, signers: Sequence[SigningKey], flag: Flag = Flag.COMMIT
) -> Commit:
    """The commit for a header to which these sign; the others are absent."""
    commit = Commit(header.height, 0, BlockId(header.hash(), 1, PARTS))
    own = {bytes(key.verify_key): key for key in signers}
    time_ns = header.time_ns + SECOND
    message = commit.sign_bytes(header.chain_id, flag, time_ns)
    votes = [
        Vote(flag, each.address, time_ns, own[each.public].sign(message).signature)
        if each.public in own
        else ABSENT_VOTE
        for each in members
    ]
    return replace(commit, votes=tuple(votes))


class MadeChain:
    """powers: of every height, the validators that sign it and their power."""

    def __init__(self, powers: Callable[[int], Powers]) -> None:
        self.powers = powers
        self.headers: list[Header] = []
        self.commits: list[Commit] = []
        self.txs: dict[int, tuple[list[bytes], list[int]]] = {}

    @property
    def height(self) -> int:
        return len(self.headers)

    def members(self, height: int) -> ValidatorSet:
        return members_of(self.powers(height))

    def grow(
        self,
        count: int = 1,
        *,
        txs: Sequence[bytes] = (),
        codes: Sequence[int] = (),
        signers: Sequence[SigningKey] | None = None,
        **changes: Any,
    ) -> "MadeChain":
        """More blocks; txs, signers and changes of the header are of each of them."""
        for _ in range(count):
            height = self.height + 1
            self.txs[height] = list(txs), list(codes)
            header = replace(self._header(height), **changes)
            self.headers.append(header)
            signing = list(self.powers(height)) if signers is None else signers
            self.commits.append(voted(header, self.members(height), signing))
        return self

    def fork(self, height: int, powers: Callable[[int], Powers] | None = None) -> "MadeChain":
        """The same chain up to a height, to go on otherwise from there."""
        other = copy(self)
        other.powers = powers or self.powers
        other.headers, other.commits = self.headers[:height], self.commits[:height]
        other.txs = {at: found for at, found in self.txs.items() if at <= height}
        return other

    def _header(self, height: int) -> Header:
        last = self.headers[-1] if self.headers else None
        commit = self.commits[-1] if self.commits else Commit()
        return Header(
            chain_id=CHAIN_ID,
            height=height,
            time_ns=START_NS + height * SECOND,
            last_block_id=BlockId(last.hash(), 1, PARTS) if last else NO_BLOCK,
            last_commit_hash=commit.hash(),
            data_hash=data_hash(self.txs[height][0]),
            validators_hash=set_hash(self.members(height)),
            next_validators_hash=set_hash(self.members(height + 1)),
            consensus_hash=bytes(32),
            app_hash=bytes(32),
            last_results_hash=results_hash(self.txs.get(height - 1, ([], []))[1]),
            proposer_address=self.members(height)[0].address,
        )


class Teller(Node):
    """An endpoint that tells of a chain; `on` has it answer a method otherwise."""

    def __init__(self, chain: MadeChain) -> None:
        super().__init__()
        self.chain = chain
        for method in ("status", "commit", "validators", "blockchain", "tx", "block_results"):
            self.on(method, self._tell)

    def _tell(self, _: object, call: Mapping[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = getattr(self, f"_{call['method']}")(call["params"])
        return answer

    def _status(self, _: Mapping[str, Any]) -> dict[str, Any]:
        sync = {
            "latest_block_height": str(self.chain.height),
            "earliest_block_height": "1",
            "catching_up": False,
        }
        return result({"node_info": {"network": CHAIN_ID}, "sync_info": sync})

    def _commit(self, params: Mapping[str, Any]) -> dict[str, Any]:
        height = int(params["height"])
        if height > self.chain.height:
            return failure("height must be less than or equal to the current blockchain height")
        return signed(self.chain.headers[height - 1], self.chain.commits[height - 1])

    def _validators(self, params: Mapping[str, Any]) -> dict[str, Any]:
        members = self.chain.members(int(params["height"]))
        page, size = int(params["page"]), int(params["per_page"])
        return told(members, page=page, size=size)

    def _blockchain(self, params: Mapping[str, Any]) -> dict[str, Any]:
        lowest, highest = int(params["minHeight"]), int(params["maxHeight"])
        wanted = self.chain.headers[lowest - 1 : highest][-20:]
        return result({"block_metas": [{"header": each.to_json()} for each in reversed(wanted)]})

    def _tx(self, params: Mapping[str, Any]) -> dict[str, Any]:
        for height, (txs, codes) in self.chain.txs.items():
            for index, tx in enumerate(txs):
                if b64encode(sha256(tx).digest()).decode() == params["hash"]:
                    return included(height, txs, codes, index)
        return failure("tx (AB) not found")

    def _block_results(self, params: Mapping[str, Any]) -> dict[str, Any]:
        _, codes = self.chain.txs[int(params["height"])]
        return result({"txs_results": [{"code": code, "data": None} for code in codes] or None})


def failure(words: str) -> dict[str, Any]:
    error = {"code": -32603, "message": "Internal error", "data": words}
    return {"jsonrpc": "2.0", "error": error}


def signed(header: Header, commit: Commit) -> dict[str, Any]:
    both = {"header": header.to_json(), "commit": commit.to_json()}
    return result({"signed_header": both, "canonical": True})


def told(members: ValidatorSet, page: int = 1, size: int = 100) -> dict[str, Any]:
    shown = [each.to_json() for each in members[(page - 1) * size : page * size]]
    return result({"validators": shown, "count": str(len(shown)), "total": str(len(members))})


def included(height: int, txs: list[bytes], codes: list[int], index: int) -> dict[str, Any]:
    proof = tx_proof(txs, index)
    parts = {
        "total": str(proof.total),
        "index": str(proof.index),
        "leaf_hash": b64encode(proof.leaf_hash).decode(),
        "aunts": [b64encode(aunt).decode() for aunt in proof.aunts],
    }
    return result(
        {
            "hash": sha256(txs[index]).hexdigest().upper(),
            "height": str(height),
            "index": index,
            "tx_result": {"code": codes[index], "log": "ok"},
            "tx": b64encode(txs[index]).decode(),
            "proof": {"root_hash": "", "data": "", "proof": parts},
        }
    )


@asynccontextmanager
async def source(teller: Teller) -> AsyncIterator[BlockSource]:
    async with served(teller.app()) as url, BlockSource(url) as entered:
        yield entered

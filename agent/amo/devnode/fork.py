"""A second history of a chain, signed by the same validators: what a light client must notice."""

from dataclasses import replace
from hashlib import sha256
from typing import Any

from agent.amo.devnode.chain import Chain
from agent.amo.tendermint.block import Block
from agent.amo.tendermint.commit import Commit, sign
from agent.amo.tendermint.header import BlockId

_ROOT = 1
"""The block that both histories have in any case, for a client to start from."""


class Fork:
    """From the block after the newest on, the same transactions over another state.

    Its headers are linked and its commits verify: nothing shows the lie but an honest witness.
    """

    def __init__(self, chain: Chain) -> None:
        self._chain = chain
        self._first = max(_ROOT, chain.height) + 1
        self._made: list[tuple[BlockId, Commit]] = []

    def tell(self, method: str, result: dict[str, Any]) -> None:
        """Change the honest answer of an RPC method to what the second history says."""
        if method == "commit":
            block, commit = self._signed(_height(result["signed_header"]["header"]))
            signed = {"header": block.header.to_json(), "commit": commit.to_json()}
            result["signed_header"] = signed
        elif method in ("block", "block_by_hash"):
            result |= self._signed(_height(result["block"]["header"]))[0].to_json()
        elif method == "blockchain":
            heights = [_height(meta["header"]) for meta in result["block_metas"]]
            result["block_metas"] = [self._signed(height)[0].meta_json() for height in heights]
        elif method == "status":
            sync = result["sync_info"]
            name, _ = self._named(int(sync["latest_block_height"]))
            sync["latest_block_hash"] = name.hash.hex().upper()

    def _signed(self, height: int) -> tuple[Block, Commit]:
        commit = self._named(height)[1]
        return self._block(height), commit

    def _named(self, height: int) -> tuple[BlockId, Commit]:
        if height < self._first:
            return self._chain.archive.block(height).block_id, self._chain.commit(height)
        while self._first + len(self._made) <= height:
            self._made.append(self._made_at(self._first + len(self._made)))
        return self._made[height - self._first]

    def _made_at(self, height: int) -> tuple[BlockId, Commit]:
        block, honest = self._block(height), self._chain.archive.commit(height)
        unsigned = Commit(height, honest.round, block.block_id)
        time_ns = max(vote.time_ns for vote in honest.votes)
        members = self._chain.validators(height)
        chain_id = block.header.chain_id
        return block.block_id, sign(unsigned, chain_id, members, self._chain.keys, time_ns)

    def _block(self, height: int) -> Block:
        honest = self._chain.archive.block(height)
        if height < self._first:
            return honest
        name, commit = self._named(height - 1)
        header = replace(
            honest.header,
            app_hash=sha256(b"another state" + honest.header.app_hash).digest(),
            last_block_id=name,
            last_commit_hash=commit.hash(),
        )
        return Block(header, honest.txs, commit)


def _height(header: dict[str, Any]) -> int:
    return int(header["height"])

"""Blocks: header, transactions, and the commit of the block before."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

from agent.amo.tendermint import amino, merkle
from agent.amo.tendermint.commit import Commit, commit_from_json
from agent.amo.tendermint.header import BlockId, Header, header_from_json

_PART_BYTES: Final = 65536


@dataclass(frozen=True)
class Block:
    """txs: the bytes as they were sent."""

    header: Header
    txs: tuple[bytes, ...]
    last_commit: Commit

    @cached_property
    def encoded(self) -> bytes:
        """Evidence, field 3, is never there. Field 4 is written even when it is empty."""
        data = b"".join(amino.element(1, tx) for tx in self.txs)
        return (
            amino.bytes_field(1, self.header.encode())
            + amino.bytes_field(2, data)
            + amino.element(4, self.last_commit.encode())
        )

    @cached_property
    def block_id(self) -> BlockId:
        whole = amino.sized(self.encoded)
        parts = [whole[at : at + _PART_BYTES] for at in range(0, len(whole), _PART_BYTES)]
        return BlockId(self.header.hash(), len(parts), merkle.root(parts))

    def to_json(self) -> dict[str, object]:
        """The answer of the RPC method `block`."""
        body = {
            "header": self.header.to_json(),
            "data": {"txs": [b64encode(tx).decode() for tx in self.txs] or None},
            "evidence": {"evidence": None},
            "last_commit": self.last_commit.to_json(),
        }
        return {"block_id": self.block_id.to_json(), "block": body}

    def meta_json(self) -> dict[str, object]:
        """One element of the answer of `blockchain`."""
        return {
            "block_id": self.block_id.to_json(),
            "block_size": str(len(self.encoded)),
            "header": self.header.to_json(),
            "num_txs": str(len(self.txs)),
        }


def block_from_json(json: Mapping[str, Any]) -> Block:
    """The inverse of `Block.to_json`. KeyError or ValueError for anything else."""
    body = json["block"]
    txs = tuple(b64decode(tx, validate=True) for tx in body["data"]["txs"] or ())
    return Block(header_from_json(body["header"]), txs, commit_from_json(body["last_commit"]))


def _tx_leaves(txs: Sequence[bytes]) -> list[bytes]:
    return [sha256(tx).digest() for tx in txs]


def data_hash(txs: Sequence[bytes]) -> bytes:
    """The tree stands over the hashes of the transactions, not over their bytes."""
    return merkle.root(_tx_leaves(txs))


def tx_proof(txs: Sequence[bytes], index: int) -> merkle.Proof:
    return merkle.proof(_tx_leaves(txs), index)


def results_hash(codes: Sequence[int]) -> bytes:
    """Over the result codes of a block's transactions; AMO results carry no data."""
    return merkle.root([result_leaf(code) for code in codes])


def result_leaf(code: int, data: bytes = b"") -> bytes:
    return amino.varint_field(1, code) + amino.bytes_field(2, data)


def consensus_hash(max_bytes: int, max_gas: int) -> bytes:
    return sha256(amino.varint_field(1, max_bytes) + amino.varint_field(2, max_gas)).digest()

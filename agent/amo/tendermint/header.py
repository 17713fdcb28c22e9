"""Block headers of Tendermint 0.33 (block protocol 10) and the hash that names a block."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.amo.tendermint import amino, instant, merkle

BLOCK_PROTOCOL: Final = 10


@dataclass(frozen=True, slots=True)
class BlockId:
    """Name of a block: hash of its header, and of the parts it is cut into. All empty: none."""

    hash: bytes = b""
    parts_total: int = 0
    parts_hash: bytes = b""

    def encode(self) -> bytes:
        parts = amino.varint_field(1, self.parts_total) + amino.bytes_field(2, self.parts_hash)
        return amino.bytes_field(1, self.hash) + amino.bytes_field(2, parts)

    def canonical(self) -> bytes:
        """As votes sign it: the hash of the parts comes before their number."""
        parts = amino.bytes_field(1, self.parts_hash) + amino.varint_field(2, self.parts_total)
        return amino.bytes_field(1, self.hash) + amino.bytes_field(2, parts)

    def to_json(self) -> dict[str, object]:
        parts = {"total": str(self.parts_total), "hash": _hex(self.parts_hash)}
        return {"hash": _hex(self.hash), "parts": parts}


NO_BLOCK: Final = BlockId()


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The fourteen fields, in order. Hashes are raw bytes, empty where there is nothing to hash.

    app: the application's protocol, which AMO leaves at 0; time_ns: UTC nanoseconds
    """

    block: int = BLOCK_PROTOCOL
    app: int = 0
    chain_id: str
    height: int
    time_ns: int
    last_block_id: BlockId
    last_commit_hash: bytes
    data_hash: bytes
    validators_hash: bytes
    next_validators_hash: bytes
    consensus_hash: bytes
    app_hash: bytes
    last_results_hash: bytes
    evidence_hash: bytes = b""
    proposer_address: bytes

    def _version(self) -> bytes:
        return amino.varint_field(1, self.block) + amino.varint_field(2, self.app)

    def _hashes(self) -> list[bytes]:
        """Fields 6 to 14."""
        return [
            self.last_commit_hash,
            self.data_hash,
            self.validators_hash,
            self.next_validators_hash,
            self.consensus_hash,
            self.app_hash,
            self.last_results_hash,
            self.evidence_hash,
            self.proposer_address,
        ]

    def leaves(self) -> list[bytes]:
        """What the Merkle tree is built over; an empty field is an empty leaf."""
        return [
            self._version(),
            amino.bare_bytes(self.chain_id.encode()),
            amino.uvarint(self.height),
            instant.encode(self.time_ns),
            self.last_block_id.encode(),
            *map(amino.bare_bytes, self._hashes()),
        ]

    def hash(self) -> bytes:
        return merkle.root(self.leaves())

    def encode(self) -> bytes:
        """As a struct, the form in which a header stands in the bytes of a block."""
        fields = [
            amino.bytes_field(1, self._version()),
            amino.bytes_field(2, self.chain_id.encode()),
            amino.varint_field(3, self.height),
            amino.bytes_field(4, instant.encode(self.time_ns)),
            amino.bytes_field(5, self.last_block_id.encode()),
        ]
        hashes = [amino.bytes_field(n, data) for n, data in enumerate(self._hashes(), start=6)]
        return b"".join(fields + hashes)

    def to_json(self) -> dict[str, object]:
        return {
            "version": {"block": str(self.block), "app": str(self.app)},
            "chain_id": self.chain_id,
            "height": str(self.height),
            "time": instant.to_text(self.time_ns),
            "last_block_id": self.last_block_id.to_json(),
            **{name: _hex(data) for name, data in zip(_HASHES, self._hashes(), strict=True)},
        }


_HASHES: Final = (
    "last_commit_hash",
    "data_hash",
    "validators_hash",
    "next_validators_hash",
    "consensus_hash",
    "app_hash",
    "last_results_hash",
    "evidence_hash",
    "proposer_address",
)


def block_id_from_json(json: Mapping[str, Any]) -> BlockId:
    parts = json["parts"]
    return BlockId(bytes.fromhex(json["hash"]), int(parts["total"]), bytes.fromhex(parts["hash"]))


def header_from_json(json: Mapping[str, Any]) -> Header:
    """The inverse of `Header.to_json`. KeyError, ValueError, TypeError or AttributeError else."""
    return Header(
        block=int(json["version"]["block"]),
        app=int(json["version"]["app"]),
        chain_id=json["chain_id"].encode().decode(),  # half a surrogate is no text
        height=int(json["height"]),
        time_ns=instant.from_text(json["time"]),
        last_block_id=block_id_from_json(json["last_block_id"]),
        **{name: bytes.fromhex(json[name]) for name in _HASHES},
    )


def _hex(data: bytes) -> str:
    return data.hex().upper()

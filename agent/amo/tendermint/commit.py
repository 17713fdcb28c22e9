"""Commits: the signatures that make a block final (Tendermint 0.33).

A precommit is signed over amino bytes with a fixed place for height and round, so that a signer
cannot be made to sign two readings of the same bytes.
"""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, Final

from nacl.exceptions import BadSignatureError
from nacl.signing import SigningKey, VerifyKey

from agent.amo.tendermint import amino, instant, merkle
from agent.amo.tendermint.header import NO_BLOCK, BlockId, block_id_from_json
from agent.amo.tendermint.validators import ValidatorSet, total_power
from agent.errors import MalformedInputError

_PRECOMMIT: Final = 2
_SIGNATURE_BYTES: Final = 64


class Flag(IntEnum):
    ABSENT = 1
    COMMIT = 2
    NIL = 3


@dataclass(frozen=True, slots=True)
class Vote:
    """One validator's part of a commit; `ABSENT_VOTE` where it said nothing."""

    flag: Flag
    address: bytes
    time_ns: int
    signature: bytes

    def encode(self) -> bytes:
        return (
            amino.varint_field(1, self.flag)
            + amino.bytes_field(2, self.address)
            + amino.bytes_field(3, instant.encode(self.time_ns))
            + amino.bytes_field(4, self.signature)
        )

    def to_json(self) -> dict[str, object]:
        return {
            "block_id_flag": int(self.flag),
            "validator_address": self.address.hex().upper(),
            "timestamp": instant.to_text(self.time_ns),
            "signature": b64encode(self.signature).decode() if self.signature else None,
        }


ABSENT_VOTE: Final = Vote(Flag.ABSENT, b"", instant.NEVER_NS, b"")


@dataclass(frozen=True, slots=True)
class Commit:
    """votes: one for each validator of that height, in the order of the set."""

    height: int = 0
    round: int = 0
    block_id: BlockId = NO_BLOCK
    votes: tuple[Vote, ...] = ()

    def hash(self) -> bytes:
        return merkle.root([vote.encode() for vote in self.votes])

    def encode(self) -> bytes:
        return (
            amino.varint_field(1, self.height)
            + amino.varint_field(2, self.round)
            + amino.bytes_field(3, self.block_id.encode())
            + b"".join(amino.element(4, vote.encode()) for vote in self.votes)
        )

    def sign_bytes(self, chain_id: str, flag: Flag, time_ns: int) -> bytes:
        """What a vote of that kind at that time signs. A nil vote names no block."""
        block_id = b"" if flag is Flag.NIL else self.block_id.canonical()
        body = (
            amino.varint_field(1, _PRECOMMIT)
            + amino.fixed64_field(2, self.height)
            + amino.fixed64_field(3, self.round)
            + amino.bytes_field(4, block_id)
            + amino.bytes_field(5, instant.encode(time_ns))
            + amino.bytes_field(6, chain_id.encode())
        )
        return amino.sized(body)

    def to_json(self) -> dict[str, object]:
        return {
            "height": str(self.height),
            "round": str(self.round),
            "block_id": self.block_id.to_json(),
            "signatures": [vote.to_json() for vote in self.votes] or None,
        }


def commit_from_json(json: Mapping[str, Any]) -> Commit:
    """The inverse of `Commit.to_json`. KeyError or ValueError for anything else."""
    votes = tuple(_vote_from_json(vote) for vote in json["signatures"] or ())
    return Commit(
        int(json["height"]), int(json["round"]), block_id_from_json(json["block_id"]), votes
    )


def sign(
    unsigned: Commit,
    chain_id: str,
    validators: ValidatorSet,
    keys: Sequence[SigningKey],
    time_ns: int,
) -> Commit:
    """The commit with a vote by each of `keys`; validators of the set without one are absent."""
    message = unsigned.sign_bytes(chain_id, Flag.COMMIT, time_ns)
    signatures = {bytes(key.verify_key): key.sign(message).signature for key in keys}
    votes = tuple(
        Vote(Flag.COMMIT, each.address, time_ns, signatures[each.public])
        if each.public in signatures
        else ABSENT_VOTE
        for each in validators
    )
    return Commit(unsigned.height, unsigned.round, unsigned.block_id, votes)


def signed_power(commit: Commit, chain_id: str, validators: ValidatorSet) -> int:
    """Power that signed for the block.

    Raises MalformedInputError when a signature is wrong or the set does not fit.
    """
    if len(commit.votes) != len(validators):
        raise MalformedInputError(f"{len(commit.votes)} votes of {len(validators)} validators")
    power = 0
    for at, (vote, validator) in enumerate(zip(commit.votes, validators, strict=True)):
        if vote.flag is Flag.ABSENT:
            continue
        if vote.address != validator.address:
            raise MalformedInputError(f"vote {at} is by another than validator {at}")
        if not _verifies(vote, commit, chain_id, validator.public):
            raise MalformedInputError(f"signature of validator {at} is wrong")
        power += validator.power if vote.flag is Flag.COMMIT else 0
    return power


def is_final(commit: Commit, chain_id: str, validators: ValidatorSet) -> bool:
    """Whether more than two thirds of the power signed, and every signature is right."""
    try:
        return signed_power(commit, chain_id, validators) * 3 > total_power(validators) * 2
    except MalformedInputError:
        return False


def _verifies(vote: Vote, commit: Commit, chain_id: str, public: bytes) -> bool:
    if len(vote.signature) != _SIGNATURE_BYTES:
        return False
    message = commit.sign_bytes(chain_id, vote.flag, vote.time_ns)
    try:
        VerifyKey(public).verify(message, vote.signature)
    except BadSignatureError:
        return False
    return True


def _vote_from_json(json: Mapping[str, Any]) -> Vote:
    return Vote(
        Flag(json["block_id_flag"]),
        bytes.fromhex(json["validator_address"]),
        instant.from_text(json["timestamp"]),
        b64decode(json["signature"] or "", validate=True),
    )

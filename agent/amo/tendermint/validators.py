"""Validator sets: who may sign blocks, and with how much power."""

from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from agent.amo.tendermint import amino, merkle

ADDRESS_BYTES: Final = 20
KEY_BYTES: Final = 32
MAX_TOTAL_POWER: Final = (1 << 59) - 1
KEY_TYPE: Final = "tendermint/PubKeyEd25519"


@dataclass(frozen=True, slots=True)
class Validator:
    """public: Ed25519 key, 32 bytes; power: votes."""

    public: bytes
    power: int

    @property
    def address(self) -> bytes:
        return validator_address(self.public)

    def encode(self) -> bytes:
        key = amino.ED25519_PREFIX + self.public
        return amino.bytes_field(1, key) + amino.varint_field(2, self.power)

    def to_json(self) -> dict[str, object]:
        """No priority is kept: it is in no hash, and whose turn it is follows from the height."""
        return {
            "address": self.address.hex().upper(),
            "pub_key": public_key_json(self.public),
            "voting_power": str(self.power),
            "proposer_priority": "0",
        }


ValidatorSet = tuple[Validator, ...]
"""In the order of addresses, which is also the order of signatures in a commit."""


def validator_address(public: bytes) -> bytes:
    return sha256(public).digest()[:ADDRESS_BYTES]


def public_key_json(public: bytes) -> dict[str, str]:
    return {"type": KEY_TYPE, "value": b64encode(public).decode()}


def from_json(json: Mapping[str, Any]) -> Validator:
    return Validator(b64decode(json["pub_key"]["value"], validate=True), int(json["voting_power"]))


def in_order(validators: Sequence[Validator]) -> ValidatorSet:
    return tuple(sorted(validators, key=lambda validator: validator.address))


def set_hash(validators: ValidatorSet) -> bytes:
    return merkle.root([validator.encode() for validator in validators])


def total_power(validators: ValidatorSet) -> int:
    return sum(validator.power for validator in validators)


def from_stakes(stakes: Sequence[tuple[bytes, int]], limit: int) -> ValidatorSet:
    """The `limit` greatest of (public key, effective stake), powers within Tendermint's bound.

    All amounts are halved together until their sum fits; what comes to nothing has no vote.
    """
    greatest = sorted(stakes, key=lambda stake: (-stake[1], stake[0]))[:limit]
    halvings = 0
    while sum(amount >> halvings for _, amount in greatest) > MAX_TOTAL_POWER:
        halvings += 1
    powers = [Validator(public, amount >> halvings) for public, amount in greatest]
    return in_order([validator for validator in powers if validator.power > 0])

"""Stakes and delegations: coins that give a validator its power.

A new stake is locked for a number of blocks; its record carries that number in its key, falls
by one a block, and at the end is merged into the unlocked record of its holder.
"""

import json
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from agent.amo.devnode.iavl import Tree
from agent.amo.devnode.payload import Payload, stored_amount
from agent.amo.devnode.records import Delegation, amount_text, encode_object
from agent.amo.tendermint.validators import (
    ADDRESS_BYTES,
    ValidatorSet,
    from_stakes,
    validator_address,
)

_STAKE: Final = b"stake:"
_DELEGATE: Final = b"delegate:"


@dataclass(frozen=True, slots=True)
class Stake:
    """holder: account; public: the validator's Ed25519 key; locked_blocks: 0 when free."""

    holder: bytes
    public: bytes
    amount: int
    locked_blocks: int = 0

    @property
    def key(self) -> bytes:
        locked = self.locked_blocks.to_bytes(8) if self.locked_blocks else b""
        return _STAKE + self.holder + locked

    def encode(self) -> bytes:
        public = json.dumps(list(self.public), separators=(",", ":")).encode()
        return encode_object(("validator", public), ("amount", amount_text(self.amount)))


class Stakes:
    """A view of the stakes in a tree. Amounts are mote; a holder's stakes name one validator."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree

    def all(self) -> list[Stake]:
        return [_decode(key, value) for key, value in self._tree.items(_STAKE)]

    def of_holder(self, holder: bytes) -> list[Stake]:
        found = self._tree.items(_STAKE + holder)
        stakes = [_decode(key, value) for key, value in found]
        return [stake for stake in stakes if stake.holder == holder]

    def held(self, holder: bytes) -> int:
        return sum(stake.amount for stake in self.of_holder(holder))

    def holder_of(self, validator: bytes) -> bytes:
        """The account behind a validator address; empty when nobody is."""
        for stake in self.all():
            if validator_address(stake.public) == validator:
                return stake.holder
        return b""

    def set(self, stake: Stake) -> None:
        """A stake of nothing is taken away."""
        if stake.amount == 0:
            self._tree.remove(stake.key)
        else:
            self._tree.set(stake.key, stake.encode())

    def delegation(self, delegator: bytes) -> Delegation | None:
        raw = self._tree.get(_DELEGATE + delegator)
        return None if raw is None else Delegation.decode(raw)

    def set_delegation(self, delegator: bytes, delegation: Delegation) -> None:
        if delegation.amount == 0:
            self._tree.remove(_DELEGATE + delegator)
        else:
            self._tree.set(_DELEGATE + delegator, delegation.encode())

    def delegators(self, delegatee: bytes) -> list[tuple[bytes, int]]:
        """(delegator, amount), by delegator."""
        found = [
            (key[len(_DELEGATE) :], Delegation.decode(value))
            for key, value in self._tree.items(_DELEGATE)
        ]
        return [(who, each.amount) for who, each in found if each.delegatee == delegatee]

    def unlock(self) -> list[Stake]:
        """One block has passed. Gives the stakes that became free."""
        freed = []
        for stake in [stake for stake in self.all() if stake.locked_blocks]:
            self._tree.remove(stake.key)
            later = Stake(stake.holder, stake.public, stake.amount, stake.locked_blocks - 1)
            if later.locked_blocks == 0:
                freed.append(later)
            self.add(later)
        return freed

    def add(self, stake: Stake) -> None:
        """Merge into the record with the same lock."""
        raw = self._tree.get(stake.key)
        present = 0 if raw is None else _decode(stake.key, raw).amount
        self.set(Stake(stake.holder, stake.public, present + stake.amount, stake.locked_blocks))

    def effective(self) -> dict[bytes, tuple[bytes, int]]:
        """Of each holder: (public key, own stake and what was delegated to it)."""
        amounts: defaultdict[bytes, int] = defaultdict(int)
        keys: dict[bytes, bytes] = {}
        for stake in self.all():
            amounts[stake.holder] += stake.amount
            keys[stake.holder] = stake.public
        for _, value in self._tree.items(_DELEGATE):
            delegation = Delegation.decode(value)
            if delegation.delegatee in keys:
                amounts[delegation.delegatee] += delegation.amount
        return {holder: (keys[holder], amount) for holder, amount in amounts.items()}

    def validators(self, limit: int) -> ValidatorSet:
        return from_stakes(list(self.effective().values()), limit)

    def is_validator(self, holder: bytes, limit: int) -> bool:
        stake = self.effective().get(holder)
        return stake is not None and any(v.public == stake[0] for v in self.validators(limit))


@lru_cache(maxsize=1024)  # every block reads every stake
def _decode(key: bytes, value: bytes) -> Stake:
    place = len(_STAKE)
    holder, locked = key[place : place + ADDRESS_BYTES], key[place + ADDRESS_BYTES :]
    read = Payload(value, "Stake")
    public = bytes(json.loads(read.raw("validator")))
    return Stake(holder, public, stored_amount(read.raw("amount")), int.from_bytes(locked))

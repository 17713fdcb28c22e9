"""What a header must be to be believed: Tendermint 0.33, light client (amo-protocol 7.5, 7.6).

Nothing is asked of anybody here: everything is a function of headers, votes and validator sets.
Each raises ForgedError with the reason where what it was given cannot be true.
"""

from dataclasses import dataclass
from typing import Final

from agent.amo.tendermint import instant
from agent.amo.tendermint.commit import Commit, Flag, signed_power
from agent.amo.tendermint.header import Header
from agent.amo.tendermint.validators import (
    KEY_BYTES,
    MAX_TOTAL_POWER,
    ValidatorSet,
    set_hash,
    total_power,
)
from agent.errors import MalformedInputError

MAX_VALIDATORS: Final = 10_000
"""Votes that Tendermint 0.33 takes in one commit."""
_MAX_ROUND: Final = (1 << 31) - 1


class ForgedError(MalformedInputError):
    """It cannot be so on the chain that is trusted. Whoever said it lies.

    height: of the block that it is about
    """

    def __init__(self, height: int, what: str) -> None:
        super().__init__(f"height {height}: {what}")
        self.height = height


@dataclass(frozen=True, slots=True)
class SignedHeader:
    header: Header
    commit: Commit


def check_named(signed: SignedHeader, chain_id: str, height: int) -> None:
    """The header is of that chain and height, and the commit is for it and no other."""
    header, commit = signed.header, signed.commit
    if header.chain_id != chain_id:
        raise ForgedError(height, f"header is of chain {header.chain_id[:60]!r}, not {chain_id!r}")
    if header.height != height:
        raise ForgedError(height, "header is of another height")
    if commit.height != height or not 0 <= commit.round <= _MAX_ROUND:
        raise ForgedError(height, "commit is of another height or of an impossible round")
    if commit.block_id.hash != header.hash():
        raise ForgedError(height, "commit is for another header")


def check_members(members: ValidatorSet, wanted_hash: bytes, height: int) -> None:
    """The set is the one that a header names.

    Powers are held to their range first: in the hash they count modulo 2^64, so that without
    it one validator could be given any power.
    """
    if not 0 < len(members) <= MAX_VALIDATORS:
        raise ForgedError(height, f"{len(members)} validators, 1 to {MAX_VALIDATORS} may be")
    for at, each in enumerate(members):
        if len(each.public) != KEY_BYTES or not 0 < each.power <= MAX_TOTAL_POWER:
            raise ForgedError(height, f"validator {at}: key or power is out of range")
    if total_power(members) > MAX_TOTAL_POWER:
        raise ForgedError(height, f"all power is {total_power(members)}, above {MAX_TOTAL_POWER}")
    if len({each.public for each in members}) != len(members):
        raise ForgedError(height, "a validator is in the set twice")
    if set_hash(members) != wanted_hash:
        raise ForgedError(height, f"validator set is not {wanted_hash.hex().upper()}")


def check_final(signed: SignedHeader, members: ValidatorSet) -> None:
    """More than two thirds of its own set signed, and every signature is right.

    members: those that the header names, checked already
    """
    header = signed.header
    try:
        power = signed_power(signed.commit, header.chain_id, members)
    except MalformedInputError as error:
        raise ForgedError(header.height, str(error)) from error
    total = total_power(members)
    if power * 3 <= total * 2:
        raise ForgedError(
            header.height, f"power {power} of {total} signed; more than two thirds must"
        )


def check_later(trusted: Header, header: Header) -> None:
    if header.time_ns <= trusted.time_ns:
        when = instant.to_text(header.time_ns)
        raise ForgedError(header.height, f"its time {when} is not after {trusted.height}'s")


def check_next(trusted: Header, header: Header) -> None:
    """The header follows from the trusted one, which is of the height below."""
    if header.validators_hash != trusted.next_validators_hash:
        raise ForgedError(header.height, "its validators are not those that the last one named")
    if header.last_block_id.hash != trusted.hash():
        raise ForgedError(header.height, "it does not build on the trusted header before it")


def check_before(trusted: Header, header: Header) -> None:
    """The header is the one that the trusted one, of the height above, builds on."""
    if header.height != trusted.height - 1 or header.hash() != trusted.last_block_id.hash:
        raise ForgedError(trusted.height - 1, "it is not what the trusted header builds on")


def vouched(trusted: ValidatorSet, signed: SignedHeader, members: ValidatorSet) -> bool:
    """Whether at least one third of the trusted power signed too. The commit is checked already."""
    votes = zip(members, signed.commit.votes, strict=True)
    signers = {each.public for each, vote in votes if vote.flag is Flag.COMMIT}
    power = sum(each.power for each in trusted if each.public in signers)
    return power * 3 >= total_power(trusted)

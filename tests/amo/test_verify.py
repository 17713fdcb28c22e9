"""What a header must be to be believed, on headers that real keys signed."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import pytest
from nacl.signing import SigningKey

from agent.amo.tendermint.block import block_from_json
from agent.amo.tendermint.commit import Commit, Flag, commit_from_json
from agent.amo.tendermint.header import Header, header_from_json
from agent.amo.tendermint.validators import Validator, ValidatorSet, from_json, in_order
from agent.amo.tendermint.verify import (
    ForgedError,
    SignedHeader,
    check_before,
    check_final,
    check_later,
    check_members,
    check_named,
    check_next,
    vouched,
)
from tests.amo.madechain import CHAIN_ID, MadeChain, alike, keys, members_of, voted
from tests.amo.recorded import recorded

FOUR = keys(4)
CHAIN = MadeChain(lambda _: alike(FOUR)).grow(3)
HEADER, COMMIT = CHAIN.headers[1], CHAIN.commits[1]
MEMBERS = CHAIN.members(2)


def check(
    header: Header = HEADER, commit: Commit = COMMIT, members: ValidatorSet = MEMBERS
) -> None:
    signed = SignedHeader(header, commit)
    check_named(signed, CHAIN_ID, 2)
    check_members(members, header.validators_hash, 2)
    check_final(signed, members)


def test_recorded_blocks_verify() -> None:
    known = recorded()["real_blocks"][0]
    json = known["commit_7"]["signed_header"]
    signed = SignedHeader(header_from_json(json["header"]), commit_from_json(json["commit"]))
    members = in_order([from_json(each) for each in known["validators_7"]])
    check_named(signed, known["chain_id"], 7)
    check_members(members, signed.header.validators_hash, 7)
    check_final(signed, members)
    after = block_from_json(known["block_8"]).header
    check_later(signed.header, after)
    check_next(signed.header, after)
    check_before(after, signed.header)


def test_recorded_commit_with_an_absent_and_a_nil_vote_counts_what_signed() -> None:
    known = recorded()["tendermint_commit"][0]
    members = in_order([from_json(each) for each in known["validators"]])
    check_members(members, bytes.fromhex(known["validators_hash"]), 1234567)
    header = replace(HEADER, chain_id=known["chain_id"], height=1234567)
    commit = commit_from_json(known["commit"])
    check_final(SignedHeader(header, commit), members)
    heavy = tuple(replace(each, power=10) for each in members)
    with pytest.raises(ForgedError, match="power 20 of 40 signed; more than two thirds must"):
        check_final(SignedHeader(header, commit), heavy)


def test_header_signed_by_all_is_believed() -> None:
    check()


@pytest.mark.parametrize("name", Header.__dataclass_fields__)
def test_no_field_of_a_header_can_be_changed(name: str) -> None:
    old = getattr(HEADER, name)
    if isinstance(old, bytes):
        new: object = bytes([*(old or b"\0")[:-1], (old or b"\0")[-1] ^ 1])
    elif isinstance(old, int):
        new = old + 1
    else:
        new = f"{old}x" if isinstance(old, str) else replace(old, parts_total=2)
    with pytest.raises(ForgedError, match=r"height 2: (commit is for another|header is of)"):
        check(cast("Any", replace)(HEADER, **{name: new}))


def test_commit_by_another_validator_is_refused() -> None:
    stranger = keys(1, first=50)[0]
    others = in_order([*MEMBERS[:3], Validator(bytes(stranger.verify_key), 10)])
    with pytest.raises(ForgedError, match="validator set is not"):
        check(commit=voted(HEADER, others, [*FOUR, stranger]), members=others)
    votes = (COMMIT.votes[1], COMMIT.votes[0], *COMMIT.votes[2:])
    with pytest.raises(ForgedError, match="vote 0 is by another than validator 0"):
        check(commit=replace(COMMIT, votes=votes))


def test_signature_by_another_key_or_for_another_height_is_refused() -> None:
    vote = replace(COMMIT.votes[2], signature=CHAIN.commits[0].votes[2].signature)
    with pytest.raises(ForgedError, match="signature of validator 2 is wrong"):
        check(commit=replace(COMMIT, votes=(*COMMIT.votes[:2], vote, COMMIT.votes[3])))
    short = replace(COMMIT.votes[0], signature=b"")
    with pytest.raises(ForgedError, match="signature of validator 0 is wrong"):
        check(commit=replace(COMMIT, votes=(short, *COMMIT.votes[1:])))


def test_two_thirds_are_not_enough_and_one_more_is() -> None:
    powers = {FOUR[0]: 1, FOUR[1]: 1, FOUR[2]: 1}
    chain = MadeChain(lambda _: powers).grow(2, signers=FOUR[:2])
    signed = SignedHeader(chain.headers[1], chain.commits[1])
    with pytest.raises(ForgedError, match="power 2 of 3 signed; more than two thirds must"):
        check_final(signed, chain.members(2))
    powers = {FOUR[0]: 2, FOUR[1]: 3, FOUR[2]: 2}
    chain = MadeChain(lambda _: powers).grow(2, signers=FOUR[:2])
    check_final(SignedHeader(chain.headers[1], chain.commits[1]), chain.members(2))


def test_votes_for_nothing_do_not_count() -> None:
    nil = voted(HEADER, MEMBERS, FOUR, Flag.NIL)
    with pytest.raises(ForgedError, match="power 0 of 40 signed"):
        check(commit=nil)


def test_commit_with_a_vote_more_or_less_is_refused() -> None:
    for votes in (COMMIT.votes[:3], (*COMMIT.votes, COMMIT.votes[0]), ()):
        with pytest.raises(ForgedError, match="votes of 4 validators"):
            check(commit=replace(COMMIT, votes=votes))


def test_power_that_the_hash_counts_modulo_two_to_the_64_is_refused() -> None:
    """With it one validator alone would have more than two thirds, under the true hash."""
    strong = replace(MEMBERS[0], power=10 + (1 << 64))
    members = (strong, *MEMBERS[1:])
    assert strong.encode() == MEMBERS[0].encode()
    with pytest.raises(ForgedError, match="validator 0: key or power is out of range"):
        check(members=members)


Change = Callable[[ValidatorSet], ValidatorSet]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda _: (), "0 validators"),
        (lambda members: (members[0], *members), "twice"),
        (lambda members: (replace(members[0], power=0), *members[1:]), "out of range"),
        (lambda members: (replace(members[0], power=-1), *members[1:]), "out of range"),
        (lambda members: (replace(members[0], public=b"short"), *members[1:]), "out of range"),
        (lambda members: [replace(each, power=(1 << 59) - 1) for each in members], "all power"),
        (lambda members: members[::-1], "validator set is not"),
        (lambda members: members * 2501, "10004 validators"),
    ],
)
def test_no_other_validator_set_is_taken(change: Change, reason: str) -> None:
    with pytest.raises(ForgedError, match=reason):
        check_members(change(MEMBERS), HEADER.validators_hash, 2)


@pytest.mark.parametrize("change", [{"height": 3}, {"round": -1}, {"round": 1 << 31}])
def test_commit_of_another_height_or_impossible_round_is_refused(change: dict[str, int]) -> None:
    with pytest.raises(ForgedError, match="another height or of an impossible round"):
        check(commit=cast("Any", replace)(COMMIT, **change))


def test_next_header_builds_on_the_last_and_has_the_validators_it_named() -> None:
    first, second, third = CHAIN.headers
    check_next(first, second)
    check_before(second, first)
    with pytest.raises(ForgedError, match="does not build on"):
        check_next(replace(first, app_hash=b"x"), second)
    with pytest.raises(ForgedError, match="validators"):
        check_next(first, replace(second, validators_hash=bytes(32)))
    with pytest.raises(ForgedError, match="is not what the trusted header builds on"):
        check_before(third, first)
    with pytest.raises(ForgedError, match="is not after"):
        check_later(second, first)


@pytest.mark.parametrize(("signing", "believed"), [(0, False), (1, False), (2, True), (6, True)])
def test_a_third_of_the_trusted_power_vouches(signing: int, believed: bool) -> None:
    old = keys(6, first=100)
    trusted = members_of(alike(old))
    now: list[SigningKey] = [*old[:signing], *keys(6 - signing, first=200)]
    chain = MadeChain(lambda _: alike(now)).grow(1)
    signed = SignedHeader(chain.headers[0], chain.commits[0])
    assert vouched(trusted, signed, chain.members(1)) is believed


def test_trusted_validator_who_did_not_sign_does_not_vouch() -> None:
    old = keys(3, first=100)
    now = alike([*old, *keys(20, first=200)])
    chain = MadeChain(lambda _: now).grow(1, signers=keys(20, first=200))
    signed = SignedHeader(chain.headers[0], chain.commits[0])
    assert not vouched(members_of(alike(old)), signed, chain.members(1))


def test_chain_name_that_is_no_text_is_malformed() -> None:
    for name in ("\ud800", 7, None, ["amo"]):
        with pytest.raises((ValueError, AttributeError)):
            header_from_json(json.loads(json.dumps(HEADER.to_json() | {"chain_id": name})))

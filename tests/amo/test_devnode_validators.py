"""Chains of several validators: who proposes, who signs, and what happens when one does not."""

from pathlib import Path

import aiohttp
import pytest

from agent.amo.blocksource import BlockSource
from agent.amo.devnode.archive import Archive
from agent.amo.devnode.chain import Chain
from agent.amo.devnode.net import DevNet, Traits
from agent.amo.light import LightClient
from agent.amo.rpc import RpcClient
from agent.amo.tendermint.commit import Flag, signed_power
from agent.amo.tendermint.validators import set_hash, total_power
from agent.amo.trust import TrustRoot
from agent.clock import SystemClock
from agent.errors import UsageError
from tests.amo.devnets import ALICE, BOB, COINS, devnet

ABSENT = Traits(validators=4, faults=("absent-validator",))


def made(count: int, *faults: str, directory: Path | None = None) -> DevNet:
    traits = Traits(validators=count, faults=faults)
    balances = {ALICE.address: COINS, BOB.address: COINS}
    return DevNet(balances, clock=SystemClock(), directory=directory, traits=traits)


def grow(chain: Chain, blocks: int) -> None:
    for _ in range(blocks):
        chain.make([], chain.genesis.time_ns)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_validator_signs_and_each_proposes_in_turn(count: int) -> None:
    chain = made(count).node.chain
    grow(chain, 2 * count)
    members = chain.validators(1)
    assert len(members) == count
    for height in range(1, 2 * count + 1):
        header, commit = chain.archive.block(height).header, chain.commit(height)
        assert header.proposer_address == members[(height - 1) % count].address
        assert header.validators_hash == set_hash(members) == header.next_validators_hash
        assert signed_power(commit, chain.genesis.chain_id, members) == total_power(members)
        assert commit.round == 0
    chain.archive.close()


def test_absent_validator_has_no_vote_and_its_turn_costs_a_round() -> None:
    chain = made(4, "absent-validator").node.chain
    grow(chain, 8)
    members = chain.validators(1)
    here = {bytes(key.verify_key) for key in chain.keys}
    [absent] = [at for at, each in enumerate(members) if each.public not in here]
    for height in range(1, 9):
        commit, block = chain.commit(height), chain.archive.block(height)
        flags = [vote.flag for vote in commit.votes]
        assert flags.count(Flag.ABSENT) == 1
        assert flags[absent] is Flag.ABSENT
        power = signed_power(commit, chain.genesis.chain_id, members)
        assert power * 4 == total_power(members) * 3
        assert commit.round == int((height - 1) % 4 == absent)
        assert block.header.proposer_address != members[absent].address
    chain.archive.close()


@pytest.mark.parametrize("count", [1, 2, 3])
def test_absent_validator_of_fewer_than_four_would_halt_the_chain(count: int) -> None:
    with pytest.raises(UsageError, match=f"absent-validator with {count} validators"):
        made(count, "absent-validator")


@pytest.mark.parametrize("count", [0, 5])
def test_number_of_validators_is_one_to_four(count: int) -> None:
    with pytest.raises(UsageError, match=f"{count} validators; there can be 1 to 4"):
        made(count)


@pytest.mark.parametrize("traits", [Traits(validators=4), ABSENT])
async def test_light_client_follows_a_chain_of_four(traits: Traits) -> None:
    async with devnet(traits, empty_blocks=True) as net, aiohttp.ClientSession() as session:
        async with RpcClient([net.rpc_url], clock=SystemClock()) as client:
            receipt = await client.submit("transfer", {"to": BOB.address, "amount": "5"}, ALICE)
        async with BlockSource(net.rpc_url, session=session) as source:
            root = TrustRoot(1, net.node.chain.archive.block(1).block_id.hash)
            doubts: list[object] = []
            light = LightClient(
                [source],
                root,
                clock=SystemClock(),
                period_s=3600.0,
                doubted=lambda *doubt: doubts.append(doubt),
            )
            await light.verify(receipt.height, sequential=True)
            proven = await light.prove(receipt.hash)
            members = await source.members(receipt.height)
    assert (proven.height, proven.code, doubts) == (receipt.height, 0, [])
    assert len(members) == 4


async def test_reward_of_a_block_goes_to_the_stake_of_its_proposer() -> None:
    async with devnet(Traits(validators=4)) as net:
        async with RpcClient([net.rpc_url], clock=SystemClock()) as client:
            payload = {"to": BOB.address, "amount": "5"}
            receipt = await client.submit("transfer", payload, ALICE, fee=7)
        chain = net.node.chain
        proposer = chain.archive.block(receipt.height).header.proposer_address
        holder = chain.ledger.stakes.holder_of(proposer)
        assert net.node.state.balance(holder) >= 7 + 1  # the fee, and 1 mote of the chain's
        assert net.node.state.balance(bytes.fromhex(ALICE.address)) == COINS - 5 - 7
        assert net.node.state.balance(bytes.fromhex(BOB.address)) == COINS + 5


def test_chain_of_four_goes_on_from_its_directory_with_the_same_keys(tmp_path: Path) -> None:
    first = made(4, directory=tmp_path).node.chain
    grow(first, 5)
    app_hash = first.ledger.app_hash
    first.archive.close()
    second = made(4, directory=tmp_path).node.chain
    assert (second.height, second.ledger.app_hash) == (5, app_hash)
    grow(second, 1)
    second.archive.close()


def test_chain_of_four_is_not_gone_on_with_by_another_number(tmp_path: Path) -> None:
    made(4, directory=tmp_path).node.chain.archive.close()
    for count in (1, 3):
        with pytest.raises(UsageError, match="began with 4 validators"):
            made(count, directory=tmp_path)


def test_two_of_three_keys_are_not_enough() -> None:
    net = made(3)
    net.node.chain.archive.close()
    first, second, _ = net.node.chain.keys
    with pytest.raises(UsageError, match="2 validators hold 2000000 of 3000000 voting power"):
        Chain(net.node.chain.genesis, first, Archive(None), (second,))

"""Encodings, hashes and signatures, recomputed for blocks recorded from a real chain."""

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from agent.amo.devnode.genesis import read_genesis
from agent.amo.devnode.iavl import Inner, Tree
from agent.amo.devnode.ledger import Ledger
from agent.amo.p256 import Account
from agent.amo.tendermint import amino, instant, merkle
from agent.amo.tendermint.block import (
    block_from_json,
    consensus_hash,
    data_hash,
    results_hash,
    tx_proof,
)
from agent.amo.tendermint.commit import commit_from_json, is_final, signed_power
from agent.amo.tendermint.validators import from_json, from_stakes, in_order, set_hash
from agent.amo.transaction import build
from agent.errors import MalformedInputError

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "amo_vectors.json"


@cache
def vectors() -> Mapping[str, Any]:
    if not VECTORS.exists():
        pytest.skip(f"the recorded vectors are not here: {VECTORS.name}")
    return dict(json.loads(VECTORS.read_text(encoding="utf-8")))


def real() -> Mapping[str, Any]:
    return dict(vectors()["real_blocks"][0])


def upper(data: bytes) -> str:
    return data.hex().upper()


def test_times_and_integers_are_encoded_as_amino_does() -> None:
    known = vectors()["amino_encodings"][0]
    for text, encoded in known["time"].items():
        assert instant.encode(instant.from_text(text)).hex() == encoded
        assert instant.to_text(instant.from_text(text)) == text
    for number, encoded in known["bare_int64"].items():
        assert amino.uvarint(int(number)).hex() == encoded


@pytest.mark.parametrize("text", ["", "2021-01-01", "2021-13-01T00:00:00Z", "2021-01-01T00:00:00"])
def test_time_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(MalformedInputError):
        instant.from_text(text)


@pytest.mark.parametrize("name", ["block_7", "block_8"])
def test_hash_and_parts_of_a_real_block_are_recomputed(name: str) -> None:
    recorded = real()[name]
    block = block_from_json(recorded)
    assert block.to_json() == recorded
    assert block.header.data_hash == data_hash(block.txs)
    assert block.header.last_commit_hash == block.last_commit.hash()


def test_leaves_of_a_real_header_are_recomputed() -> None:
    header = block_from_json(real()["block_7"]).header
    assert [leaf.hex() for leaf in header.leaves()] == real()["header_leaves_hex_block_7"]


def test_results_and_consensus_hashes_of_real_blocks_are_recomputed() -> None:
    header = block_from_json(real()["block_8"]).header
    assert header.last_results_hash == results_hash([0])
    assert header.consensus_hash == consensus_hash(22020096, -1)


def test_real_commit_is_signed_by_its_validators() -> None:
    block = real()
    commit = commit_from_json(block["commit_7"]["signed_header"]["commit"])
    members = in_order([from_json(each) for each in block["validators_7"]])
    assert upper(set_hash(members)) == block["block_7"]["block"]["header"]["validators_hash"]
    assert members[0].encode().hex() == block["validator_leaf_hex"]
    vote = commit.votes[0]
    assert vote.encode().hex() == block["commit_sig_leaf_hex"]
    message = commit.sign_bytes(block["chain_id"], vote.flag, vote.time_ns)
    assert message.hex() == block["sign_bytes_commit_7_sig_0"]
    assert is_final(commit, block["chain_id"], members)


def test_commit_with_an_absent_and_a_nil_vote_is_counted_without_them() -> None:
    known = vectors()["tendermint_commit"][0]
    commit = commit_from_json(known["commit"])
    members = in_order([from_json(each) for each in known["validators"]])
    assert upper(commit.hash()) == known["commit_hash"]
    assert upper(set_hash(members)) == known["validators_hash"]
    for at, message in known["sign_bytes_hex"].items():
        vote = commit.votes[int(at)]
        assert commit.sign_bytes(known["chain_id"], vote.flag, vote.time_ns).hex() == message
    assert signed_power(commit, known["chain_id"], members) == 1000010
    assert is_final(commit, known["chain_id"], members)


def test_commit_with_one_changed_signature_is_not_final() -> None:
    known = vectors()["tendermint_commit"][0]
    commit = commit_from_json(known["commit"])
    members = in_order([from_json(each) for each in known["validators"]])
    wrong = replace(commit.votes[0], signature=bytes(64))
    assert not is_final(
        replace(commit, votes=(wrong, *commit.votes[1:])), known["chain_id"], members
    )
    assert not is_final(replace(commit, votes=commit.votes[1:]), known["chain_id"], members)
    assert not is_final(commit, "another chain", members)


def test_merkle_roots_and_proof_are_those_of_tendermint() -> None:
    known = vectors()["tendermint_txs_merkle"][0]
    txs = [text.encode() for text in known["txs_utf8"]]
    for count, root in known["data_hash_for_first_n"].items():
        assert upper(data_hash(txs[: int(count)])) == root
    proof = tx_proof(txs, 3)
    recorded = known["proof_of_index_3_of_5"]["proof"]
    assert [merkle_text(aunt) for aunt in proof.aunts] == recorded["aunts"]
    assert merkle_text(proof.leaf_hash) == recorded["leaf_hash"]


def merkle_text(data: bytes) -> str:
    return b64encode(data).decode()


@given(st.lists(st.binary(max_size=8), min_size=2, max_size=40, unique=True), st.data())
@settings(max_examples=50, deadline=None)
def test_every_leaf_proves_the_root_and_no_other_place(items: list[bytes], data: Any) -> None:
    index = data.draw(st.integers(0, len(items) - 1))
    proof = merkle.proof(items, index)
    assert proof.root() == merkle.root(items)
    elsewhere = (index + 1) % len(items)
    assert replace(proof, index=elsewhere).root() != merkle.root(items)
    assert replace(proof, index=len(items)).root() == b""
    assert replace(proof, aunts=(*proof.aunts, bytes(32))).root() != merkle.root(items)


def test_tree_of_the_published_test_has_its_root() -> None:
    known = vectors()["app_hash"][0]
    account = {name: Account.from_seed(name) for name in ("t1", "t2", "t3")}
    validator = signing_key("t2val")
    stake = json.dumps(list(validator), separators=(",", ":"))
    parcel = '{"owner":"%s","custody":"0A0A0A0A","extra":{"register":null},"on_sale":false}'
    tree = Tree()
    tree.set(b"balance:" + address(account["t1"]), b'"100"')
    tree.set(
        b"stake:" + address(account["t2"]),
        f'{{"validator":{stake},"amount":"100"}}'.encode(),
    )
    tree.set(b"parcel:\x0c\x0c\x0c\x0c", (parcel % account["t3"].address).encode())
    assert upper(tree.save()) == known["root"]


def signing_key(seed: str) -> bytes:
    return bytes(SigningKey(sha256(seed.encode()).digest()).verify_key)


def address(account: Account) -> bytes:
    return bytes.fromhex(account.address)


def test_app_hashes_of_a_development_chain_are_recomputed() -> None:
    known = vectors()["app_hash"][1]
    genesis = read_genesis(known["genesis"])
    assert upper(genesis.tree().save()) == known["app_hash_by_height"]["0"]
    ledger = Ledger(genesis)
    proposer = bytes.fromhex(known["genesis"]["validators"][0]["address"])
    alice, owner = (Account.from_seed(name).address for name in ("alice", "storageowner"))
    txs = {3: (alice, 1000, 0), 5: (alice, 1000, 0), 7: (owner, 5_000_000, 7)}
    for height in range(1, 8):
        block = [faucet(*txs[height], height)] if height in txs else []
        done = ledger.execute(block, proposer)
        recorded = known["app_hash_by_height"].get(str(height))
        assert recorded in (None, upper(done.app_hash))


def faucet(to: str, amount: int, fee: int, height: int) -> bytes:
    payload = {"to": to, "amount": str(amount)}
    faucet = Account.from_seed("faucet")
    return build("transfer", payload, signer=faucet, fee=fee, last_height=height - 1).raw


@given(
    st.lists(st.tuples(st.booleans(), st.binary(min_size=1, max_size=2)), min_size=1, max_size=120)
)
@settings(max_examples=60, deadline=None)
def test_tree_holds_what_a_map_would_and_stays_balanced(writes: list[tuple[bool, bytes]]) -> None:
    tree, plain = Tree(), dict[bytes, bytes]()
    for put, key in writes:
        if put:
            tree.set(key, key * 2)
            plain[key] = key * 2
        else:
            tree.remove(key)
            plain.pop(key, None)
    assert list(tree.items()) == sorted(plain.items())
    for prefix in {key[:1] for _, key in writes}:
        kept = sorted(item for item in plain.items() if item[0].startswith(prefix))
        assert list(tree.items(prefix)) == kept
    assert all(tree.get(key) == plain.get(key) for _, key in writes)
    assert leans(tree) <= 1


def leans(tree: Tree) -> int:
    """The greatest difference of height between two sides of a node."""
    nodes, greatest = [tree._root], 0
    while nodes:
        node = nodes.pop()
        if isinstance(node, Inner):
            greatest = max(greatest, abs(node.lean))
            nodes += [node.left, node.right]
    return greatest


def test_powers_are_halved_until_their_sum_fits() -> None:
    members = from_stakes([(b"a" * 32, 1 << 60), (b"b" * 32, 1 << 59), (b"c" * 32, 1)], 100)
    assert sorted(each.power for each in members) == [1 << 57, 1 << 58]
    assert len(from_stakes([(bytes([n]) * 32, n + 1) for n in range(5)], 2)) == 2

"""Blocks of our own: they verify, they follow the rules of time, and they survive a stop."""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from nacl.signing import SigningKey

from agent.amo.devnode.archive import Archive
from agent.amo.devnode.chain import Chain
from agent.amo.devnode.genesis import Genesis, dev_genesis, read_genesis
from agent.amo.devnode.mempool import MAX_TX_BYTES, Mempool, NotTakenError
from agent.amo.devnode.node import DevNode
from agent.amo.devnode.rpc_error import RpcError
from agent.amo.p256 import Account
from agent.amo.tendermint.block import data_hash, results_hash, tx_proof
from agent.amo.tendermint.commit import Flag, is_final
from agent.amo.tendermint.validators import set_hash
from agent.amo.transaction import build
from agent.clock import MS, SECOND, Clock, ManualClock, SystemClock
from agent.errors import StoreError, UsageError

ALICE, BOB = Account.from_seed("alice"), Account.from_seed("bob")
KEY = SigningKey(bytes(range(32)))
START_NS = 1_700_000_000 * SECOND


def genesis(**changes: object) -> Genesis:
    made = dev_genesis(
        {ALICE.address: 10**9, BOB.address: 10**9},
        validator=bytes(KEY.verify_key),
        holder=BOB.address,
        time_ns=START_NS,
        chain_id="amo-test",
    )
    return read_genesis({**made.document, **changes})


OPENED: list[Archive] = []


@pytest.fixture(autouse=True)
def _closed() -> Iterator[None]:
    yield
    while OPENED:
        OPENED.pop().close()


def archive(path: Path | None = None) -> Archive:
    OPENED.append(Archive(path))
    return OPENED[-1]


def chain(path: Path | None = None, start: Genesis | None = None) -> Chain:
    return Chain(start or genesis(), KEY, archive(path))


def transfer(amount: int = 1, *, sender: Account = ALICE, last_height: int = 0) -> bytes:
    to = BOB if sender is ALICE else ALICE
    payload = {"to": to.address, "amount": str(amount)}
    return build("transfer", payload, signer=sender, fee=0, last_height=last_height).raw


def signed(kind: str, payload: dict[str, object], sender: Account = ALICE) -> bytes:
    return build(kind, payload, signer=sender, fee=0, last_height=0).raw


def grow(own: Chain, blocks: int) -> None:
    for _ in range(blocks):
        own.make([transfer(own.height + 1)], START_NS + own.height * SECOND)


def test_own_blocks_are_linked_and_verify_as_a_light_client_checks_them() -> None:
    own = chain()
    own.make([], START_NS)
    own.make([transfer(1), transfer(2)], START_NS + SECOND)
    own.make([transfer(10**12)], START_NS + 2 * SECOND)
    own.make([], START_NS + 3 * SECOND)
    for height in range(1, 5):
        block, commit = own.archive.block(height), own.commit(height)
        members = own.validators(height)
        assert is_final(commit, "amo-test", members)
        assert commit.block_id == block.block_id
        assert block.header.validators_hash == set_hash(members)
        assert block.header.data_hash == data_hash(block.txs)
    second, third, fourth = (own.archive.block(height).header for height in (2, 3, 4))
    assert third.last_block_id == own.archive.block(2).block_id
    assert third.last_commit_hash == own.commit(2).hash()
    assert third.last_results_hash == results_hash([0, 0])
    assert fourth.last_results_hash == results_hash([4])
    assert own.archive.block(1).header.app_hash == b""
    assert second.app_hash != third.app_hash


def test_transaction_of_an_own_block_is_proved_against_its_header() -> None:
    own = chain()
    txs = [transfer(amount) for amount in range(1, 8)]
    made = own.make(txs, START_NS)
    for index in range(len(txs)):
        assert tx_proof(txs, index).root() == made.block.header.data_hash


def test_times_rise_by_a_millisecond_even_where_the_clock_stands_still() -> None:
    own = chain()
    times = [own.make([], START_NS - SECOND).block.header.time_ns for _ in range(3)]
    assert times == [START_NS, START_NS + MS, START_NS + 2 * MS]


def test_next_header_carries_the_time_of_the_vote() -> None:
    own = chain()
    own.make([], START_NS + 5 * SECOND + 7)
    assert own.make([], START_NS).block.header.time_ns == START_NS + 5 * SECOND + 7


def test_proof_block_is_due_after_a_change_and_at_the_start_only() -> None:
    own = chain()
    due = []
    for txs in ([], [], [], [transfer()], [], []):
        due.append(own.needs_proof)
        own.make(txs, START_NS)
    assert due == [True, True, False, False, True, False]


def test_chain_goes_on_from_its_file(tmp_path: Path) -> None:
    first = chain(tmp_path / "chain.db")
    grow(first, 5)
    app_hash, last = first.ledger.app_hash, first.latest
    first.archive.close()
    second = chain(tmp_path / "chain.db")
    assert (second.height, second.ledger.app_hash) == (5, app_hash)
    assert second.latest == last
    grow(second, 2)
    assert second.archive.block(6).header.last_commit_hash == second.commit(5).hash()


def test_chain_whose_process_was_killed_between_blocks_goes_on(tmp_path: Path) -> None:
    first = chain(tmp_path / "chain.db")
    grow(first, 3)
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in tmp_path.glob("chain.db*"):
        (copy / file.name).write_bytes(file.read_bytes())  # as a kill leaves it: not closed
    second = chain(copy / "chain.db")
    assert second.height == 3
    grow(second, 1)


def test_executed_transaction_is_refused_after_a_restart_too(tmp_path: Path) -> None:
    raw = transfer()
    first = chain(tmp_path / "chain.db")
    first.make([raw], START_NS)
    first.make([], START_NS)
    first.archive.close()
    second = chain(tmp_path / "chain.db")
    refused = Mempool(second.ledger).add(raw)
    assert (refused.code, refused.log) == (2, "already processed tx")


def test_file_with_a_changed_block_is_not_gone_on_with(tmp_path: Path) -> None:
    first = chain(tmp_path / "chain.db")
    grow(first, 3)
    first.archive.close()
    with sqlite3.connect(tmp_path / "chain.db") as db:
        db.execute(
            "UPDATE block SET block = (SELECT block FROM block WHERE height = 1) WHERE height = 2"
        )
    db.close()
    with pytest.raises(StoreError, match="block 2 "):
        chain(tmp_path / "chain.db")


@pytest.mark.parametrize("content", ["{}", "[]", "no json", '{"block": {"header": {}}}'])
def test_file_with_a_damaged_block_is_a_store_error(tmp_path: Path, content: str) -> None:
    first = chain(tmp_path / "chain.db")
    grow(first, 2)
    first.archive.close()
    with sqlite3.connect(tmp_path / "chain.db") as db:
        db.execute("UPDATE block SET block = ? WHERE height = 1", (content,))
    db.close()
    with pytest.raises(StoreError, match="block 1 is damaged"):
        chain(tmp_path / "chain.db")


def test_file_of_another_chain_is_refused(tmp_path: Path) -> None:
    first = chain(tmp_path / "chain.db")
    first.archive.close()
    with pytest.raises(UsageError, match="another genesis"):
        chain(tmp_path / "chain.db", genesis(chain_id="other"))


def test_file_that_another_node_holds_is_refused(tmp_path: Path) -> None:
    first = chain(tmp_path / "chain.db")
    with pytest.raises(UsageError, match="locked"):
        chain(tmp_path / "chain.db")
    first.archive.close()


def test_file_that_is_no_chain_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chain.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(UsageError):
        chain(tmp_path / "chain.db")


def test_key_without_the_power_to_commit_is_refused() -> None:
    with pytest.raises(UsageError, match="holds 0 of 1000000 voting power"):
        Chain(genesis(), SigningKey(bytes(32)), archive())


def test_validator_set_changes_two_blocks_after_the_stake() -> None:
    own = chain()
    payload: dict[str, object] = {"validator": "11" * 32, "amount": "10000"}
    own.make([signed("stake", payload)], START_NS)
    assert [len(own.validators(height)) for height in (1, 2, 3)] == [1, 1, 2]
    own.make([], START_NS)
    own.make([], START_NS)
    assert is_final(own.commit(3), "amo-test", own.validators(3))
    assert [vote.flag for vote in own.commit(3).votes].count(Flag.ABSENT) == 1


def test_chain_stands_still_when_others_hold_the_power() -> None:
    own = chain()
    payload: dict[str, object] = {"validator": "11" * 32, "amount": "900000000"}
    made = own.make([signed("stake", payload)], START_NS)
    assert made.outcome.outcomes[0].code == 0
    own.make([], START_NS)
    assert not own.can_commit


def test_waiting_transactions_are_checked_again_after_a_block() -> None:
    start = genesis()
    app = dict(start.document["app_state"])
    app["config"] = {**app["config"], "block_binding_window": 2}
    own = chain(start=genesis(app_state=app))
    own.make([], START_NS)
    mempool = Mempool(own.ledger)
    assert mempool.add(transfer(last_height=1)).code == 0
    for _ in range(2):
        own.make([], START_NS)
        mempool.update([])
    assert len(mempool) == 0
    assert mempool.add(transfer(last_height=1)).log == "tx is too old"


def test_mempool_that_is_full_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.amo.devnode.mempool.MAX_TXS", 1)
    mempool = Mempool(chain().ledger)
    mempool.add(transfer(1))
    with pytest.raises(NotTakenError, match="mempool is full: number of txs 1"):
        mempool.add(transfer(2))


def test_transaction_above_the_limit_is_not_taken() -> None:
    with pytest.raises(NotTakenError, match=r"Tx too large\. Max size is 1048576, but got 1048577"):
        Mempool(chain().ledger).add(b" " * (MAX_TX_BYTES + 1))


def test_block_takes_what_fits_and_leaves_the_rest() -> None:
    mempool = Mempool(chain().ledger)
    txs = [transfer(amount) for amount in range(1, 5)]
    for raw in txs:
        mempool.add(raw)
    assert mempool.reap(2 * len(txs[0]) + 20) == txs[:2]


@asynccontextmanager
async def running(node: DevNode) -> AsyncIterator[DevNode]:
    await node.start()
    try:
        yield node
    finally:
        await node.stop()


def node(
    directory: Path | None = None,
    *,
    clock: Clock | None = None,
    block_interval_s: float = 0.01,
    empty_blocks: bool = False,
) -> DevNode:
    return DevNode(
        genesis=genesis(),
        validator=KEY,
        directory=directory,
        clock=clock or SystemClock(),
        block_interval_s=block_interval_s,
        empty_blocks=empty_blocks,
    )


async def settle(node: DevNode, *, height: int) -> None:
    for _ in range(1000):
        if node.chain.height >= height:
            return
        await asyncio.sleep(0.005)
    pytest.fail(f"the chain stays at {node.chain.height}, below {height}")


async def test_quiet_chain_stands_still_after_its_proof_block() -> None:
    async with running(node()) as quiet:
        _, _, height = await quiet.submit_and_wait(transfer())
        await settle(quiet, height=height + 1)
        await asyncio.sleep(0.1)
        assert quiet.chain.height <= max(2, height + 1)


async def test_chain_with_empty_blocks_goes_on_by_itself() -> None:
    async with running(node(empty_blocks=True)) as busy:
        await settle(busy, height=6)


async def test_transaction_does_not_wait_for_the_interval_of_a_quiet_chain() -> None:
    async with running(node()) as quiet:
        await settle(quiet, height=2)
        quiet._interval_ns = 3600 * SECOND  # from here on a wait would be for ever
        async with asyncio.timeout(5):
            await quiet.submit_and_wait(transfer())


async def test_node_runs_on_a_manual_clock() -> None:
    async with running(node(clock=ManualClock(START_NS))) as manual:
        checked, delivered, height = await manual.submit_and_wait(transfer())
        assert (checked.code, delivered.code) == (0, 0)
        assert height >= 1


async def test_stopped_node_goes_on_from_its_directory(tmp_path: Path) -> None:
    async with running(node(tmp_path)) as first:
        _, _, height = await first.submit_and_wait(transfer(7))
        balance = first.state.balance(bytes.fromhex(BOB.address))
    async with running(node(tmp_path)) as second:
        assert second.chain.height >= height
        assert second.state.balance(bytes.fromhex(BOB.address)) == balance


async def test_node_whose_chain_cannot_be_kept_says_so_when_it_stops() -> None:
    broken = node()
    await broken.start()
    await settle(broken, height=2)
    broken.chain.archive.close()
    broken.submit(transfer())
    assert broken._making is not None
    await asyncio.wait({broken._making}, timeout=5)
    with pytest.raises(StoreError):
        await broken.stop()


async def test_stop_does_not_wait_for_who_waits_for_a_block() -> None:
    own = node(block_interval_s=30.0)
    await own.start()
    await settle(own, height=1)
    waiting = asyncio.create_task(own.submit_and_wait(transfer()))
    await asyncio.sleep(0)
    async with asyncio.timeout(2):
        await own.stop()
    with pytest.raises(RpcError, match="timed out waiting for tx"):
        await waiting


def test_transaction_that_waits_is_not_taken_twice() -> None:
    mempool = Mempool(chain().ledger)
    mempool.add(transfer())
    mempool._seen.clear()  # ten thousand others came in between
    with pytest.raises(NotTakenError, match="tx already exists in cache"):
        mempool.add(transfer())
    assert mempool.total_bytes == len(transfer())

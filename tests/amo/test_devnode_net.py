"""The whole far side on loopback: node, storage service and operator together."""

import json
import socket
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from nacl.signing import SigningKey

from agent.amo.devnode.foundation import Foundation
from agent.amo.devnode.genesis import dev_genesis, load_genesis
from agent.amo.devnode.keys import load_validator_key, save_validator_key
from agent.amo.devnode.lies import LIE_MOTE
from agent.amo.devnode.net import DevNet, Traits
from agent.amo.devnode.query import ask
from agent.amo.devnode.storage import StorageForm
from agent.amo.p256 import Account
from agent.amo.rpc import RpcClient
from agent.amo.storage import Form, StorageClient
from agent.amo.transaction import build
from agent.clock import SystemClock
from agent.errors import UsageError

ALICE, BOB = Account.from_seed("alice"), Account.from_seed("bob")
BALANCES = {ALICE.address: 10**6, BOB.address: 10**6}


@asynccontextmanager
async def served(net: DevNet) -> AsyncIterator[DevNet]:
    await net.start()
    try:
        yield net
    finally:
        await net.stop()


def net(directory: Path | None = None, port: int = 0, storage_port: int = 0) -> DevNet:
    return DevNet(
        BALANCES,
        clock=SystemClock(),
        directory=directory,
        port=port,
        storage_port=storage_port,
        block_interval_s=0.01,
    )


async def test_storage_is_set_up_on_the_chain_when_it_serves() -> None:
    async with served(net()) as running:
        shown = json.loads(ask(running.node.chain.ledger, "/storage", b"1").log)
        assert (shown["url"], shown["active"]) == (running.storage_url, True)
        async with aiohttp.ClientSession() as http:
            async with http.get(running.storage_url + "/api/v1/parcels/00?key=owner") as answer:
                assert answer.status == 404
            async with http.get(running.rpc_url + "/health") as answer:
                assert answer.status == 200


async def test_parcel_goes_from_registration_to_a_usage() -> None:
    parcel = f"{1:08X}" + "AB" * 32
    steps = [
        (ALICE, "register", {"target": parcel, "custody": "0A"}),
        (BOB, "request", {"target": parcel, "payment": "5"}),
        (ALICE, "grant", {"target": parcel, "recipient": BOB.address, "custody": "0B"}),
    ]
    async with served(net()) as running:
        assert not running.node.state.has_usage(BOB.address, parcel)
        for signer, kind, payload in steps:
            height = running.node.chain.height
            signed = build(kind, payload, signer=signer, fee=0, last_height=height)
            _, delivered, _ = await running.node.submit_and_wait(signed.raw)
            assert delivered.log == "ok"
        assert running.node.state.has_usage(BOB.address.lower(), parcel)
        assert not running.node.state.has_usage("no hex", parcel)


@pytest.mark.parametrize("form", ["strict", "R", "N"])
async def test_node_and_storage_are_served_on_one_port(form: StorageForm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    one = DevNet(
        BALANCES,
        clock=SystemClock(),
        port=port,
        storage_port=port,
        block_interval_s=0.01,
        traits=Traits(storage_form=form, faults=("lying-balance", "changed-body")),
    )
    async with served(one) as running:
        assert running.storage_url == running.rpc_url == f"http://127.0.0.1:{port}"
        async with RpcClient([running.rpc_url], clock=SystemClock()) as rpc:
            receipt = await rpc.submit("transfer", {"to": BOB.address, "amount": "5"}, ALICE)
            assert receipt.height > 0
            assert await rpc.balance(BOB.address) == 10**6 + 5 + LIE_MOTE
        async with StorageClient(running.storage_url) as storage:
            assert await storage.form() is (Form.N if form == "N" else Form.R)
            parcel = await storage.upload(b"body", ALICE, {})
            assert await storage.stored(parcel, ALICE) != b"body"


async def test_operator_of_the_storage_holds_the_stake() -> None:
    async with served(net()) as running:
        shown = json.loads(ask(running.node.chain.ledger, "/storage", b"1").log)
        [stake] = running.node.chain.ledger.stakes.all()
        assert shown["owner"] == stake.holder.hex().upper()


async def test_anybody_can_have_a_transfer_executed_twice_by_spelling_it_otherwise() -> None:
    """Replay by re-encoding, over the wire: a space is enough, and the same bytes are not."""
    async with served(net()) as running, RpcClient([running.rpc_url], clock=SystemClock()) as rpc:
        signed = await rpc.prepare("transfer", {"to": BOB.address, "amount": "7"}, ALICE, 3)
        await rpc.settle(signed)
        await rpc.settle(signed)
        assert await rpc.balance(BOB.address) == 10**6 + 7
        again = await rpc.broadcast_commit(signed.raw + b" ")
        assert again.hash != signed.hash
        assert await rpc.balance(BOB.address) == 10**6 + 14
        assert await rpc.balance(ALICE.address) == 10**6 - 2 * (7 + 3)


async def test_net_goes_on_from_its_directory(tmp_path: Path) -> None:
    async with served(net(tmp_path)) as first:
        height, operator = first.node.chain.height, ask(first.node.chain.ledger, "/storage", b"1")
    async with served(net(tmp_path)) as second:
        assert second.node.chain.height >= height
        again = ask(second.node.chain.ledger, "/storage", b"1")
    assert json.loads(again.log)["owner"] == json.loads(operator.log)["owner"]


def test_keys_in_the_directory_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    running = net(tmp_path / "far" / "side")
    running.node.chain.archive.close()
    for name in ("priv_validator_key.json", "operator_key"):
        mode = (tmp_path / "far" / "side" / name).stat().st_mode
        assert stat.S_IMODE(mode) == 0o600


async def test_directory_with_other_balances_is_refused(tmp_path: Path) -> None:
    first = net(tmp_path)
    first.node.chain.archive.close()
    with pytest.raises(UsageError, match="other balances"):
        DevNet({ALICE.address: 1}, clock=SystemClock(), directory=tmp_path)


@pytest.mark.parametrize("which", ["port", "storage_port"])
async def test_port_in_use_is_a_usage_error_that_names_it(which: str) -> None:
    async with served(net()) as running:
        url = running.rpc_url if which == "port" else running.storage_url
        port = int(url.rsplit(":", 1)[1])
        second = net(port=port) if which == "port" else net(storage_port=port)
        with pytest.raises(UsageError, match=f"127.0.0.1:{port} "):
            await second.start()


async def test_chain_defined_by_somebody_else_is_left_as_it_is(tmp_path: Path) -> None:
    key = SigningKey(bytes(32))
    genesis = dev_genesis(
        BALANCES,
        validator=bytes(key.verify_key),
        holder=BOB.address,
        time_ns=0,
        chain_id="recorded",
    )
    (tmp_path / "genesis.json").write_text(json.dumps(genesis.document))
    save_validator_key(tmp_path / "key.json", key)
    start = Foundation.load(tmp_path / "genesis.json", tmp_path / "key.json")
    running = DevNet(start, clock=SystemClock(), block_interval_s=0.01)
    async with served(running):
        assert running.node.chain.genesis.chain_id == "recorded"
        assert running.node.state.storage(1) is None


def test_validator_key_is_kept_in_the_form_of_tendermint(tmp_path: Path) -> None:
    path = tmp_path / "priv_validator_key.json"
    save_validator_key(path, SigningKey(bytes(32)))
    document = json.loads(path.read_text())
    assert list(document) == ["address", "pub_key", "priv_key"]
    assert document["priv_key"]["type"] == "tendermint/PrivKeyEd25519"
    assert bytes(load_validator_key(path)) == bytes(32)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"priv_key":{"value":"AA=="}}', '{"priv_key":{"value":7}}']
)
def test_validator_key_that_is_none_is_a_usage_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.json"
    path.write_text(text)
    with pytest.raises(UsageError):
        load_validator_key(path)


def test_file_that_is_not_there_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        load_validator_key(tmp_path / "none")
    with pytest.raises(UsageError):
        load_genesis(tmp_path / "none")

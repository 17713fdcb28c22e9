"""The node's RPC over HTTP: forms of answers as recorded from a reference node, and its errors."""

import asyncio
import json
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from nacl.signing import SigningKey

from agent.amo.devnode.genesis import dev_genesis
from agent.amo.devnode.node import DevNode
from agent.amo.p256 import Account
from agent.amo.transaction import build
from agent.clock import SystemClock
from agent.errors import UsageError

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "amo_vectors.json"
ALICE = Account.from_seed("alice")
BOB = Account.from_seed("bob")
KEY = SigningKey(sha256(b"validator of the tests").digest())
START_NS = 1_700_000_000_123_456_789


def node(directory: Path | None = None) -> DevNode:
    genesis = dev_genesis(
        {ALICE.address: 10**20, BOB.address: 10**18},
        validator=bytes(KEY.verify_key),
        holder=BOB.address,
        time_ns=START_NS,
        chain_id="amo-test",
    )
    return DevNode(
        genesis=genesis,
        validator=KEY,
        directory=directory,
        clock=SystemClock(),
        block_interval_s=0.01,
    )


class Client:
    def __init__(self, url: str, http: aiohttp.ClientSession) -> None:
        self.url = url
        self.http = http

    async def post(self, body: object) -> Any:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        async with self.http.post(self.url + "/", data=data) as answer:
            text = await answer.text()
            return json.loads(text) if text else None

    async def call(self, method: str, **params: object) -> Any:
        request = {"jsonrpc": "2.0", "id": "x", "method": method, "params": params}
        return await self.post(request)

    async def get(self, path: str) -> Any:
        async with self.http.get(self.url + path) as answer:
            return json.loads(await answer.text())

    async def result(self, method: str, **params: object) -> Any:
        answer = await self.call(method, **params)
        assert "result" in answer, answer
        return answer["result"]

    async def error(self, method: str, **params: object) -> str:
        answer = await self.call(method, **params)
        return f"{answer['error']['code']} {answer['error'].get('data', '')}"

    async def send(self, raw: bytes, how: str = "commit") -> Any:
        return await self.call(f"broadcast_tx_{how}", tx=b64encode(raw).decode())


@asynccontextmanager
async def served(directory: Path | None = None) -> AsyncIterator[tuple[DevNode, Client]]:
    running = node(directory)
    await running.start()
    async with aiohttp.ClientSession() as http:
        try:
            yield running, Client(running.url, http)
        finally:
            await running.stop()


@pytest.fixture
async def client() -> AsyncIterator[Client]:
    async with served() as (_, client):
        yield client


def transfer(amount: int = 5, *, fee: int = 7, last_height: int = 0) -> bytes:
    payload = {"to": BOB.address, "amount": str(amount)}
    return build("transfer", payload, signer=ALICE, fee=fee, last_height=last_height).raw


def samples() -> Mapping[str, Any]:
    if not VECTORS.exists():
        pytest.skip(f"the recorded vectors are not here: {VECTORS.name}")
    return dict(json.loads(VECTORS.read_text(encoding="utf-8"))["rpc_samples"]["samples"])


def form(value: object) -> object:
    """Names in their order and kinds of values; of a list its first element."""
    if isinstance(value, dict):
        return [(name, form(member)) for name, member in value.items()]
    if isinstance(value, list):
        return [form(value[0])] if value else []
    return type(value).__name__


async def third_block(client: Client) -> str:
    """Height of a block above the first two, with a transaction in it."""
    height = 0
    while height <= 2:
        sent = await client.send(transfer(height + 1))
        height = int(sent["result"]["height"])
    return str(height)


@pytest.mark.parametrize(
    ("sample", "method", "params"),
    [
        ("health", "health", {}),
        ("status", "status", {}),
        ("net_info", "net_info", {}),
        ("abci_info", "abci_info", {}),
        ("block7", "block", {"height": "HEIGHT"}),
        ("commit7", "commit", {"height": "HEIGHT"}),
        ("validators7", "validators", {"height": "HEIGHT"}),
        ("validators latest", "validators", {}),
        ("consensus_params", "consensus_params", {"height": "HEIGHT"}),
        ("block_results 7", "block_results", {"height": "HEIGHT"}),
        ("blockchain", "blockchain", {"minHeight": "HEIGHT", "maxHeight": "HEIGHT"}),
        ("num_unconf", "num_unconfirmed_txs", {}),
        ("unconf", "unconfirmed_txs", {}),
        ("version", "abci_query", {"path": "/version", "data": ""}),
        ("bad path", "abci_query", {"path": "/nope", "data": "00"}),
        ("no data", "abci_query", {"path": "/balance", "data": ""}),
        ("bad key", "abci_query", {"path": "/balance", "data": "00"}),
        ("tx_search (none)", "tx_search", {"query": "tx.height=3"}),
    ],
)
async def test_answer_has_the_recorded_form(
    client: Client, sample: str, method: str, params: dict[str, object]
) -> None:
    recorded = samples()[sample]["result"]
    height = await third_block(client)
    params = {name: height if value == "HEIGHT" else value for name, value in params.items()}
    assert form(await client.result(method, **params)) == form(recorded)


async def test_genesis_is_answered_with_the_recorded_members(client: Client) -> None:
    recorded = samples()["genesis"]["result"]["genesis"]
    ours = (await client.result("genesis"))["genesis"]
    assert list(ours) == list(recorded)
    assert form(ours["consensus_params"]) == form(recorded["consensus_params"])
    assert form(ours["validators"]) == form(recorded["validators"])


async def test_transactions_are_answered_with_the_recorded_forms(client: Client) -> None:
    recorded = samples()
    first = await client.send(transfer(1))
    assert form(first) == form(recorded["transfer commit"])
    assert form(await client.send(transfer(2), "sync")) == form(recorded["transfer sync"])
    assert form(await client.send(transfer(3), "async")) == form(recorded["transfer async"])
    digest = b64encode(bytes.fromhex(first["result"]["hash"])).decode()
    assert form(await client.call("tx", hash=digest, prove=True)) == form(recorded["tx"])
    query = f"tx.hash='{first['result']['hash']}'"
    assert form(await client.call("tx_search", query=query)) == form(
        recorded["tx_search (one hit)"]
    )


@pytest.mark.parametrize(
    ("sample", "method", "params"),
    [
        ("block too high", "block", {"height": "99999"}),
        ("block 0", "block", {"height": "0"}),
        ("block neg", "block", {"height": "-1"}),
        ("block int height", "block", {"height": 7}),
        ("block bad", "block", {"height": "abc"}),
        ("no method", "nope", {}),
        ("tx bad hash", "tx", {"hash": "!!", "prove": False}),
        ("tx notfound", "tx", {"hash": b64encode(bytes(32)).decode(), "prove": False}),
        ("abci_query bad hex", "abci_query", {"path": "/balance", "data": "zz"}),
    ],
)
async def test_error_is_worded_as_recorded(
    client: Client, sample: str, method: str, params: dict[str, object]
) -> None:
    recorded = samples()[sample]["error"]
    ours = (await client.call(method, **params))["error"]
    where = "blockchain height"
    theirs = recorded.get("data", "")
    assert (ours["code"], ours["message"]) == (recorded["code"], recorded["message"])
    assert ours.get("data", "").split(where)[0] == theirs.split(where)[0]


async def test_transaction_seen_before_is_refused_by_the_cache(client: Client) -> None:
    raw = transfer()
    await client.send(raw)
    recorded = samples()
    for how, sample in (("commit", "replay same"), ("sync", "replay same sync")):
        assert (await client.send(raw, how))["error"] == recorded[sample]["error"]


async def test_commit_shows_the_check_that_refused_and_an_empty_result(client: Client) -> None:
    raw = transfer().replace(b'"fee":"7"', b'"fee":"8"')
    result = (await client.send(raw))["result"]
    assert (result["check_tx"]["code"], result["check_tx"]["log"]) == (
        12,
        "Signature verification failed",
    )
    assert result["deliver_tx"] == {
        "code": 0,
        "data": None,
        "log": "",
        "info": "",
        "gasWanted": "0",
        "gasUsed": "0",
        "events": [],
        "codespace": "",
    }
    assert result["height"] == "0"


async def test_refused_transaction_may_be_sent_again(client: Client) -> None:
    raw = transfer().replace(b'"fee":"7"', b'"fee":"8"')
    answers = [(await client.send(raw, "sync"))["result"]["code"] for _ in range(2)]
    assert answers == [12, 12]


async def test_notification_gets_an_empty_answer_and_is_not_executed(client: Client) -> None:
    params = {"tx": b64encode(transfer()).decode()}
    assert await client.post({"method": "broadcast_tx_commit", "params": params}) is None
    assert await client.post({"method": "health", "id": None, "params": {}}) is None
    answer = await client.result("abci_query", path="/balance", data=hex_of(ALICE.address))
    assert answer["response"]["log"] == f'"{10**20}"'


def hex_of(text: str) -> str:
    return json.dumps(text).encode().hex()


async def test_batch_is_answered_by_a_list_without_its_notifications(client: Client) -> None:
    health = {"method": "health", "params": {}}
    batch = [health | {"id": 1}, health, health | {"id": 2.9}]
    assert [answer["id"] for answer in await client.post(batch)] == [1, 2]


async def test_batch_of_one_is_answered_by_an_object(client: Client) -> None:
    assert (await client.post([{"method": "health", "id": "a", "params": []}]))["result"] == {}


async def test_params_may_be_a_list_in_the_order_of_the_arguments(client: Client) -> None:
    answer = await client.post({"id": 1, "method": "block", "params": ["1"]})
    assert answer["result"]["block"]["header"]["height"] == "1"
    answer = await client.post({"id": 1, "method": "block", "params": ["1", "2"]})
    assert answer["error"]["code"] == -32602


async def test_missing_params_break_off_the_request_as_in_the_reference(client: Client) -> None:
    body = json.dumps({"id": 1, "method": "block"})
    async with client.http.post(client.url, data=body) as answer:
        assert answer.status == 500
        broken = json.loads(await answer.text())
    assert (broken["id"], broken["error"]["code"]) == (-1, -32603)


async def test_get_takes_quoted_texts_bare_numbers_and_bytes_in_hex(client: Client) -> None:
    answer = await client.get("/block?height=1")
    assert (answer["id"], answer["result"]["block"]["header"]["height"]) == (-1, "1")
    assert (await client.get('/block?height="1"'))["result"] == answer["result"]
    data = quote(json.dumps(json.dumps(ALICE.address)))
    found = await client.get(f'/abci_query?path="/balance"&data={data}')
    assert found["result"]["response"]["log"] == f'"{10**20}"'
    sent = await client.get(f"/broadcast_tx_commit?tx=0x{transfer().hex()}")
    assert sent["result"]["deliver_tx"]["code"] == 0
    bare = await client.get("/abci_query?path=/balance&data=0x22")
    assert bare["error"]["data"].startswith("error converting http params to arguments: ")


async def test_post_to_a_method_reads_its_query(client: Client) -> None:
    text = quote(json.dumps(transfer().decode()))
    async with client.http.post(f"{client.url}/broadcast_tx_commit?tx={text}") as answer:
        assert json.loads(await answer.text())["result"]["deliver_tx"]["code"] == 0


async def test_answer_is_indented_json_with_the_servers_time(client: Client) -> None:
    body = json.dumps({"id": "<&>", "method": "health", "params": {}})
    async with client.http.post(client.url, data=body) as answer:
        assert answer.headers["Content-Type"].startswith("application/json")
        assert int(answer.headers["X-Server-Time"]) > 1_600_000_000
        text = await answer.text()
    assert text.startswith('{\n  "jsonrpc": "2.0",\n  "id": "\\u003c\\u0026\\u003e"')


async def test_unknown_path_is_not_found_and_the_root_is_a_list(client: Client) -> None:
    async with client.http.get(client.url + "/nope") as answer:
        assert (answer.status, (await answer.text()).strip()) == (404, "404 page not found")
    async with client.http.get(client.url + "/") as answer:
        assert "broadcast_tx_commit" in await answer.text()


async def test_body_above_the_limit_is_refused(client: Client) -> None:
    answer = await client.post(b"[" + b" " * 1_000_000)
    assert answer["error"]["code"] == -32600
    assert answer["error"]["data"] == "error reading request body: http: request body too large"
    assert "id" not in answer


GARBAGE = [
    b"{",
    b"\xff\xfe\x00",
    b"null",
    b"7",
    b'"x"',
    b"[]",
    b"[1,2]",
    b"{}",
    b'{"id":{},"method":"health"}',
    b'{"id":true,"method":"health"}',
    b'{"id":1,"method":7}',
    b'{"id":1e400,"method":"health","params":{}}',
    b'{"id":' + b"9" * 5000 + b',"method":"health","params":{}}',
    b"[" * 100_000,
    b'{"id":1,"method":"block","params":"x"}',
    b'{"id":1,"method":"block","params":{"height":"' + b"9" * 5000 + b'"}}',
    b'{"id":1,"method":"block","params":{"height":[[[]]]}}',
    b'{"id":1,"method":"tx","params":{"hash":"","prove":"yes"}}',
    b'{"id":1,"method":"tx_search","params":{"query":"((((","page":"-1"}}',
    b'{"id":1,"method":"validators","params":{"page":"99"}}',
    b'{"id":1,"method":"abci_query","params":{"path":"////","data":"22"}}',
    b'{"id":1,"method":"abci_query","params":{"path":"/did","data":"225c7564383030"}}',
    b'{"id":1,"method":"broadcast_tx_sync","params":{"tx":"AA=="}}',
    b'{"id":1,"method":"broadcast_tx_sync","params":{}}',
]


@pytest.mark.parametrize("body", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_is_answered_and_the_server_goes_on(client: Client, body: bytes) -> None:
    async with client.http.post(client.url, data=body) as answer:
        assert answer.status in (200, 500)
        text = await answer.text()
        assert not text or text[0] in "[{"
    assert (await client.call("health"))["result"] == {}


async def test_what_is_no_http_at_all_ends_its_own_connection_only(client: Client) -> None:
    host, port = client.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(b"\x16\x03\x01\x00\xa5 not http \r\n\r\n")
    await writer.drain()
    assert b"400" in await reader.read(100)
    writer.close()
    assert (await client.call("health"))["result"] == {}


async def test_port_in_use_is_a_usage_error_that_names_it(client: Client) -> None:
    port = int(client.url.rsplit(":", 1)[1])
    second = node()
    with pytest.raises(UsageError, match=f"127.0.0.1:{port} "):
        await second.start(port=port)
    await second.stop()


async def test_page_out_of_range_is_refused_with_the_range(client: Client) -> None:
    assert await client.error("validators", page="2") == (
        "-32603 page should be within [0, 1] range, given 2"
    )

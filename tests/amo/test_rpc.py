import base64
import gzip
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from agent.amo import payload
from agent.amo.codes import ResultCode
from agent.amo.p256 import Account
from agent.amo.rpc import BINDING_BLOCKS, Receipt, RpcClient
from agent.amo.transaction import build, parse, tx_hash
from agent.amo.web import Limits
from agent.clock import SECOND, ManualClock
from agent.errors import PushbackError, RefusedError, RemoteError, UsageError
from tests.amo.nodes import Node, deaf, result, sample, served
from tests.amo.recorded import recorded

ALICE = Account.from_seed("alice")
BOB = Account.from_seed("bob")
PARCEL = "00000001" + "AB" * 32
TRANSFER = build(
    "transfer", payload.transfer(BOB.address, mote=5), signer=ALICE, fee=0, last_height=2
)


@asynccontextmanager
async def client(*nodes: Node | str, **options: Any) -> AsyncIterator[RpcClient]:
    """A client of these nodes, or of URLs as they stand, in this order."""
    async with AsyncExitStack() as stack:
        endpoints = [
            node if isinstance(node, str) else await stack.enter_async_context(served(node.app()))
            for node in nodes
        ]
        options.setdefault("clock", ManualClock())
        yield await stack.enter_async_context(RpcClient(endpoints, **options))


def node(**answers: Any) -> Node:
    made = Node()
    for method, answer in answers.items():
        made.on(method, *(answer if isinstance(answer, list) else [answer]))
    return made


def error(code: int, data: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "error": {"code": code, "message": "Internal error", "data": data}}


def found(value: object) -> dict[str, Any]:
    text = base64.b64encode(json.dumps(value).encode()).decode()
    return result({"response": {"code": 0, "log": "", "value": text}})


def checked(raw: bytes, code: int = 0, log: str = "ok") -> dict[str, Any]:
    return result({"code": code, "data": "", "log": log, "codespace": "amo", "hash": tx_hash(raw)})


def executed(raw: bytes, code: int = 0, log: str = "ok", height: int = 7) -> dict[str, Any]:
    return result(
        {
            "hash": tx_hash(raw),
            "height": str(height),
            "index": 0,
            "tx_result": {"code": code, "log": log},
            "tx": base64.b64encode(raw).decode(),
        }
    )


def status_at(height: int) -> dict[str, Any]:
    answer = sample("status")
    answer["result"]["sync_info"]["latest_block_height"] = str(height)
    return answer


async def test_recorded_status_is_read() -> None:
    async with client(node(status=sample("status"))) as rpc:
        status = await rpc.status()
    assert status.chain_id == "amo-dev-spec"
    assert (status.latest_height, status.earliest_height, status.catching_up) == (2, 1, False)


async def test_recorded_balance_is_read_in_mote() -> None:
    asked = node(abci_query=[sample("balance faucet"), sample("balance none")])
    async with client(asked) as rpc:
        assert await rpc.balance("E5F29B6DED532D372BD8684762469C034274A408") == 10**24
        assert await rpc.balance(BOB.address) == 0


async def test_query_data_is_the_hex_of_json_as_recorded() -> None:
    for case in recorded()["abci_query_data"]:
        asked = node(abci_query=found(None))
        async with client(asked) as rpc:
            await rpc.abci_query("/x", json.loads(case["json"]))
        [(_, params)] = asked.asked
        assert params["data"].lower() == case["hex"].lower()
        assert params == {"path": "/x", "data": params["data"], "height": "0", "prove": False}


@pytest.mark.parametrize("name", ["parcel none", "storage none", "usage none", "did none"])
async def test_what_the_chain_does_not_have_is_none(name: str) -> None:
    async with client(node(abci_query=sample(name))) as rpc:
        assert await rpc.parcel(PARCEL) is None
        assert await rpc.storage(1) is None
        assert await rpc.usage(BOB.address, PARCEL) is None
        assert await rpc.request(BOB.address, PARCEL) is None
        assert await rpc.abci_query("/did", "did:amo:x") is None


@pytest.mark.parametrize(
    ("name", "code"), [("bad path", 1002), ("no data", 1003), ("bad key", 1004)]
)
async def test_question_the_chain_does_not_understand_is_refused(name: str, code: int) -> None:
    async with client(node(abci_query=sample(name))) as rpc:
        with pytest.raises(RefusedError) as caught:
            await rpc.parcel(PARCEL)
    assert caught.value.code == code


async def test_usage_is_asked_for_by_recipient() -> None:
    asked = node(abci_query=found({"custody": "22"}))
    async with client(asked) as rpc:
        assert await rpc.usage(BOB.address, PARCEL) == {"custody": "22"}
    sent = json.loads(bytes.fromhex(asked.asked[0][1]["data"]))
    assert sent == {"recipient": BOB.address, "target": PARCEL}


async def test_recorded_transaction_is_read_and_its_bytes_fit_its_hash() -> None:
    answer = sample("tx")
    asked = node(tx=answer)
    async with client(asked) as rpc:
        tx = await rpc.tx(answer["result"]["hash"].lower())
    assert tx is not None
    assert (tx.height, tx.code, tx.log) == (7, 0, "ok")
    assert parse(tx.raw).is_signed_by_sender()
    assert base64.b64decode(asked.asked[0][1]["hash"]).hex().upper() == tx.hash


async def test_transaction_no_node_knows_is_none() -> None:
    async with client(node(tx=sample("tx notfound"))) as rpc:
        assert await rpc.tx("00" * 32) is None


async def test_transaction_under_a_false_hash_is_not_believed() -> None:
    async with client(node(tx=sample("tx"))) as rpc:
        with pytest.raises(RemoteError, match="another transaction"):
            await rpc.tx("00" * 32)


@pytest.mark.parametrize("hash_hex", ["", "00", "zz" * 32, "0x" + "00" * 31])
async def test_hash_of_another_form_is_not_asked_for(hash_hex: str) -> None:
    async with client(node()) as rpc:
        with pytest.raises(UsageError):
            await rpc.tx(hash_hex)


async def test_recorded_block_gives_its_transactions() -> None:
    async with client(node(block=sample("block7"))) as rpc:
        [raw] = await rpc.transactions(7)
        assert (await rpc.block(7))["block_id"] == sample("block7")["result"]["block_id"]
    assert tx_hash(raw) == sample("tx")["result"]["hash"]


async def test_block_without_transactions_gives_none() -> None:
    async with client(node(block=sample("block8"))) as rpc:
        assert await rpc.transactions(8) == []


async def test_heights_with_transactions_come_newest_first() -> None:
    async with client(node(blockchain=sample("blockchain"))) as rpc:
        heights = await rpc.busy_heights(1, 3)
    metas = sample("blockchain")["result"]["block_metas"]
    assert heights == [int(m["header"]["height"]) for m in metas if m["num_txs"] != "0"]


async def test_empty_range_of_heights_is_not_asked_for() -> None:
    async with client(node()) as rpc:
        assert await rpc.busy_heights(4, 3) == []


async def test_sync_broadcast_gives_the_hash_of_the_bytes() -> None:
    asked = node(broadcast_tx_sync=checked(TRANSFER.raw))
    async with client(asked) as rpc:
        assert await rpc.broadcast_sync(TRANSFER.raw) == TRANSFER.hash
    assert base64.b64decode(asked.asked[0][1]["tx"]) == TRANSFER.raw


@pytest.mark.parametrize(
    "answer",
    [sample("replay same sync"), checked(TRANSFER.raw, 2, "already processed tx")],
    ids=["in the cache", "in a block"],
)
async def test_transaction_that_was_sent_before_counts_as_sent(answer: dict[str, Any]) -> None:
    async with client(node(broadcast_tx_sync=answer)) as rpc:
        assert await rpc.broadcast_sync(TRANSFER.raw) == TRANSFER.hash


async def test_refusal_by_the_mempool_has_the_code_and_the_log() -> None:
    answer = checked(TRANSFER.raw, 12, "Signature verification failed")
    async with client(node(broadcast_tx_sync=answer)) as rpc:
        with pytest.raises(RefusedError, match="Signature verification failed") as caught:
            await rpc.broadcast_sync(TRANSFER.raw)
    assert caught.value.code == ResultCode.BAD_SIGNATURE


async def test_answer_about_another_transaction_is_not_believed() -> None:
    async with client(node(broadcast_tx_sync=sample("transfer sync"))) as rpc:
        with pytest.raises(RemoteError, match="another transaction"):
            await rpc.broadcast_sync(TRANSFER.raw)


@pytest.mark.parametrize(("check", "deliver", "code"), [(12, 0, 12), (0, 4, 4)])
async def test_commit_reads_both_codes(check: int, deliver: int, code: int) -> None:
    answer = sample("transfer commit")
    answer["result"]["hash"] = TRANSFER.hash
    answer["result"]["check_tx"]["code"] = check
    answer["result"]["deliver_tx"]["code"] = deliver
    async with client(node(broadcast_tx_commit=answer)) as rpc:
        with pytest.raises(RefusedError) as caught:
            await rpc.broadcast_commit(TRANSFER.raw)
    assert caught.value.code == code


async def test_commit_of_a_sent_transaction_waits_for_its_block() -> None:
    asked = node(broadcast_tx_commit=sample("replay same"), tx=executed(TRANSFER.raw))
    async with client(asked) as rpc:
        assert await rpc.broadcast_commit(TRANSFER.raw) == Receipt(TRANSFER.hash, 7)


async def test_submit_binds_sends_and_waits_until_the_block_is_there() -> None:
    asked = Node()
    raws: list[bytes] = []

    def take(_: web.Request, call: dict[str, Any]) -> dict[str, Any]:
        raws.append(base64.b64decode(call["params"]["tx"]))
        asked.on("tx", sample("tx notfound"), sample("tx notfound"), executed(raws[0]))
        return checked(raws[0])

    asked.on("status", status_at(125))
    asked.on("abci_query", sample("config"))
    asked.on("broadcast_tx_sync", take)
    clock = ManualClock()
    async with client(asked, clock=clock) as rpc:
        receipt = await rpc.submit("transfer", payload.transfer(BOB.address, mote=1), ALICE, 3)
    assert receipt == Receipt(tx_hash(raws[0]), 7)
    assert asked.count("tx") == 3
    assert clock.mono_ns() > 0
    tx = parse(raws[0])
    assert tx.is_signed_by_sender()
    assert (tx.fee, tx.last_height) == (3, "125")


@pytest.mark.parametrize(
    ("latest", "bound"),
    [
        (0, 0),
        (1, 1),
        (9_900, 9_900),  # a young chain
        (9_901, 1),
        (10_000, BINDING_BLOCKS),
        (123_456, 123_456 - 10_000 + BINDING_BLOCKS),
    ],
)
async def test_transaction_is_bound_as_shortly_as_the_age_of_the_chain_allows(
    latest: int, bound: int
) -> None:
    async with client(node(status=status_at(latest), abci_query=sample("config"))) as rpc:
        signed = await rpc.prepare("discard", payload.discard(PARCEL), ALICE)
    assert parse(signed.raw).bound_height == bound


async def test_window_shorter_than_the_binding_binds_to_the_latest_height() -> None:
    asked = node(status=status_at(500), abci_query=found({"block_binding_window": 20}))
    async with client(asked) as rpc:
        signed = await rpc.prepare("discard", payload.discard(PARCEL), ALICE)
    assert parse(signed.raw).bound_height == 500


async def test_transaction_that_failed_in_its_block_is_refused_with_its_code() -> None:
    asked = node(
        broadcast_tx_sync=checked(TRANSFER.raw),
        tx=executed(TRANSFER.raw, 4, "not enough balance"),
    )
    async with client(asked) as rpc:
        with pytest.raises(RefusedError, match="not enough balance") as caught:
            await rpc.settle(TRANSFER)
    assert caught.value.code == ResultCode.NOT_ENOUGH_BALANCE


async def test_waiting_for_a_block_ends_with_the_patience_and_names_the_hash() -> None:
    asked = node(broadcast_tx_sync=checked(TRANSFER.raw), tx=sample("tx notfound"))
    clock = ManualClock()
    async with client(asked, clock=clock, patience_s=20) as rpc:
        with pytest.raises(RemoteError, match=TRANSFER.hash) as caught:
            await rpc.settle(TRANSFER)
    assert not isinstance(caught.value, RefusedError)
    assert 19 * SECOND < clock.mono_ns() <= 20 * SECOND


async def test_node_that_fails_while_waiting_is_asked_again() -> None:
    gone = web.Response(status=502, text="bad gateway")
    asked = node(
        broadcast_tx_sync=checked(TRANSFER.raw),
        tx=[lambda _r, _c: gone, lambda _r, _c: web.Response(status=503), executed(TRANSFER.raw)],
    )
    async with client(asked) as rpc:
        assert (await rpc.settle(TRANSFER)).height == 7


async def test_silent_and_broken_endpoints_are_passed_over() -> None:
    broken = node(status=lambda _r, _c: web.Response(status=500, text="<html>"))
    good = node(status=sample("status"))
    async with deaf() as silent:
        limits = Limits(timeout_s=0.2)
        closed = "http://127.0.0.1:9"
        async with client(closed, silent, broken, good, limits=limits) as rpc:
            assert (await rpc.status()).latest_height == 2


async def test_endpoint_that_answered_is_asked_first_the_next_time() -> None:
    broken = node(status=lambda _r, _c: web.Response(status=500))
    good = node(status=sample("status"))
    async with client(broken, good) as rpc:
        await rpc.status()
        await rpc.status()
    assert (broken.count("status"), good.count("status")) == (1, 2)


async def test_refusal_is_believed_and_no_other_endpoint_asked() -> None:
    first = node(nope=sample("no method"), status=sample("no method"))
    second = node(status=sample("status"))
    async with client(first, second) as rpc:
        with pytest.raises(RefusedError) as caught:
            await rpc.status()
    assert caught.value.code == -32601
    assert second.asked == []


async def test_error_names_the_endpoint_when_all_have_failed() -> None:
    broken = node(status=lambda _r, _c: web.Response(status=500, text="oops"))
    async with client(broken) as rpc:
        with pytest.raises(RemoteError, match=r"http://127\.0\.0\.1:\d+: status 500"):
            await rpc.status()


@pytest.mark.parametrize(
    ("headers", "wait_s"),
    [
        ({}, None),
        ({"Retry-After": "17"}, 17.0),
        ({"Retry-After": "soon"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"Retry-After": "-5"}, None),
        (
            {
                "Retry-After": "Sun, 22 Nov 2026 08:01:00 GMT",
                "Date": "Sun, 22 Nov 2026 08:00:00 GMT",
            },
            60.0,
        ),
        (
            {
                "Retry-After": "Sun, 22 Nov 2026 07:00:00 GMT",
                "Date": "Sun, 22 Nov 2026 08:00:00 GMT",
            },
            0.0,
        ),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
async def test_busy_endpoint_says_how_long_to_wait(
    status: int, headers: dict[str, str], wait_s: float | None
) -> None:
    busy = node(status=lambda _r, _c: web.Response(status=status, headers=headers))
    async with client(busy) as rpc:
        with pytest.raises(PushbackError) as caught:
            await rpc.status()
    assert caught.value.retry_after_s == wait_s


async def test_full_mempool_is_a_request_for_a_slower_pace() -> None:
    full = error(-32603, "mempool is full: number of txs 5000 (max: 5000)")
    async with client(node(broadcast_tx_sync=full)) as rpc:
        with pytest.raises(PushbackError):
            await rpc.broadcast_sync(TRANSFER.raw)


async def test_transaction_a_node_finds_too_large_is_refused() -> None:
    large = error(-32603, "Tx too large. Max size is 1048576, but got 1048577")
    async with client(node(broadcast_tx_sync=large)) as rpc:
        with pytest.raises(RefusedError):
            await rpc.broadcast_sync(TRANSFER.raw)


async def test_commit_that_timed_out_is_no_refusal() -> None:
    late = error(-32603, "timed out waiting for tx to be included in a block")
    async with client(node(broadcast_tx_commit=late)) as rpc:
        with pytest.raises(RemoteError) as caught:
            await rpc.broadcast_commit(TRANSFER.raw)
    assert not isinstance(caught.value, RefusedError)


async def test_answer_above_the_limit_is_not_read_to_its_end() -> None:
    flood = node(status=lambda _r, _c: web.Response(body=b" " * 200_000))
    async with client(flood, limits=Limits(answer_bytes=100_000)) as rpc:
        with pytest.raises(RemoteError, match="longer than 100000 bytes"):
            await rpc.status()


async def test_compressed_answer_is_not_unpacked() -> None:
    def packed(_: web.Request, call: dict[str, Any]) -> web.StreamResponse:
        body = gzip.compress(json.dumps({**sample("status"), "id": call["id"]}).encode())
        return web.Response(body=body, headers={"Content-Encoding": "gzip"})

    async with client(node(status=packed)) as rpc:
        with pytest.raises(RemoteError, match="not JSON"):
            await rpc.status()


async def test_answer_to_another_call_is_not_believed() -> None:
    def stale(_: web.Request, call: dict[str, Any]) -> web.StreamResponse:
        return web.json_response({**sample("status"), "id": call["id"] + 1})

    async with client(node(status=stale)) as rpc:
        with pytest.raises(RemoteError, match="another call"):
            await rpc.status()


async def test_redirect_is_not_followed() -> None:
    target = node(status=sample("status"))
    async with served(target.app()) as url:
        away = web.Response(status=307, headers={"Location": url + "/"})
        async with client(node(status=lambda _r, _c: away)) as rpc:
            with pytest.raises(RemoteError):
                await rpc.status()
    assert target.asked == []


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b"null",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"result":' + b"9" * 5_000 + b"}",
        b"{}",
        b'{"id":1}',
        b'{"id":1,"result":null}',
        b'{"id":1,"result":{}}',
        b'{"id":2,"result":{"node_info":{},"sync_info":{}}}',
        b'{"id":1,"error":null}',
        b'{"id":1,"error":{"code":"x"}}',
        b'{"id":1,"result":{"node_info":{"network":"n"},"sync_info":{"latest_block_height":1.5}}}',
        b'{"id":1,"result":{"node_info":{"network":1},"sync_info":{"latest_block_height":"1"}}}',
    ],
)
async def test_malformed_answer_is_a_remote_error_that_names_the_endpoint(body: bytes) -> None:
    async with client(node(status=lambda _r, _c: web.Response(body=body))) as rpc:
        with pytest.raises(RemoteError, match=r"http://127\.0\.0\.1:\d+: "):
            await rpc.status()


@pytest.mark.parametrize("value", ["", "!!", "bnVsbA", base64.b64encode(b"{").decode(), None, 5])
async def test_malformed_value_of_the_state_is_a_remote_error(value: object) -> None:
    answer = result({"response": {"code": 0, "log": "", "value": value}})
    async with client(node(abci_query=answer)) as rpc:
        with pytest.raises(RemoteError):
            await rpc.balance(ALICE.address)


@pytest.mark.parametrize("value", ["-1", "1.5", "", "x", 5, None, "9" * 79, ["1"]])
async def test_balance_that_is_no_amount_is_not_believed(value: object) -> None:
    async with client(node(abci_query=found(value))) as rpc:
        with pytest.raises(RemoteError, match="amount"):
            await rpc.balance(ALICE.address)


@pytest.mark.parametrize(
    "endpoints",
    [
        [],
        ["ftp://127.0.0.1"],
        ["127.0.0.1:26657"],
        ["file:///etc/passwd"],
        ["http://"],
        ["http://x:99999"],
        ["http://x:y"],
        ["http://[::1"],
        ["http://x/?q=1"],
        [""],
    ],
)
def test_only_http_and_https_urls_are_endpoints(endpoints: list[str]) -> None:
    with pytest.raises(UsageError):
        RpcClient(endpoints, clock=ManualClock())


def test_credentials_in_a_url_are_refused_and_not_repeated() -> None:
    with pytest.raises(UsageError) as caught:
        RpcClient(["https://user:hunter2@node.example"], clock=ManualClock())
    assert "hunter2" not in str(caught.value)


async def test_type_of_protocol_6_is_refused_on_a_chain_of_protocol_5_before_it_is_signed() -> None:
    asked = node(abci_query=found({"state_protocol_version": 5}))
    async with client(asked) as rpc:
        with pytest.raises(UsageError, match="dismiss came with protocol 6"):
            await rpc.prepare("did.dismiss", {"target": "did:amo:" + ALICE.address}, ALICE)
    assert [params["path"] for _, params in asked.asked] == ["/version"]


async def test_transfer_to_oneself_is_refused_before_anybody_is_asked() -> None:
    asked = node()
    async with client(asked) as rpc:
        with pytest.raises(UsageError, match="to itself"):
            await rpc.prepare("transfer", payload.transfer(ALICE.address, mote=1), ALICE)
    assert not asked.asked


async def test_recorded_version_of_the_protocol_is_read() -> None:
    async with client(node(abci_query=sample("version"))) as rpc:
        assert await rpc.protocol() == 6

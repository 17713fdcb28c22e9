"""Answers that are not true: the honest one of a node or a storage service, with a part changed.

Single JSON-RPC calls are changed, by POST or GET; a batch of calls is passed on as it is.
"""

import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from aiohttp import hdrs, web
from aiohttp.typedefs import Handler, Middleware

from agent.amo.codes import ResultCode
from agent.amo.devnode import rpc_arguments
from agent.amo.devnode.chain import Chain
from agent.amo.devnode.fork import Fork
from agent.amo.devnode.rpc_arguments import Arguments
from agent.amo.devnode.rpc_calls import GET_ID, METHODS, envelope
from agent.amo.devnode.rpc_error import RpcError, internal_error
from agent.amo.devnode.rpc_server import MAX_BODY_BYTES
from agent.amo.devnode.storage_desk import API
from agent.amo.rawjson import decode
from agent.clock import Clock
from agent.errors import MalformedInputError

Make = Callable[[Chain, Clock], Middleware]

LIE_MOTE: Final = 10**24
_FORGED_FROM: Final = 2  # a client has to start somewhere


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a method that there is."""

    method: str
    arguments: Arguments
    call_id: Any = GET_ID


Lie = Callable[[Asked, dict[str, Any]], None]
"""Changes the honest result of a call in place."""


def lying(lie_about: Callable[[Chain], Lie]) -> Make:
    """A fault of a node, by what is changed in its results."""

    def make(chain: Chain, _clock: Clock) -> Middleware:
        lie = lie_about(chain)

        @web.middleware
        async def lying(request: web.Request, handler: Handler) -> web.StreamResponse:
            asked = await asked_in(request)
            honest = await handler(request)
            if asked is None:
                return honest
            answer = json.loads(body_of(honest))
            if "result" in answer:
                lie(asked, answer["result"])
            return web.json_response(answer, status=honest.status)

        return lying

    return make


def balance(_chain: Chain) -> Lie:
    """Every account has LIE_MOTE more than it has."""

    def lie(asked: Asked, result: dict[str, Any]) -> None:
        path = str(asked.arguments.get("path")).strip("/")
        if asked.method == "abci_query" and path.split("/")[0] == "balance":
            response = result["response"]
            if response["code"] == 0:
                more = json.dumps(str(int(json.loads(response["log"])) + LIE_MOTE))
                response |= {"log": more, "value": b64encode(more.encode()).decode()}

    return lie


def header(_chain: Chain) -> Lie:
    """The app hash is another one from the second block on; the signatures are the honest ones."""

    def forge(header: dict[str, Any] | None) -> None:
        if header is not None and int(header["height"]) >= _FORGED_FROM:
            header["app_hash"] = sha256(header["app_hash"].encode()).hexdigest().upper()

    def lie(asked: Asked, result: dict[str, Any]) -> None:
        if asked.method == "commit":
            forge(result["signed_header"]["header"])
        elif asked.method in ("block", "block_by_hash") and result["block"]:
            forge(result["block"]["header"])
        elif asked.method == "blockchain":
            for meta in result["block_metas"]:
                forge(meta["header"])

    return lie


def fork(chain: Chain) -> Lie:
    """Another history, signed by the same validators."""
    other = Fork(chain)
    return lambda asked, result: other.tell(asked.method, result)


def proof(_chain: Chain) -> Lie:
    """A transaction's proof has an aunt too many."""

    def lie(asked: Asked, result: dict[str, Any]) -> None:
        txs = [result] if asked.method == "tx" else result.get("txs") or []
        for tx in txs if asked.method in ("tx", "tx_search") else []:
            if "proof" in tx:
                tx["proof"]["proof"]["aunts"].append(b64encode(bytes(32)).decode())

    return lie


def code(_chain: Chain) -> Lie:
    """What failed is said to have succeeded, and the other way round."""

    def turn(outcome: dict[str, Any]) -> None:
        if outcome["code"] == ResultCode.OK:
            outcome |= {"code": int(ResultCode.UNKNOWN), "log": "unknown error"}
        else:
            outcome |= {"code": int(ResultCode.OK), "log": "ok", "info": "ok"}

    def lie(asked: Asked, result: dict[str, Any]) -> None:
        if asked.method == "tx":
            turn(result["tx_result"])
        elif asked.method == "tx_search":
            for tx in result["txs"]:
                turn(tx["tx_result"])
        elif asked.method == "block_results":
            for outcome in result["txs_results"] or []:
                turn(outcome)
        elif asked.method == "broadcast_tx_commit" and result["check_tx"]["code"] == 0:
            turn(result["deliver_tx"])

    return lie


def dropping(_chain: Chain, _clock: Clock) -> Middleware:
    """A transaction is said to have been taken, and is thrown away."""

    @web.middleware
    async def dropping(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = await asked_in(request)
        if asked is None or not asked.method.startswith("broadcast_tx_"):
            return await handler(request)
        if asked.method == "broadcast_tx_commit":
            late = internal_error("timed out waiting for tx to be included in a block")
            return web.json_response(envelope(asked.call_id, "error", late.to_json()))
        raw = asked.arguments.get("tx")
        name = sha256(raw if isinstance(raw, bytes) else b"").hexdigest().upper()
        taken = {"code": 0, "data": "", "log": "ok", "codespace": "amo", "hash": name}
        return web.json_response(envelope(asked.call_id, "result", taken))

    return dropping


def body(*, withheld: bool) -> Make:
    """A fault of a storage. withheld: a body is said not to be there; else it has another byte."""

    def make(_chain: Chain, _clock: Clock) -> Middleware:
        @web.middleware
        async def changing(request: web.Request, handler: Handler) -> web.StreamResponse:
            honest = await handler(request)
            parcels = request.path.startswith(f"{API}/parcels")
            if (
                request.method != hdrs.METH_GET
                or not parcels
                or honest.status != web.HTTPOk.status_code
            ):
                return honest
            answer = json.loads(body_of(honest))
            if "data" not in answer:
                return honest
            if withheld:
                return web.json_response({}, status=404)
            first = "1" if answer["data"][0] == "0" else "0"
            return web.json_response(answer | {"data": first + answer["data"][1:]})

        return changing

    return make


async def asked_in(request: web.Request) -> Asked | None:
    """The call that a request holds; None for any other request."""
    name = request.path.strip("/")
    try:
        if name in METHODS:
            arguments = rpc_arguments.from_query(METHODS[name].signature, request.query)
            return Asked(name, arguments)
        if name or (request.content_length or 0) > MAX_BODY_BYTES:
            return None
        call = decode(await request.read())
        return None if not isinstance(call, dict) else _asked(call)
    except (MalformedInputError, RpcError, web.HTTPException):
        return None  # what stands behind says what is wrong with it


def _asked(call: Mapping[str, Any]) -> Asked | None:
    method = METHODS.get(str(call.get("method")))
    if method is None or call.get("id") is None:
        return None
    arguments = rpc_arguments.from_json(method.signature, call.get("params"))
    return Asked(str(call["method"]), arguments, call["id"])


def body_of(response: web.StreamResponse) -> bytes:
    """Of an answer that is made and not yet sent."""
    sent = response.body if isinstance(response, web.Response) else None
    return sent if isinstance(sent, bytes) else b""

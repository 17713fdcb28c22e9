"""JSON-RPC 2.0 as Tendermint 0.33 speaks it: from the body of a POST to the answers.

Requests without an id are notifications and get no answer, not even an execution.
"""

import inspect
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.amo import rawjson
from agent.amo.devnode import rpc_arguments, rpc_chain, rpc_tx
from agent.amo.devnode.rpc_arguments import Arguments
from agent.amo.devnode.rpc_backend import Backend, Method
from agent.amo.devnode.rpc_error import (
    Id,
    RpcError,
    internal_error,
    method_not_found,
    parse_error,
)
from agent.errors import MalformedInputError, StoreError

METHODS: Final[Mapping[str, Method]] = {**rpc_chain.METHODS, **rpc_tx.METHODS}

GET_ID: Final = -1
_MISSING: Final = object()
_MAX_BATCH: Final = 100


@dataclass(frozen=True, slots=True)
class Call:
    """One request. params is `_MISSING` where there was no such member."""

    id: Id
    method: str
    params: object


async def answer_body(backend: Backend, body: bytes) -> object:
    """What a POST is answered: an object, a list of them, or None for no answer at all.

    Raises RpcError where the body as a whole is no request.
    """
    answers = [await _answer(backend, call) for call in _read(body) if call.id is not None]
    if not answers:
        return None
    return answers[0] if len(answers) == 1 else answers


async def run(backend: Backend, method: Method, arguments: Arguments) -> object:
    """The result of a method. Raises RpcError."""
    try:
        result = method.answer(backend, arguments)
        return await result if inspect.isawaitable(result) else result
    except StoreError as error:
        raise internal_error(str(error)) from error


def envelope(call_id: Id, member: str, value: object) -> dict[str, object]:
    """member: "result" or "error"."""
    named = {} if call_id is None else {"id": call_id}
    return {"jsonrpc": "2.0", **named, member: value}


async def _answer(backend: Backend, call: Call) -> dict[str, object]:
    try:
        method = METHODS.get(call.method)
        if method is None:
            raise method_not_found()
        if call.params is _MISSING and method.signature:
            raise rpc_arguments.missing_params()
        params = None if call.params is _MISSING else call.params
        arguments = rpc_arguments.from_json(method.signature, params)
        return envelope(call.id, "result", await run(backend, method, arguments))
    except RpcError as error:
        if error.status != 200:  # noqa: PLR2004 (the reference breaks off the whole request)
            raise
        return envelope(call.id, "error", error.to_json())


def _read(body: bytes) -> list[Call]:
    try:
        value = rawjson.decode(body)
    except MalformedInputError as error:
        raise parse_error(f"error unmarshalling request: {error}") from error
    calls = value if isinstance(value, list) else [value]
    if len(calls) > _MAX_BATCH:
        raise parse_error(f"batch of {len(calls)} requests; at most {_MAX_BATCH} are taken")
    return [_call(each) for each in calls]


def _call(value: object) -> Call:
    if not isinstance(value, dict) or not isinstance(value.get("method", ""), str):
        raise parse_error("error unmarshalling request: not a JSON-RPC request")
    call_id = value.get("id")
    known = isinstance(call_id, str | int | None) and not isinstance(call_id, bool)
    if not known and not (isinstance(call_id, float) and math.isfinite(call_id)):
        raise parse_error("error unmarshalling request: unknown ID type")
    whole = int(call_id) if isinstance(call_id, float) else call_id
    return Call(whole, value.get("method", ""), value.get("params", _MISSING))

"""RPC methods about transactions, and questions to the state."""

import re
from base64 import b64encode
from hashlib import sha256
from typing import Final

from agent.amo.devnode.mempool import NotTakenError
from agent.amo.devnode.query import ask
from agent.amo.devnode.rpc_arguments import Arguments, Form
from agent.amo.devnode.rpc_backend import (
    Backend,
    Method,
    Result,
    integer,
    octets,
    page_of,
    text,
)
from agent.amo.devnode.rpc_error import internal_error
from agent.amo.tendermint.block import tx_proof

_UNCONFIRMED: Final = 30
_MAX_UNCONFIRMED: Final = 100

_OPERAND: Final = r"'[^']*'|TIME [0-9TZ:+-]+|DATE [0-9-]+|-?[0-9]+(?:\.[0-9]+)?"
_CONDITION: Final = re.compile(
    rf"\s*([\w.]+)\s*(?:(<=|>=|=|<|>|CONTAINS)\s*({_OPERAND})|EXISTS)\s*", re.ASCII
)
_HASH: Final = re.compile(r"'([0-9A-Fa-f]{64})'")
_SHOWN: Final = 80


def _abci_query(backend: Backend, given: Arguments) -> Result:
    answer = ask(backend.chain.ledger, text(given, "path"), octets(given, "data"))
    return {"response": answer.to_json()}


def _broadcast_async(backend: Backend, given: Arguments) -> Result:
    raw = octets(given, "tx")
    _submit(backend, raw)
    return {"code": 0, "data": "", "log": "", "codespace": "", "hash": _tx_hash(raw)}


def _broadcast_sync(backend: Backend, given: Arguments) -> Result:
    raw = octets(given, "tx")
    code, log = _submit(backend, raw)
    return {"code": code, "data": "", "log": log, "codespace": "amo", "hash": _tx_hash(raw)}


def _submit(backend: Backend, raw: bytes) -> tuple[int, str]:
    try:
        outcome = backend.submit(raw)
    except NotTakenError as error:
        raise internal_error(str(error)) from error
    return outcome.code, outcome.log


async def _broadcast_commit(backend: Backend, given: Arguments) -> Result:
    raw = octets(given, "tx")
    try:
        checked, delivered, height = await backend.submit_and_wait(raw)
    except NotTakenError as error:
        raise internal_error(f"error on broadcastTxCommit: {error}") from error
    return {
        "check_tx": checked.to_json(),
        "deliver_tx": delivered.to_json(),
        "hash": _tx_hash(raw),
        "height": str(height),
    }


def _tx(backend: Backend, given: Arguments) -> Result:
    digest = octets(given, "hash")
    found = _found(backend, digest, prove=bool(given.get("prove")))
    if found is None:
        raise internal_error(f"tx ({digest.hex().upper()}) not found")
    return found


def _found(backend: Backend, digest: bytes, *, prove: bool) -> Result | None:
    place = backend.chain.archive.place_of(digest)
    if place is None:
        return None
    height, index = place
    txs = backend.chain.archive.block(height).txs
    result: Result = {
        "hash": digest.hex().upper(),
        "height": str(height),
        "index": index,
        "tx_result": backend.chain.archive.results(height)["txs_results"][index],
        "tx": b64encode(txs[index]).decode(),
    }
    return result | ({"proof": _proof(txs, index)} if prove else {})


def _proof(txs: tuple[bytes, ...], index: int) -> Result:
    proof = tx_proof(txs, index)
    return {
        "root_hash": proof.root().hex().upper(),
        "data": b64encode(txs[index]).decode(),
        "proof": {
            "total": str(proof.total),
            "index": str(proof.index),
            "leaf_hash": b64encode(proof.leaf_hash).decode(),
            "aunts": [b64encode(aunt).decode() for aunt in proof.aunts],
        },
    }


def _tx_search(backend: Backend, given: Arguments) -> Result:
    """Nothing but hashes is indexed, as in a node with the reference settings."""
    hashes = _asked_hashes(text(given, "query"))
    results = [_found(backend, digest, prove=bool(given.get("prove"))) for digest in hashes[:1]]
    found = [result for result in results if result is not None]
    shown = found[page_of(given, len(found))]
    return {"txs": shown, "total_count": str(len(found))}


def _asked_hashes(query: str) -> list[bytes]:
    """Hashes of the conditions `tx.hash='…'`. Raises RpcError for what is no query."""
    hashes = []
    for condition in re.split(r"\s+AND\s+", query):
        form = _CONDITION.fullmatch(condition)
        if form is None:
            raise internal_error(f"parse error near {condition[:_SHOWN]!r}")
        value = _HASH.fullmatch(form[3] or "")
        if form[1] == "tx.hash" and form[2] == "=" and value:
            hashes.append(bytes.fromhex(value[1]))
    return hashes


def _num_unconfirmed(backend: Backend, _given: Arguments) -> Result:
    return _unconfirmed_counts(backend, len(backend.mempool)) | {"txs": None}


def _unconfirmed(backend: Backend, given: Arguments) -> Result:
    limit = integer(given, "limit")
    limit = _UNCONFIRMED if limit < 1 else min(limit, _MAX_UNCONFIRMED)
    txs = [b64encode(raw).decode() for raw in backend.mempool.waiting(limit)]
    return _unconfirmed_counts(backend, len(txs)) | {"txs": txs}


def _unconfirmed_counts(backend: Backend, shown: int) -> Result:
    mempool = backend.mempool
    return {
        "n_txs": str(shown),
        "total": str(len(mempool)),
        "total_bytes": str(mempool.total_bytes),
    }


def _tx_hash(raw: bytes) -> str:
    return sha256(raw).hexdigest().upper()


_RAW: Final = {"tx": Form.BASE64}

METHODS: Final = {
    "abci_query": Method(
        {"path": Form.TEXT, "data": Form.HEX, "height": Form.INTEGER, "prove": Form.BOOLEAN},
        _abci_query,
    ),
    "broadcast_tx_async": Method(_RAW, _broadcast_async),
    "broadcast_tx_sync": Method(_RAW, _broadcast_sync),
    "broadcast_tx_commit": Method(_RAW, _broadcast_commit),
    "tx": Method({"hash": Form.BASE64, "prove": Form.BOOLEAN}, _tx),
    "tx_search": Method(
        {
            "query": Form.TEXT,
            "prove": Form.BOOLEAN,
            "page": Form.INTEGER,
            "per_page": Form.INTEGER,
            "order_by": Form.TEXT,
        },
        _tx_search,
    ),
    "num_unconfirmed_txs": Method({}, _num_unconfirmed),
    "unconfirmed_txs": Method({"limit": Form.INTEGER}, _unconfirmed),
}

"""RPC methods about blocks, validators and the node itself."""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from agent.amo.devnode.query import APP_VERSION
from agent.amo.devnode.rpc_arguments import Arguments, Form
from agent.amo.devnode.rpc_backend import (
    Backend,
    Method,
    Result,
    existing_height,
    integer,
    octets,
    page_of,
)
from agent.amo.devnode.rpc_error import internal_error
from agent.amo.tendermint import instant
from agent.amo.tendermint.block import Block
from agent.amo.tendermint.header import BLOCK_PROTOCOL, NO_BLOCK
from agent.amo.tendermint.validators import public_key_json

TENDERMINT_VERSION: Final = "0.33.5"
_P2P_PROTOCOL: Final = 7
_NODE_ID_BYTES: Final = 20
_CHANNELS: Final = "40202122233038"
_MAX_METAS: Final = 20


def _health(_backend: Backend, _given: Arguments) -> Result:
    return {}


def _net_info(_backend: Backend, _given: Arguments) -> Result:
    return {"listening": True, "listeners": ["Listener(@)"], "n_peers": "0", "peers": []}


def _genesis(backend: Backend, _given: Arguments) -> Result:
    return {"genesis": backend.chain.genesis.document}


def _status(backend: Backend, _given: Arguments) -> Result:
    chain = backend.chain
    members = chain.validators(max(chain.height, 1))
    power = sum(each.power for each in members if each.public == chain.public)
    earliest = chain.archive.block(1) if chain.height else None
    return {
        "node_info": _node_info(backend),
        "sync_info": {
            **_sync_info("latest", chain.latest.block if chain.latest else None),
            **_sync_info("earliest", earliest),
            "catching_up": False,
        },
        "validator_info": {
            "address": chain.address.hex().upper(),
            "pub_key": public_key_json(chain.public),
            "voting_power": str(power),
        },
    }


def _node_info(backend: Backend) -> Result:
    """There is no p2p side; its address is given as the one a reference node has by default."""
    node_id = sha256(b"node" + backend.chain.public).digest()[:_NODE_ID_BYTES]
    versions = {"p2p": str(_P2P_PROTOCOL), "block": str(BLOCK_PROTOCOL), "app": "0"}
    return {
        "protocol_version": versions,
        "id": node_id.hex(),
        "listen_addr": "tcp://127.0.0.1:26656",
        "network": backend.chain.genesis.chain_id,
        "version": TENDERMINT_VERSION,
        "channels": _CHANNELS,
        "moniker": "devnode",
        "other": {"tx_index": "on", "rpc_address": backend.url.replace("http:", "tcp:", 1)},
    }


def _sync_info(which: str, block: Block | None) -> Result:
    return {
        f"{which}_block_hash": block.block_id.hash.hex().upper() if block else "",
        f"{which}_app_hash": block.header.app_hash.hex().upper() if block else "",
        f"{which}_block_height": str(block.header.height if block else 0),
        f"{which}_block_time": instant.to_text(block.header.time_ns if block else 0),
    }


def _abci_info(backend: Backend, _given: Arguments) -> Result:
    app_hash = backend.chain.ledger.app_hash
    response = {
        "data": app_hash.hex(),
        "version": APP_VERSION,
        "last_block_height": str(backend.chain.height),
        "last_block_app_hash": b64encode(app_hash).decode(),
    }
    return {"response": response}


def _consensus_params(backend: Backend, given: Arguments) -> Result:
    height = existing_height(backend, given, ahead=1)
    params = backend.chain.genesis.document["consensus_params"]
    return {"block_height": str(height), "consensus_params": params}


def _validators(backend: Backend, given: Arguments) -> Result:
    height = existing_height(backend, given, ahead=1)
    members = backend.chain.validators(height)
    shown = members[page_of(given, len(members))]
    return {
        "block_height": str(height),
        "validators": [each.to_json() for each in shown],
        "count": str(len(shown)),
        "total": str(len(members)),
    }


def _block(backend: Backend, given: Arguments) -> Result:
    height = existing_height(backend, given)
    if height == 0:
        return {"block_id": NO_BLOCK.to_json(), "block": None}
    return backend.chain.archive.block(height).to_json()


def _block_by_hash(backend: Backend, given: Arguments) -> Result:
    height = backend.chain.archive.height_of(octets(given, "hash"))
    if height is None:
        return {"block_id": NO_BLOCK.to_json(), "block": None}
    return backend.chain.archive.block(height).to_json()


def _commit(backend: Backend, given: Arguments) -> Result:
    height = existing_height(backend, given)
    if height == 0:
        return {"signed_header": {"header": None, "commit": None}, "canonical": False}
    block, commit = backend.chain.archive.block(height), backend.chain.commit(height)
    signed = {"header": block.header.to_json(), "commit": commit.to_json()}
    return {"signed_header": signed, "canonical": height < backend.chain.height}


def _block_results(backend: Backend, given: Arguments) -> Result:
    height = existing_height(backend, given)
    if height == 0:
        raise internal_error("could not find results for height #0")
    return backend.chain.archive.results(height)


def _blockchain(backend: Backend, given: Arguments) -> Result:
    least, most = integer(given, "minHeight"), integer(given, "maxHeight")
    if least < 0 or most < 0:
        raise internal_error("heights must be non-negative")
    height = backend.chain.height
    most = min(height, most or height)
    least = max(least or 1, most - _MAX_METAS + 1)
    if least > most:
        raise internal_error(f"min height {least} can't be greater than max height {most}")
    blocks = [backend.chain.archive.block(at) for at in range(most, least - 1, -1)]
    return {"last_height": str(height), "block_metas": [block.meta_json() for block in blocks]}


_HEIGHT: Final = {"height": Form.INTEGER}

METHODS: Final = {
    "health": Method({}, _health),
    "net_info": Method({}, _net_info),
    "genesis": Method({}, _genesis),
    "status": Method({}, _status),
    "abci_info": Method({}, _abci_info),
    "consensus_params": Method(_HEIGHT, _consensus_params),
    "validators": Method(
        {"height": Form.INTEGER, "page": Form.INTEGER, "per_page": Form.INTEGER}, _validators
    ),
    "block": Method(_HEIGHT, _block),
    "block_by_hash": Method({"hash": Form.BASE64}, _block_by_hash),
    "commit": Method(_HEIGHT, _commit),
    "block_results": Method(_HEIGHT, _block_results),
    "blockchain": Method({"minHeight": Form.INTEGER, "maxHeight": Form.INTEGER}, _blockchain),
}

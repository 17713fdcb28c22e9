"""The genesis document: what a chain starts with, in Tendermint's own file form."""

import json
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

from agent.amo.devnode.config import ChainConfig, chain_config
from agent.amo.devnode.iavl import Tree
from agent.amo.devnode.payload import MAX_AMOUNT
from agent.amo.devnode.stakes import Stake, Stakes
from agent.amo.devnode.state import CONFIG_KEY, State
from agent.amo.tendermint import instant
from agent.amo.tendermint.validators import (
    ADDRESS_BYTES,
    KEY_BYTES,
    Validator,
    ValidatorSet,
    in_order,
    public_key_json,
    validator_address,
)
from agent.errors import MalformedInputError, UsageError

PROTOCOLS: Final = (4, 5, 6)
_MAX_FILE_BYTES: Final = 16_000_000
_MAX_CHAIN_ID: Final = 50
_MEMBERS: Final = (
    "genesis_time",
    "chain_id",
    "consensus_params",
    "validators",
    "app_hash",
    "app_state",
)


@dataclass(frozen=True)
class Genesis:
    """document: as given, in the order of its members; everything else is read from it.

    balances: (address, mote); stakes: written as unlocked; validators: used without stakes
    """

    document: Mapping[str, Any]
    time_ns: int
    chain_id: str
    max_bytes: int
    max_gas: int
    time_iota_ms: int
    protocol: int
    config: ChainConfig
    balances: Sequence[tuple[bytes, int]]
    stakes: Sequence[Stake]
    validators: ValidatorSet

    def tree(self) -> Tree:
        """The state before block 1, saved as version 1."""
        tree = Tree()
        tree.set(CONFIG_KEY, self.config.stored)
        for address, amount in self.balances:
            State(tree).set_balance(address, amount)
        for stake in self.stakes:
            Stakes(tree).set(stake)
        tree.save()
        return tree

    @cached_property
    def first_validators(self) -> ValidatorSet:
        """Those of the stakes where there are any with power."""
        stakes = [(stake.public, stake.amount) for stake in self.stakes]
        return (
            Stakes(self.tree()).validators(self.config.max_validators)
            if stakes
            else self.validators
        )


def load_genesis(path: Path) -> Genesis:
    """Raises UsageError where the file cannot be read or is not a genesis document."""
    try:
        with path.open("rb") as file:
            text = file.read(_MAX_FILE_BYTES)
        return read_genesis(json.loads(text))
    except OSError as error:
        raise UsageError(f"genesis file {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UsageError(f"genesis file {path} is not JSON") from error


def read_genesis(document: Any) -> Genesis:
    """Raises UsageError naming the first member that does not fit."""
    try:
        return _read(document)
    except (KeyError, TypeError, ValueError, AttributeError, MalformedInputError) as error:
        raise UsageError(f"genesis document: {type(error).__name__}: {error}") from error


def _read(document: Mapping[str, Any]) -> Genesis:
    ordered = {name: document[name] for name in _MEMBERS if name in document}
    params, app = document["consensus_params"], document["app_state"]
    genesis = Genesis(
        document=ordered,
        time_ns=instant.from_text(document["genesis_time"]),
        chain_id=str(document["chain_id"]),
        max_bytes=int(params["block"]["max_bytes"]),
        max_gas=int(params["block"]["max_gas"]),
        time_iota_ms=int(params["block"]["time_iota_ms"]),
        protocol=int(app.get("state", {}).get("protocol_version", 3)),
        config=chain_config(app.get("config") or {}),
        balances=[(_address(each["owner"]), _amount(each)) for each in app.get("balances") or ()],
        stakes=[_stake(each) for each in app.get("stakes") or ()],
        validators=in_order([_validator(each) for each in document.get("validators") or ()]),
    )
    _check(genesis)
    return genesis


def _check(genesis: Genesis) -> None:
    if not 1 <= len(genesis.chain_id) <= _MAX_CHAIN_ID:
        raise UsageError(f"chain id {genesis.chain_id!r} is not of 1 to {_MAX_CHAIN_ID} characters")
    upgrade = genesis.config.upgrade_protocol_version
    if genesis.protocol not in PROTOCOLS or upgrade not in (0, *PROTOCOLS):
        wanted = f"{genesis.protocol} with upgrade to {upgrade}"
        raise UsageError(f"protocol {wanted}; this node speaks {PROTOCOLS}")
    if not genesis.first_validators:
        raise UsageError("genesis document names no validator and no stake")
    if genesis.time_iota_ms < 1 or genesis.max_bytes < 1:
        raise UsageError("genesis consensus_params: time_iota_ms and max_bytes are 1 or more")


def _stake(each: Mapping[str, Any]) -> Stake:
    return Stake(_address(each["holder"]), _public(each["validator"]), _amount(each))


def _validator(each: Mapping[str, Any]) -> Validator:
    return Validator(_public(each["pub_key"]["value"]), int(each["power"]))


def _public(text: str) -> bytes:
    public = b64decode(text, validate=True)
    if len(public) != KEY_BYTES:
        raise UsageError(f"validator key of {len(public)} bytes; it has {KEY_BYTES}")
    return public


def _address(text: str) -> bytes:
    address = bytes.fromhex(text)
    if len(address) != ADDRESS_BYTES:
        raise UsageError(f"account address of {len(address)} bytes; it has {ADDRESS_BYTES}")
    return address


def _amount(each: Mapping[str, Any]) -> int:
    amount = int(each["amount"])
    if not 0 <= amount < MAX_AMOUNT:
        raise UsageError(f"genesis amount {amount} is not within 0 to 2^256-2")
    return amount


def dev_genesis(
    balances: Mapping[str, int],
    *,
    validator: bytes,
    holder: str,
    time_ns: int,
    chain_id: str,
    others: Sequence[tuple[bytes, str]] = (),
) -> Genesis:
    """A chain at protocol 6, with blocks as short as a millisecond.

    balances: address in hex -> mote; validator: Ed25519 public key; holder: account that holds
    its stake and earns, for the blocks it proposes, the fees and a reward of 1 mote a transaction;
    others: (validator, holder) of further validators, with the same stake
    """
    validators = [(validator, holder), *others]
    app = {
        "state": {"protocol_version": PROTOCOLS[0]},
        "config": {
            "tx_reward": "1",
            "min_staking_unit": "10000",
            "upgrade_protocol_height": 1,
            "upgrade_protocol_version": PROTOCOLS[-1],
        },
        "balances": [{"owner": owner, "amount": str(n)} for owner, n in balances.items()],
        "stakes": [
            {"holder": who, "amount": "1000000", "validator": b64encode(public).decode()}
            for public, who in validators
        ],
    }
    return read_genesis(
        {
            "genesis_time": instant.to_text(time_ns),
            "chain_id": chain_id,
            "consensus_params": {
                "block": {"max_bytes": "22020096", "max_gas": "-1", "time_iota_ms": "1"},
                "evidence": {
                    "max_age_num_blocks": "100000",
                    "max_age_duration": "172800000000000",
                },
                "validator": {"pub_key_types": ["ed25519"]},
            },
            "validators": [
                {
                    "address": validator_address(public).hex().upper(),
                    "pub_key": public_key_json(public),
                    "power": "10",
                    "name": "",
                }
                for public, _ in validators
            ],
            "app_hash": "",
            "app_state": app,
        }
    )

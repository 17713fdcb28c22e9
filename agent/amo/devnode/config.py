"""The chain's configuration: part of the state, set by the genesis document."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from agent.errors import UsageError

_AMOUNT: Final = re.compile(r"[0-9]{1,77}")

_DEFAULTS: Final[Mapping[str, int | float | str]] = {
    "max_validators": 100,
    "weight_validator": 2.0,
    "weight_delegator": 1.0,
    "min_staking_unit": "1000000000000000000000000",
    "blk_reward": "0",
    "tx_reward": "10000000000000000000",
    "penalty_ratio_m": 0.3,
    "penalty_ratio_l": 0.3,
    "laziness_window": 10000,
    "laziness_threshold": 8000,
    "hibernate_threshold": 100,
    "hibernate_period": 10000,
    "block_binding_window": 10000,
    "lockup_period": 1000000,
    "draft_open_count": 10000,
    "draft_close_count": 10000,
    "draft_apply_count": 10000,
    "draft_deposit": "1000000000000000000000000",
    "draft_quorum_rate": 0.3,
    "draft_pass_rate": 0.51,
    "draft_refund_rate": 0.2,
    "upgrade_protocol_height": 1,
    "upgrade_protocol_version": 0,
}
"""In the order in which the state holds them. Quoted numbers are amounts in mote."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainConfig:
    """What the state machine reads of the configuration, and `stored`, all of it as JSON."""

    max_validators: int
    weight_validator: float
    weight_delegator: float
    min_staking_unit: int
    blk_reward: int
    tx_reward: int
    block_binding_window: int
    lockup_period: int
    draft_deposit: int
    upgrade_protocol_height: int
    upgrade_protocol_version: int
    stored: bytes


def chain_config(given: Mapping[str, Any]) -> ChainConfig:
    """Missing, zero and "0" entries take the default. Raises UsageError for a wrong type."""
    values = {name: _value(name, given.get(name), plain) for name, plain in _DEFAULTS.items()}
    stored = ",".join(f'"{name}":{_text(value)}' for name, value in values.items())
    numbers = {
        name: int(value) if isinstance(value, str) else value
        for name, value in values.items()
        if name in ChainConfig.__dataclass_fields__
    }
    return ChainConfig(**numbers, stored=f"{{{stored}}}".encode())  # type: ignore[arg-type]  # by name


def _value(name: str, given: Any, plain: float | str) -> int | float | str:
    if given in (None, 0, "", "0"):
        return plain
    kinds = (int, float) if isinstance(plain, float) else (type(plain),)
    fits = isinstance(given, kinds) and not isinstance(given, bool)
    if not fits or (isinstance(given, str) and not _AMOUNT.fullmatch(given)):
        raise UsageError(f"genesis config {name} {given!r} is not of the kind of {plain!r}")
    if not isinstance(given, str) and given < 0:
        raise UsageError(f"genesis config {name} {given!r} is below 0")
    return float(given) if isinstance(plain, float) else given


def _text(value: float | str) -> str:
    """Numbers without a needless fraction: 2, not 2.0."""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return json.dumps(value)

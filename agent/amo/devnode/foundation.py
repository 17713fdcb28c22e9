"""What a chain is founded on: a genesis document, and the keys of its validators."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from nacl.signing import SigningKey

from agent import files
from agent.amo.devnode.genesis import Genesis, dev_genesis, load_genesis
from agent.amo.devnode.keys import load_validator_key, operator_in, validator_key_in
from agent.errors import UsageError

CHAIN_ID: Final = "amo-devnet"
MAX_VALIDATORS: Final = 4


@dataclass(frozen=True, slots=True)
class Foundation:
    """A chain somebody else defined: its genesis document and the key of its validator.

    others: keys of further validators that sign
    """

    genesis: Genesis
    validator: SigningKey
    others: tuple[SigningKey, ...] = ()

    @classmethod
    def load(cls, genesis: Path, validator_key: Path) -> Self:
        """From Tendermint's genesis.json and priv_validator_key.json. Raises UsageError."""
        return cls(load_genesis(genesis), load_validator_key(validator_key))


def founded(
    balances: Mapping[str, int],
    directory: Path | None,
    *,
    operator: str,
    validators: int,
    time_ns: int,
) -> Foundation:
    """What the directory holds, or a new chain. Raises UsageError.

    balances: address in hex -> mote; operator: account that holds the first stake; validators:
    how many there are, all with the same stake
    """
    if not 1 <= validators <= MAX_VALIDATORS:
        raise UsageError(f"{validators} validators; there can be 1 to {MAX_VALIDATORS}")
    numbers = range(1, validators + 1)
    keys = [validator_key_in(directory, number) for number in numbers]
    holders = [operator, *(operator_in(directory, number).address for number in numbers[1:])]
    publics = [bytes(key.verify_key) for key in keys]
    made = dev_genesis(
        balances,
        validator=publics[0],
        holder=holders[0],
        time_ns=time_ns,
        chain_id=CHAIN_ID,
        others=list(zip(publics, holders, strict=True))[1:],
    )
    genesis = made if directory is None else _kept(directory / "genesis.json", made)
    return Foundation(genesis, keys[0], tuple(keys[1:]))


def _kept(path: Path, made: Genesis) -> Genesis:
    """The genesis document of the directory, which at first is the one made now."""
    try:
        if not path.exists():
            files.replace(path, json.dumps(made.document, indent=2).encode())
    except OSError as error:
        raise UsageError(f"genesis file {path}: {error.strerror}") from error
    genesis = load_genesis(path)
    if list(genesis.balances) != list(made.balances):
        raise UsageError(f"{path} began with other balances than those asked for")
    if list(genesis.stakes) != list(made.stakes):
        raise UsageError(f"{path} began with {len(genesis.stakes)} validators of its own")
    return genesis

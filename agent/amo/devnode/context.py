"""What the execution of a transaction may look at and change."""

from collections.abc import Callable
from dataclasses import dataclass

from agent.amo.codes import ResultCode
from agent.amo.devnode.config import ChainConfig
from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import Payload
from agent.amo.devnode.stakes import Stakes
from agent.amo.devnode.state import State
from agent.amo.tendermint.validators import ADDRESS_BYTES


@dataclass(frozen=True, slots=True)
class Context:
    """state and stakes are two views of the same tree."""

    state: State
    stakes: Stakes
    config: ChainConfig
    protocol: int


Check = Callable[[bytes, Payload], None]
"""(sender, payload): the rules that need no state. Raises TxFailedError."""
Execute = Callable[[Context, bytes, Payload], None]
"""(context, sender, payload): the rules that need state, then the change. Raises TxFailedError."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of transaction.

    parameters: name of the payload's structure in the node's texts
    since: first protocol that knows the type
    """

    parameters: str
    check: Check
    execute: Execute
    since: int = 4


def require(condition: bool, code: ResultCode, log: str) -> None:  # noqa: FBT001 (as assert does)
    if not condition:
        raise TxFailedError(code, log)


def is_address(data: bytes) -> bool:
    return len(data) == ADDRESS_BYTES

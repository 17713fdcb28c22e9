"""How a transaction ended, in the forms in which the node answers."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.amo.codes import ResultCode
from agent.errors import AgentError


class TxFailedError(AgentError):
    """A transaction broke a rule. code: the node's number; the message is the node's own text."""

    def __init__(self, code: ResultCode, log: str) -> None:
        super().__init__(log)
        self.code = code


@dataclass(frozen=True, slots=True)
class Event:
    """attributes: names and values; a value is JSON text, so a string carries its quotes."""

    type: str
    attributes: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, object]:
        pairs = [{"key": _base64(key), "value": _base64(text)} for key, text in self.attributes]
        return {"type": self.type, "attributes": pairs}


@dataclass(frozen=True, slots=True)
class Outcome:
    """log also serves as info. codespace is empty where the application was not asked."""

    code: int = 0
    log: str = "ok"
    events: tuple[Event, ...] = ()
    codespace: str = "amo"

    def to_json(self) -> dict[str, object]:
        return {
            "code": self.code,
            "data": None,
            "log": self.log,
            "info": self.log,
            "gasWanted": "0",
            "gasUsed": "0",
            "events": [event.to_json() for event in self.events],
            "codespace": self.codespace,
        }


NOT_RUN = Outcome(log="", codespace="")
"""What stands in the place of a block's result when the mempool refused."""


@dataclass(frozen=True, slots=True)
class BlockOutcome:
    """Everything that came of executing a block.

    updates: (public key, power) of validators that changed; power 0 takes one out
    """

    app_hash: bytes
    outcomes: tuple[Outcome, ...] = ()
    begin_events: tuple[Event, ...] = ()
    end_events: tuple[Event, ...] = ()
    updates: tuple[tuple[bytes, int], ...] = field(default=())

    def to_json(self, height: int) -> dict[str, object]:
        """The answer of the RPC method `block_results`; empty lists are null there."""
        return {
            "height": str(height),
            "txs_results": _list(self.outcomes),
            "begin_block_events": _list(self.begin_events),
            "end_block_events": _list(self.end_events),
            "validator_updates": [
                {
                    "pub_key": {"type": "ed25519", "data": b64encode(public).decode()},
                    "power": str(power),
                }
                for public, power in self.updates
            ]
            or None,
            "consensus_param_updates": None,
        }


def failed(failure: TxFailedError, events: tuple[Event, ...] = ()) -> Outcome:
    return Outcome(int(failure.code), str(failure), events)


def _list(items: Sequence[Outcome | Event]) -> list[Mapping[str, Any]] | None:
    return [item.to_json() for item in items] or None


def _base64(text: str) -> str:
    return b64encode(text.encode()).decode()

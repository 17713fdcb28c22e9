"""What a transaction is known by, whatever bytes it was sent in."""

from dataclasses import dataclass

from agent.amo.transaction import parse, tx_hash
from agent.errors import MalformedInputError


@dataclass(frozen=True, slots=True)
class Known:
    """sender: upper-case hex; message: the bytes that were signed, the same in every copy."""

    hash: str
    sender: str
    last_height: int
    message: bytes


def identify(raw: bytes) -> Known | None:
    """None for bytes that the chain cannot read either."""
    try:
        tx = parse(raw)
        return Known(tx_hash(raw), tx.sender, tx.bound_height, tx.signing_bytes())
    except MalformedInputError:
        return None

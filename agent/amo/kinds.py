"""Which types of transaction a chain knows, and what a type asks of its sender.

A transaction that a block refuses has cost its fee, so what cannot pass is refused here.
Versions of the protocol are 4, 5 and 6; the one in force is `state_protocol_version`.
"""

from collections.abc import Mapping
from typing import Final

from agent.errors import UsageError

OLDEST: Final = 4
"""The first protocol that a node of today speaks."""

_SINCE: Final[Mapping[str, int]] = {
    **dict.fromkeys(("transfer", "stake", "withdraw", "delegate", "retract"), 4),
    **dict.fromkeys(("setup", "close", "register", "discard"), 4),
    **dict.fromkeys(("request", "cancel", "grant", "revoke"), 4),
    **dict.fromkeys(("issue", "lock", "burn", "propose", "vote", "claim", "dismiss"), 4),
    **dict.fromkeys(("did.claim", "did.dismiss", "did.issue", "did.revoke"), 6),
}
_PARCELS_MOVE_SINCE: Final = 5


def since(kind: str, payload: Mapping[str, object]) -> int:
    """The first protocol that knows this. Raises UsageError for a type that none knows."""
    if kind not in _SINCE:
        raise UsageError(f"transaction type {kind[:40]!r} is none of {', '.join(_SINCE)}")
    if kind == "transfer" and "parcel" in payload:
        return _PARCELS_MOVE_SINCE
    return _SINCE[kind]


def expect_known(kind: str, payload: Mapping[str, object], protocol: int) -> None:
    """Raises UsageError where a chain of this protocol would take the fee and refuse."""
    first = since(kind, payload)
    if protocol < first:
        what = f"{kind} of a parcel" if first == _PARCELS_MOVE_SINCE else kind
        raise UsageError(f"{what} came with protocol {first}; this chain is at {protocol}")


def expect_sender(kind: str, payload: Mapping[str, object], sender: str) -> None:
    """Raises UsageError where this very account cannot be the sender. sender: upper-case hex."""
    if kind in ("transfer", "delegate") and payload.get("to") == sender:
        raise UsageError(f"{kind} from {sender} to itself")
    if kind == "did.issue":
        credential = payload.get("credential")
        issuer = credential.get("issuer") if isinstance(credential, Mapping) else None
        if issuer != f"did:amo:{sender}":
            raise UsageError(f"issuer {str(issuer)[:80]!r} is not the sender, did:amo:{sender}")

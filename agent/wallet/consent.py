"""Whether a buyer's request is granted, refused, or shown to the owner.

Rules decide only what the owner let them: a rule may grant Lv2 to Lv4, nobody but the owner
grants Lv1 (docs/decisions/0004-sealing-and-custody.md).
"""

from enum import Enum
from typing import Final

import msgspec

from agent.errors import ConfigError, SealError
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.curve import load_public


class Verdict(Enum):
    GRANTED = "granted"
    REFUSED = "refused"
    ASK = "ask"


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """
    parcel_id:     hex
    buyer_address: AMO address, 40 upper-case hex digits
    buyer_public:  65 bytes, from the buyer's request transaction
    payment_mote:  offered, in mote (1 AMO = 10**18)
    level:         of the parcel, from our own receipt of its upload
    """

    parcel_id: str
    buyer_address: str
    buyer_public: bytes
    payment_mote: int
    level: Level


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the owner's policy; it applies when all its limits fit the request.

    levels:       of the parcels it speaks of
    min_payment_mote, max_payment_mote: both inclusive; None is no limit
    buyers:       addresses, upper-case hex; None is any buyer
    """

    name: str
    verdict: Verdict
    levels: frozenset[Level]
    min_payment_mote: int | None = None
    max_payment_mote: int | None = None
    buyers: frozenset[str] | None = None

    def __post_init__(self) -> None:
        if self.verdict is Verdict.GRANTED and Level.LV1 in self.levels:
            raise ConfigError(f"rule {self.name!r} grants Lv1; only the owner can")


class Policy(msgspec.Struct, frozen=True):
    """The first rule that applies decides; without one the owner is asked."""

    rules: tuple[Rule, ...] = ()


class Decision(msgspec.Struct, frozen=True):
    """by: the rule's name, "wallet" when the request itself is unusable, "" while nobody did."""

    verdict: Verdict
    by: str


ASK_THE_OWNER: Final = Decision(Verdict.ASK, "")


def decide(request: Request, policy: Policy) -> Decision:
    """Never raises: a request that cannot be granted at all is refused by "wallet"."""
    if not _usable(request):
        return Decision(Verdict.REFUSED, "wallet")
    for rule in policy.rules:
        if _applies(rule, request):
            return Decision(rule.verdict, rule.name)
    return ASK_THE_OWNER


def check_buyer(request: Request) -> None:
    """Raises SealError unless the buyer's key is one, and is the key of the buyer's address."""
    load_public(request.buyer_public)
    if address(request.buyer_public) != request.buyer_address:
        raise SealError(f"public key is not that of buyer {request.buyer_address[:40]}")


def _usable(request: Request) -> bool:
    try:
        check_buyer(request)
    except SealError:
        return False
    return request.payment_mote >= 0


def _applies(rule: Rule, request: Request) -> bool:
    paid = request.payment_mote
    return (
        request.level in rule.levels
        and (rule.min_payment_mote is None or paid >= rule.min_payment_mote)
        and (rule.max_payment_mote is None or paid <= rule.max_payment_mote)
        and (rule.buyers is None or request.buyer_address in rule.buyers)
    )

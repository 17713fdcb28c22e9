"""Whether a buyer's request is granted, refused, or shown to the owner.

Rules decide only what the owner let them: a rule may grant Lv2 to Lv4, nobody but the owner
grants Lv1 (docs/decisions/0004-sealing-and-custody.md). For a grant all of a parcel has to be
within all limits of the rule; for a refusal it is enough that some of it is. What cannot be told
never grants, and where it might have refused the owner is asked.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from typing import Final

import msgspec

from agent.errors import ConfigError, SealError
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.areas import Area, Fit
from agent.wallet.curve import load_public


class Verdict(Enum):
    GRANTED = "granted"
    REFUSED = "refused"
    ASK = "ask"


def unknown_places(_area: Area) -> Fit:
    return Fit.UNKNOWN


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """
    parcel_id:     hex
    buyer_address: AMO address, 40 upper-case hex digits
    buyer_public:  65 bytes, from the buyer's request transaction
    payment_mote:  offered, in mote (1 AMO = 10**18)
    level:         of the parcel, from our own receipt of its upload
    kinds:         what it carries: names of signals, and kinds of other events; empty is unknown
    since_ns, until_ns: UTC of its first and last record; None is unknown
    places:        how much of it was recorded where an area says
    """

    parcel_id: str
    buyer_address: str
    buyer_public: bytes
    payment_mote: int
    level: Level
    kinds: frozenset[str] = frozenset()
    since_ns: int | None = None
    until_ns: int | None = None
    places: Callable[[Area], Fit] = unknown_places


class Used(msgspec.Struct, frozen=True):
    """How often a rule granted: in all, and in the last 24 hours."""

    total: int = 0
    day: int = 0


class History(msgspec.Struct, frozen=True):
    """
    now_ns: UTC; None while the clock is not to be believed
    used:   by the name of the rule; those that are on their way to the chain are counted too
    """

    now_ns: int | None
    used: Mapping[str, Used] = {}


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the owner's policy; it applies when all its limits fit the request.

    levels:       of the parcels it speaks of
    min_payment_mote, max_payment_mote: both inclusive; None is no limit
    buyers:       addresses, upper-case hex; None is any buyer
    kinds:        of what a parcel carries; None is anything
    since_ns, until_ns: UTC of what a parcel carries, both inclusive
    area:         where it was recorded
    expires_ns:   UTC; from then on the rule is dead
    count, per_day: how often it grants, in all and within 24 hours
    """

    name: str
    verdict: Verdict
    levels: frozenset[Level]
    min_payment_mote: int | None = None
    max_payment_mote: int | None = None
    buyers: frozenset[str] | None = None
    kinds: frozenset[str] | None = None
    since_ns: int | None = None
    until_ns: int | None = None
    area: Area | None = None
    expires_ns: int | None = None
    count: int | None = None
    per_day: int | None = None

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


def decide(request: Request, policy: Policy, history: History) -> Decision:
    """A request that cannot be granted at all is refused by "wallet".

    Raises nothing but what `places` of the request does.
    """
    if not _usable(request):
        return Decision(Verdict.REFUSED, "wallet")
    for rule in policy.rules:
        fits = _settled(_fits(rule, request, history))
        if Fit.NONE in fits or (rule.verdict is Verdict.GRANTED and fits != {Fit.ALL}):
            continue
        return ASK_THE_OWNER if Fit.UNKNOWN in fits else Decision(rule.verdict, rule.name)
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


def _settled(fits: Iterator[Fit]) -> set[Fit]:
    """All of them, or those up to the first that settles it: to ask for places takes long."""
    found: set[Fit] = set()
    for fit in fits:
        found.add(fit)
        if fit is Fit.NONE:
            break
    return found


def _fits(rule: Rule, request: Request, history: History) -> Iterator[Fit]:
    """One for each limit of the rule; the costly one last."""
    paid = request.payment_mote
    yield _whether(request.level in rule.levels)
    yield _whether(rule.buyers is None or request.buyer_address in rule.buyers)
    yield _whether(rule.min_payment_mote is None or paid >= rule.min_payment_mote)
    yield _whether(rule.max_payment_mote is None or paid <= rule.max_payment_mote)
    used = history.used.get(rule.name, Used())
    yield _whether(rule.count is None or used.total < rule.count)
    if rule.expires_ns is not None:
        yield _alive(rule.expires_ns, history.now_ns)
    if rule.per_day is not None:
        yield Fit.UNKNOWN if history.now_ns is None else _whether(used.day < rule.per_day)
    if rule.kinds is not None:
        yield _fit_of_kinds(request.kinds, rule.kinds)
    if rule.since_ns is not None or rule.until_ns is not None:
        yield _fit_of_time(request, rule)
    if rule.area is not None:
        yield request.places(rule.area)


def _whether(fits: bool) -> Fit:  # noqa: FBT001 - it has no other argument
    return Fit.ALL if fits else Fit.NONE


def _alive(expires_ns: int, now_ns: int | None) -> Fit:
    return Fit.UNKNOWN if now_ns is None else _whether(now_ns < expires_ns)


def _fit_of_kinds(carried: frozenset[str], kinds: frozenset[str]) -> Fit:
    if not carried:
        return Fit.UNKNOWN
    if carried <= kinds:
        return Fit.ALL
    return Fit.SOME if carried & kinds else Fit.NONE


def _fit_of_time(request: Request, rule: Rule) -> Fit:
    first, last = request.since_ns, request.until_ns
    if first is None or last is None or last < first:
        return Fit.UNKNOWN
    since = first if rule.since_ns is None else rule.since_ns
    until = last if rule.until_ns is None else rule.until_ns
    if since <= first and last <= until:
        return Fit.ALL
    return Fit.NONE if last < since or until < first else Fit.SOME

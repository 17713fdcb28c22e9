"""The owner's rules as text. Form and meaning of each key: docs/formats/policy.md.

A text is taken as a whole or not at all, so that a rule with a slip in it does not leave the others
to decide alone.
"""

import json
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from agent.errors import ConfigError, UsageError
from agent.events import KINDS
from agent.privacy import LEVELS, Level
from agent.toml import parse_toml
from agent.wallet.amount import amo_text, mote_of
from agent.wallet.areas import Area
from agent.wallet.consent import Policy, Rule, Verdict

MAX_BYTES: Final = 1 << 16
MAX_RULES: Final = 100
NO_RULES: Final = "version = 1\n"
"""The text of a policy that asks the owner every time."""

Kinds = Annotated[frozenset[Annotated[str, Meta(max_length=200)]], Meta(min_length=1)]
Count = Annotated[int, Meta(ge=1, le=1_000_000)]
_Time = Annotated[datetime, Meta(tz=True)]
_VERDICTS: Final = {"grant": Verdict.GRANTED, "refuse": Verdict.REFUSED}
_OTHERS: Final = ("owner", "wallet")
"""Who decides without a rule, as the log names them."""
_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_UNMAPPED: Final = "can."


class _Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    name: Annotated[str, Meta(pattern=r"^[!-~]([ -~]{0,62}[!-~])?\Z")]
    verdict: Annotated[str, Meta(pattern=r"^(grant|refuse)\Z")]
    levels: Annotated[frozenset[Annotated[int, Meta(ge=1, le=4)]], Meta(min_length=1)]
    buyers: (
        Annotated[frozenset[Annotated[str, Meta(pattern=r"^[0-9A-F]{40}\Z")]], Meta(min_length=1)]
        | None
    ) = None
    kinds: Kinds | None = None
    min_price: str | None = None
    max_price: str | None = None
    since: _Time | None = None
    until: _Time | None = None
    area: Area | None = None
    expires: _Time | None = None
    count: Count | None = None
    per_day: Count | None = None


class _Policy(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: Annotated[int, Meta(ge=1, le=1)]
    rule: Annotated[tuple[_Rule, ...], Meta(max_length=MAX_RULES)] = ()


def parse_policy(text: str) -> Policy:
    """Raises ConfigError with place, key, value and limit, in one line."""
    content = text.encode("utf-8", "surrogateescape")
    if len(content) > MAX_BYTES:
        raise ConfigError(f"policy: {len(content)} bytes, at most {MAX_BYTES}")
    rules = parse_toml("policy", content, _Policy).rule
    seen: dict[str, int] = {}
    for place, rule in enumerate(rules):
        first = seen.setdefault(rule.name, place)
        if first != place:
            raise ConfigError(f"{_at(place, 'name', rule.name)}: it is rule[{first}] as well")
    return Policy(tuple(_rule(place, rule) for place, rule in enumerate(rules)))


def text_of(rule: Rule) -> str:
    """A rule as it stands in a policy, to be put behind the others; times to the microsecond."""
    verdict = next(word for word, verdict in _VERDICTS.items() if verdict is rule.verdict)
    values: dict[str, object] = {
        "name": json.dumps(rule.name),
        "verdict": json.dumps(verdict),
        "levels": sorted(map(int, rule.levels)),
        "buyers": _array(rule.buyers),
        "kinds": _array(rule.kinds),
        "min_price": _price_text(rule.min_payment_mote),
        "max_price": _price_text(rule.max_payment_mote),
        "since": _time_text(rule.since_ns),
        "until": _time_text(rule.until_ns),
        "expires": _time_text(rule.expires_ns),
        "count": rule.count,
        "per_day": rule.per_day,
    }
    given = {key: value for key, value in values.items() if value is not None}
    lines = ["[[rule]]", *(f"{key} = {value}" for key, value in given.items())]
    if rule.area is not None:
        area = msgspec.json.encode(rule.area)
        lines.append("[rule.area]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in json.loads(area).items()]
    return "\n".join(lines) + "\n"


def _rule(place: int, rule: _Rule) -> Rule:
    wrong = _wrong(rule)
    if wrong:
        raise ConfigError(f"{_at(place, wrong[0], getattr(rule, wrong[0]))}: {wrong[1]}")
    made = Rule(
        name=rule.name,
        verdict=_VERDICTS[rule.verdict],
        levels=frozenset(map(Level, rule.levels)),
        buyers=rule.buyers,
        kinds=rule.kinds,
        min_payment_mote=_mote(place, "min_price", rule.min_price),
        max_payment_mote=_mote(place, "max_price", rule.max_price),
        since_ns=_ns(rule.since),
        until_ns=_ns(rule.until),
        area=rule.area,
        expires_ns=_ns(rule.expires),
        count=rule.count,
        per_day=rule.per_day,
    )
    _check_order(place, "max_price", rule, (made.min_payment_mote, made.max_payment_mote))
    _check_order(place, "until", rule, (made.since_ns, made.until_ns))
    return made


def _wrong(rule: _Rule) -> tuple[str, str] | None:
    """The first key that cannot be what it is, and the limit."""
    if rule.name in _OTHERS:
        return "name", f"the log says {' and '.join(_OTHERS)} of decisions without a rule"
    if rule.verdict == "grant" and Level.LV1 in rule.levels:
        return "levels", "a rule grants 2 to 4; Lv1 is granted by the owner alone"
    unknown = sorted(kind for kind in rule.kinds or () if not known_kind(kind))
    if unknown:
        return "kinds", f"{unknown[0]!r} is no signal of docs/signals.md and no kind of event"
    if rule.verdict == "refuse" and (rule.count or rule.per_day):
        return ("count" if rule.count else "per_day"), "only for grants: refusals are not counted"
    return None


def known_kind(kind: str) -> bool:
    """Whether a parcel may carry it: a signal, an event, or a signal of a DBC file."""
    return kind in LEVELS or kind in KINDS or kind.startswith(_UNMAPPED)


def _check_order(place: int, key: str, rule: _Rule, limits: tuple[int | None, int | None]) -> None:
    low, high = limits
    if low is not None and high is not None and high < low:
        raise ConfigError(f"{_at(place, key, getattr(rule, key))}: below the other limit")


def _mote(place: int, key: str, text: str | None) -> int | None:
    try:
        return None if text is None else mote_of(text)
    except UsageError as error:
        raise ConfigError(f"{_at(place, key, text)}: {error}") from None


def _ns(time: datetime | None) -> int | None:
    return None if time is None else (time - _EPOCH) // timedelta(microseconds=1) * 1000


def _at(place: int, key: str, value: Any) -> str:
    shown = sorted(value) if isinstance(value, frozenset) else value
    shown = value.isoformat() if isinstance(value, datetime) else repr(shown)
    return f"policy: rule[{place}].{key} = {shown}"


def _array(names: frozenset[str] | None) -> str | None:
    return None if names is None else json.dumps(sorted(names), ensure_ascii=False)


def _price_text(mote: int | None) -> str | None:
    return None if mote is None else json.dumps(amo_text(mote))


def _time_text(t_ns: int | None) -> str | None:
    return None if t_ns is None else (_EPOCH + timedelta(microseconds=t_ns // 1000)).isoformat()

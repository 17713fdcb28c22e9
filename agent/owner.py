"""What the owner says of themselves: name and contact (Lv1), age, sex and data use (Lv2).

It goes into the log as sealed events and nowhere else. No message, log line or text form quotes
a value, so a complaint names the field and what it takes.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec

from agent.errors import ErasedError, UsageError
from agent.events import Event, OwnerDescribed, OwnerNamed, decode
from agent.eventstore.log import Recorded
from agent.privacy import Level
from agent.record import Journal

OLDEST: Final = 150
LONGEST: Final = {"name": 100, "contact": 200}
"""Characters."""
SEXES: Final = ("female", "male", "other")
DATA_USES: Final = ("none", "research", "traffic", "insurance", "advertising", "any")
"""What the owner would have the data used for."""


class Opener(Protocol):
    """Opens what was sealed. Raises SealError, ErasedError where the key was destroyed."""

    def open(self, level: Level, kind: str, sealed: bytes) -> bytes: ...


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """None is what was not told. age: in years; sex, data_use: of SEXES and DATA_USES"""

    name: str | None = None
    contact: str | None = None
    age: int | None = None
    sex: str | None = None
    data_use: str | None = None

    def __repr__(self) -> str:
        return "Owner()"

    @property
    def events(self) -> tuple[OwnerNamed, OwnerDescribed]:
        """One for each level."""
        return (
            OwnerNamed(self.name, self.contact),
            OwnerDescribed(self.age, self.sex, self.data_use),
        )

    def told(self, event: Event) -> "Owner":
        """As that event leaves it."""
        if not isinstance(event, OwnerNamed | OwnerDescribed):
            return self
        return msgspec.structs.replace(self, **msgspec.structs.asdict(event))

    def changed(self, changes: Mapping[str, object]) -> "Owner":
        """With these fields; None takes one back. Raises UsageError for what none can be."""
        return msgspec.structs.replace(self, **{k: _checked(k, v) for k, v in changes.items()})


FIELDS: Final = Owner.__struct_fields__


def from_json(text: str | bytes) -> dict[str, object]:
    """Fields of one JSON object. Raises UsageError."""
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise UsageError(f"not a JSON object with some of {', '.join(FIELDS)}")
    return found


def owner_of(events: Iterable[Recorded], opener: Opener) -> Owner:
    """What the log says last. Erased events say nothing. Raises SealError."""
    owner = Owner()
    for event in events:
        if event.kind in (OwnerNamed.kind, OwnerDescribed.kind):
            try:
                payload = opener.open(event.level, event.kind, event.payload)
            except ErasedError:
                continue
            owner = owner.told(decode(event.kind, payload))
    return owner


def write_owner(before: Owner, after: Owner, journal: Journal) -> None:
    """Write what changed, and return when it is on disk. Raises StoreError."""
    for old, new in zip(before.events, after.events, strict=True):
        if old != new:
            journal.write(new)
    journal.flush()


def _checked(field: str, value: object) -> object:
    if field not in FIELDS:
        raise UsageError(f"no such field; there is {', '.join(FIELDS)}")
    if value is None:
        return None
    if field == "age":
        return _age(value)
    text = value.strip() if isinstance(value, str) else ""
    words = {"sex": SEXES, "data_use": DATA_USES}.get(field)
    if words is not None and text not in words:
        raise UsageError(f"{field}: one of {', '.join(words)}")
    if words is None and not (text.isprintable() and 0 < len(text) <= LONGEST[field]):
        raise UsageError(f"{field}: 1 to {LONGEST[field]} printable characters")
    return text


def _age(value: object) -> int:
    digits = value.strip() if isinstance(value, str) else ""
    if digits.isascii() and digits.isdecimal() and len(digits) <= len(str(OLDEST)):
        value = int(digits)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= OLDEST:
        raise UsageError(f"age: whole years, 0 to {OLDEST}")
    return value

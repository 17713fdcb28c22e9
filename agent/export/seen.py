"""An event as far as it can be seen: decoded, opened where that was asked for, or why not."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, Final

import msgspec

from agent.clock import SECOND
from agent.errors import ErasedError, MalformedInputError, SealError
from agent.events import Event, SignalsSampled, decode
from agent.eventstore.log import Recorded
from agent.obd.frame import T_NS_MAX
from agent.privacy import Level, sealed

Open = Callable[[Level, str, bytes], bytes]
"""(level, kind, sealed payload) -> payload. Raises SealError."""
SEALED: Final = "sealed"
ERASED: Final = "erased"


class Seen(msgspec.Struct, frozen=True, gc=False):
    """
    event:   what happened; None where that cannot be seen
    closed:  "sealed" where it stays so, "erased" where its key was destroyed, else empty
    unknown: why it did not open or was not understood; empty where nothing went wrong
    """

    recorded: Recorded
    event: Event | None = None
    closed: str = ""
    unknown: str = ""


def seen(recorded: Recorded, opener: Open | None) -> Seen:
    """As `opened`; what does not open stays sealed and tells why, and the next may do."""
    try:
        return opened(recorded, opener)
    except SealError as error:
        return Seen(recorded, closed=SEALED, unknown=str(error))


def opened(recorded: Recorded, opener: Open | None) -> Seen:
    """opener: of the owner; without one, what is sealed stays so.

    Raises SealError where `opener` does, but for what was erased.
    """
    payload = recorded.payload
    if sealed(recorded.level):
        if opener is None:
            return Seen(recorded, closed=SEALED)
        try:
            payload = opener(recorded.level, recorded.kind, payload)
        except ErasedError:
            return Seen(recorded, closed=ERASED)
    try:
        event = decode(recorded.kind, payload)
        if isinstance(event, SignalsSampled):
            _check(event)
    except MalformedInputError as error:
        return Seen(recorded, unknown=str(error))
    return Seen(recorded, event)


def _check(event: SignalsSampled) -> None:
    """That every value has a time, and that it is one."""
    t0_ns = event.t0_ns
    for offsets, values in event.series.values():
        if len(offsets) != len(values):
            raise MalformedInputError(f"{len(offsets)} times, {len(values)} values")
        if offsets and not 0 <= t0_ns + min(offsets) <= t0_ns + max(offsets) <= T_NS_MAX:
            raise MalformedInputError(f"times about {t0_ns} ns are outside 0..{T_NS_MAX}")


def plain(what: Seen) -> dict[str, Any]:
    """Everything about an event as plain values; bytes are hexadecimal digits."""
    recorded = what.recorded
    head = {
        "seq": recorded.seq,
        "kind": recorded.kind,
        "level": int(recorded.level),
        "t_ns": recorded.t_ns,
        "time": instant(recorded.t_ns),
        "boot": recorded.boot,
    }
    return {**head, **content(what)}


def content(what: Seen) -> dict[str, Any]:
    """The fields of an event alone; what cannot be seen says so."""
    event = what.event
    if event is None:
        closed = {what.closed: True} if what.closed else {}
        return {**closed, "unknown": what.unknown} if what.unknown else closed
    return fields(event)


def fields(event: Event) -> dict[str, Any]:
    """Those of an event as plain values; bytes are hexadecimal digits."""
    names = event.__struct_fields__
    values = msgspec.to_builtins(event, builtin_types=(bytes,))
    return {name: _hexadecimal(value) for name, value in zip(names, values, strict=True)}


def _hexadecimal(value: Any) -> Any:
    """Bytes, also those within lists; a map of series has none."""
    if isinstance(value, bytes):
        return value.hex()
    return [_hexadecimal(one) for one in value] if isinstance(value, list) else value


def json_line(values: dict[str, Any]) -> bytes:
    """One line, UTF-8. JSON has no word for infinity or for no number: they become null."""
    return msgspec.json.encode(values)


def instant(t_ns: int) -> str:
    """ISO 8601 in UTC with nanoseconds."""
    seconds, ns = divmod(t_ns, SECOND)
    return f"{_second(seconds)}.{ns:09d}Z"


@lru_cache(16)
def _second(seconds: int) -> str:
    """A table asks for the same second hundreds of times."""
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()

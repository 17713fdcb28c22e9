"""One event as a line: plain values for a program, words for a person."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from agent.archive import owners_view
from agent.clock import SECOND
from agent.errors import ErasedError, MalformedInputError, UsageError
from agent.events import decode
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.privacy import Level, sealed
from agent.wallet.seal import Unsealer

Open = Callable[[Level, str, bytes], bytes]
"""(level, kind, sealed payload) -> payload. Raises SealError."""


@contextmanager
def owners_eye(state: Path) -> Iterator[Unsealer]:
    """What opens the events of a state directory with the owner's key. Raises UsageError."""
    if not state.is_dir():
        raise UsageError(f"{state}: to open events, a state directory with its keys is needed")
    with LogReader.open(state / "events.db") as reader:
        log_id = reader.log_id
    with owners_view(state, log_id) as opener:
        yield opener


def values(event: Recorded, opener: Open | None) -> dict[str, Any]:
    """Everything about an event; what is sealed or erased says so. Raises what `opener` does."""
    line: dict[str, Any] = {
        "seq": event.seq,
        "kind": event.kind,
        "level": int(event.level),
        "t_ns": event.t_ns,
        "time": datetime.fromtimestamp(event.t_ns // SECOND, UTC).isoformat(),
        "boot": event.boot,
    }
    payload = event.payload
    if sealed(event.level):
        if opener is None:
            return {**line, "sealed": True}
        try:
            payload = opener(event.level, event.kind, payload)
        except ErasedError:
            return {**line, "erased": True}
    try:
        fields = decode(event.kind, payload)
    except MalformedInputError as error:
        return {**line, "unknown": str(error)}
    names = fields.__struct_fields__
    found = msgspec.to_builtins(fields, builtin_types=(bytes,))
    return {
        **line,
        **{n: v.hex() if isinstance(v, bytes) else v for n, v in zip(names, found, strict=True)},
    }


def text(line: dict[str, Any]) -> str:
    """What `values` gave, in one line."""
    rest = {k: v for k, v in line.items() if k not in {"seq", "kind", "level", "t_ns", "time"}}
    words = " ".join(f"{name}={value}" for name, value in rest.items())
    return f"{line['seq']:>8}  {line['time']}  Lv{line['level']}  {line['kind']:<22} {words}"

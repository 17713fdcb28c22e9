"""One event as a line: plain values for a program, words for a person."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.archive import owners_view
from agent.cli.passphrase import of_keys
from agent.cli.show import one_line
from agent.errors import UsageError
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.export.seen import Open, opened, plain
from agent.obd.codetext import meaning
from agent.wallet.seal import Unsealer


@contextmanager
def owners_eye(state: Path) -> Iterator[Unsealer]:
    """What opens the events of a state directory with the owner's key. Raises UsageError."""
    if not state.is_dir():
        raise UsageError(f"{state}: to open events, a state directory with its keys is needed")
    with LogReader.open(state / "events.db") as reader:
        log_id = reader.log_id
    with owners_view(state, log_id, of_keys(state / "keys")) as opener:
        yield opener


def values(event: Recorded, opener: Open | None) -> dict[str, Any]:
    """Everything about an event; what cannot be seen says so. Raises what `opener` does."""
    return plain(opened(event, opener))


def text(line: dict[str, Any]) -> str:
    """What `values` gave, in one line; a generic trouble code with its meaning behind it."""
    rest = {k: v for k, v in line.items() if k not in {"seq", "kind", "level", "t_ns", "time"}}
    if known := meaning(str(line.get("code", ""))):
        rest["meaning"] = known
    words = " ".join(f"{name}={one_line(value)}" for name, value in rest.items())
    return f"{line['seq']:>8}  {line['time']}  Lv{line['level']}  {line['kind']:<22} {words}"

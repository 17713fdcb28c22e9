"""What several commands print alike: the default state directory, progress bars, figures."""

import io
import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any, Final, TextIO, TypeVar, cast

import click
import structlog

from agent.clock import MS, SECOND
from agent.eventstore.log import Recorded
from agent.eventstore.state import EVENTS

STATE = "/var/lib/amo-agent"
"""Where the service keeps its state."""
PROGRESS: Final = 1000
"""Events between two looks at the bar."""
ITEMS: Final = 500
"""Lines of a file between two looks at the bar."""
TIME: Final = click.DateTime(
    [f"%Y-%m-%d{rest}" for rest in ("", "T%H:%M:%S", " %H:%M:%S", "T%H:%M:%S.%f", " %H:%M:%S.%f")]
)
"""A time as an option; it is UTC."""
_MICROSECOND: Final = timedelta(microseconds=1)


_Item = TypeVar("_Item")


class _Stderr(io.TextIOBase):
    """Standard error that may be gone: nobody reading the log must not stop the recording."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError):
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def log_to_stderr() -> None:
    """What the agent tells while it works: one line each, in logfmt, where no result is printed."""
    structlog.configure(
        processors=[structlog.processors.add_log_level, structlog.processors.LogfmtRenderer()],
        logger_factory=structlog.PrintLoggerFactory(cast("TextIO", _Stderr())),
    )


def utc_ns(time: datetime) -> int:
    """Of a TIME; UTC nanoseconds since 1970, exactly."""
    return (time.replace(tzinfo=UTC) - datetime.fromtimestamp(0, UTC)) // _MICROSECOND * MS // 1_000


def iso(t_ns: int) -> str:
    """To the second. Whatever time a clock may have said, a calendar has it."""
    return datetime.fromtimestamp(t_ns // SECOND, UTC).isoformat()


def log_file(state: Path) -> Path:
    """Of a state directory, or of a log that was copied."""
    return state / EVENTS if state.is_dir() else state


@contextmanager
def bar(label: str) -> Iterator[Callable[[int, int], None]]:
    """Give a function (done, total) that draws a progress bar, on a terminal alone."""
    if not sys.stderr.isatty():
        yield _nowhere
        return
    with click.progressbar(length=1, label=label, file=sys.stderr) as drawn:

        def report(done: int, total: int) -> None:
            drawn.length = max(1, total)
            drawn.update(done - drawn.pos)

        yield report


def watched(
    events: Iterable[Recorded], last: int, report: Callable[[int, int], None]
) -> Iterator[Recorded]:
    """The events, while `report` is told now and then how far they are."""
    due = 0
    for event in events:
        if event.seq >= due:
            report(event.seq, last)
            due = event.seq + PROGRESS
        yield event


def along(found: Iterable[_Item], source: IO[Any], label: str) -> Iterator[_Item]:
    """The same items, with a bar where a person waits for a file and the result goes elsewhere."""
    if sys.stdout.isatty() or not sys.stderr.isatty() or not source.seekable():
        yield from found
        return
    with bar(label) as report:
        size = os.fstat(source.fileno()).st_size
        for number, item in enumerate(found):
            if number % ITEMS == 0:
                report(source.tell(), size)
            yield item


def _nowhere(_done: int, _total: int) -> None:
    """Nobody watches."""


def one_line(value: object) -> str:
    """A text that could move the cursor, or pass for another line, as JSON has it."""
    text = str(value)
    return text if text.isprintable() else json.dumps(text)


def figures(pairs: dict[str, object]) -> str:
    """Names and values in two columns, for people."""
    width = max(map(len, pairs))
    return "\n".join(f"  {name:<{width}}  {_value(value)}" for name, value in pairs.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_value(one)}" for name, one in value.items()) or "none"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

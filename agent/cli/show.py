"""What several commands print alike: the default state directory, progress bars, figures."""

import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO, cast

import click
import structlog

from agent.errors import UsageError

STATE = "/var/lib/amo-agent"
"""Where the service keeps its state."""


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


def _nowhere(_done: int, _total: int) -> None:
    """Nobody watches."""


def write_private(path: Path, data: bytes) -> None:
    """A file that is new or begun anew; a new one is its owner's alone. Raises UsageError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "wb") as file:  # noqa: PTH123 - opened private
            file.write(data)
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: {getattr(error, 'strerror', error)}") from error


def figures(pairs: dict[str, object]) -> str:
    """Names and values in two columns, for people."""
    width = max(map(len, pairs))
    return "\n".join(f"  {name:<{width}}  {_value(value)}" for name, value in pairs.items())


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.1f}"
    return f"{value:,}" if isinstance(value, int) else str(value)

"""`amo-agent log export`: the log in a form that other tools read."""

import importlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import click

from agent.cli import EXIT_NOT_SO
from agent.cli.eventline import owners_eye
from agent.cli.passphrase import PASSPHRASE
from agent.cli.pick import LIMIT, picked, wish_of, wishes
from agent.cli.show import STATE, bar, log_file, watched
from agent.errors import UsageError
from agent.events import FramesCaptured, SignalsSampled
from agent.eventstore.checked import CheckedReader
from agent.eventstore.readmodel import Progress
from agent.export.seen import Seen, seen
from agent.export.target import apart, new_file, standard_output


class Format(NamedTuple):
    """
    module: of agent.export, whose `write(events, out)` makes it
    kind:   the only one it holds; empty for every kind
    text:   whether a terminal can show it
    piped:  whether it is written from beginning to end
    """

    module: str
    kind: str = ""
    text: bool = False
    piped: bool = True


FORMATS: Final = {
    "csv": Format("commas", text=True),
    "jsonl": Format("jsonl", text=True),
    "parquet": Format("parquet"),
    "candump": Format("candump", FramesCaptured.kind, text=True),
    "mf4": Format("mf4", SignalsSampled.kind, piped=False),
}


class Tally:
    """Of the events that were wanted: all, those sealed or erased, those not understood."""

    def __init__(self) -> None:
        self.events = self.unknown = 0
        self.closed: Counter[str] = Counter()

    def count(self, events: Iterable[Seen]) -> Iterator[Seen]:
        for event in events:
            self.events += 1
            self.unknown += bool(event.unknown)
            if event.closed:
                self.closed[event.closed] += 1
            yield event

    def __str__(self) -> str:
        words = [f"{self.events:,} events"]
        words += [f"{number:,} of them {word}" for word, number in self.closed.items()]
        if self.unknown:
            words.append(f"{self.unknown:,} of them not to be opened or understood")
        return ", ".join(words)


@click.command()
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@click.option("--format", "form", type=click.Choice(list(FORMATS)), required=True)
@click.option(
    "--out", type=click.Path(path_type=Path), default="-", help="FILE, or - for standard output."
)
@wishes
@LIMIT
@click.option("--open", "unseal", is_flag=True, help="Open Lv1 and Lv2 with the owner's key.")
@PASSPHRASE
def export(
    state: Path, *, form: str, out: Path, limit: int | None, unseal: bool, **wished: Any
) -> None:
    """Write events in the form of another tool.

    csv, jsonl and parquet hold events of every kind, candump raw frames, mf4 samples. What is
    sealed stays so, and out of candump and mf4, without --open; with it, FILE has it in clear.

    Example: amo-agent log export ./drive --format parquet --kind signals --out drive.parquet
    """
    chosen, wish, tally = FORMATS[form], wish_of(**wished), Tally()
    write = _writer(chosen)
    with (
        CheckedReader.open(log_file(state)) as log,
        owners_eye(state) if unseal else nullcontext() as owner,
        _target(state, out, chosen) as stream,
        _progress(stream) as report,
    ):
        opener = owner.open if owner else None
        events = watched(picked(log, state, wish, opener), log.head().seq, report)
        meant = islice((e for e in events if e.kind.startswith(chosen.kind)), limit)
        write(tally.count(seen(event, opener) for event in meant), stream)
        stream.flush()
    _conclude(tally, out)


def _writer(chosen: Format) -> Callable[[Iterable[Seen], BinaryIO], None]:
    try:
        module = importlib.import_module(f"agent.export.{chosen.module}")
    except ModuleNotFoundError as error:
        missing = f"{error.name} is not installed"
        raise UsageError(f"{missing}: pip install 'amo-agent[export]'") from error
    write: Callable[[Iterable[Seen], BinaryIO], None] = module.write
    return write


def _target(state: Path, out: Path, chosen: Format) -> AbstractContextManager[BinaryIO]:
    if str(out) == "-":
        if not chosen.piped:
            raise UsageError(f"{chosen.module} is not written in one go; it needs --out FILE")
        return nullcontext(standard_output(text=chosen.text))
    return new_file(apart(out, state))


def _progress(stream: BinaryIO) -> AbstractContextManager[Progress]:
    """A bar, unless the result goes to the terminal that would show it."""
    return nullcontext(_unseen) if stream.isatty() else bar("exporting")


def _unseen(_done: int, _total: int) -> None:
    """The events themselves tell how far it is."""


def _conclude(tally: Tally, out: Path) -> None:
    piped = str(out) == "-"
    if not piped:
        click.echo(f"{out}: {tally}")
    elif tally.closed or tally.unknown:
        click.echo(tally, err=True)
    sys.exit(EXIT_NOT_SO if tally.unknown else 0)

"""`amo-agent bsm`: basic safety messages as octets, as JSON, and as rows of a table."""

import csv
import io
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import IO, Any, BinaryIO

import click

from agent import installed
from agent.bsm import wyoming
from agent.bsm.codec import Codec, UndecodableError
from agent.bsm.input import LONGEST_LINE, Line, items, lines
from agent.bsm.item import ode_record, tree_of_json, tree_of_octets
from agent.bsm.jer import to_jer
from agent.bsm.odejson import from_ode, to_ode
from agent.bsm.si import physical
from agent.bsm.uper import Tree
from agent.cli import EXIT_NOT_SO
from agent.cli.show import along
from agent.errors import MalformedInputError, UsageError

_source = click.argument("source", type=click.File("rb"), default="-", metavar="[FILE|-]")
_out = click.option(
    "--out",
    type=click.File("w", encoding="utf-8", errors="replace"),
    default="-",
    help="A file, or - for standard output.",
)


@click.group(name="bsm")
def command() -> None:
    """Decode, encode and convert basic safety messages (SAE J2735).

    Example: amo-agent bsm decode heard.hex | amo-agent bsm encode
    """


@command.command()
@_source
def decode(source: BinaryIO) -> None:
    """Messages to JSON, one object a line; a bad one says why and at which bit.

    A line is hexadecimal digits: a message frame, a bare message, IEEE 1609.2 data or a log
    record, also behind the header of a radio. FILE may be a binary log of a unit, too.

    Example: amo-agent bsm decode heard.hex > heard.jsonl
    """
    codec, wrong = installed.codec(), 0
    with _reading(source) as stream:
        for item in along(items(stream), source, "decoding"):
            try:
                tree, _ = tree_of_octets(codec, item)
                line = {"ok": True, **_as_json(codec, tree)}
            except UndecodableError as error:
                wrong += 1
                line = {"ok": False, "error": " ".join(str(error).split()), "offset": error.offset}
            click.echo(json.dumps(line))
    sys.exit(EXIT_NOT_SO if wrong else 0)


@command.command()
@_source
def encode(source: BinaryIO) -> None:
    """JSON lines to message frames in hexadecimal digits.

    A line is what `decode` prints, its messageFrame alone, or a JSON record of the ODE (schema
    versions 3 to 9).

    Example: amo-agent bsm decode heard.hex | amo-agent bsm encode
    """
    codec, wrong = installed.codec(), 0
    with _reading(source) as stream:
        for item in along(lines(stream), source, "encoding"):
            try:
                tree, _ = tree_of_json(codec, item)
                click.echo(codec.encode_tree(tree).hex().upper())
            except MalformedInputError as error:
                wrong += _complain(item.where, error)
    sys.exit(EXIT_NOT_SO if wrong else 0)


@command.command(name="import-csv")
@_source
@_out
@click.option("--json", "as_json", is_flag=True, help="JSON lines with the row's metadata.")
def import_csv(source: BinaryIO, *, out: IO[str], as_json: bool) -> None:
    """Rows of the Wyoming CV Pilot (69 columns) to message frames in hexadecimal digits.

    Example: amo-agent bsm import-csv sample.csv --out sample.hex
    """
    _apart(source, out)
    codec, wrong, number = installed.codec(), 0, 1
    with _reading(source) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="replace", newline="")
        rows = csv.reader(iter(lambda: text.readline(LONGEST_LINE), ""))
        try:
            columns = wyoming.columns_of(next(rows, []))
        except (MalformedInputError, csv.Error) as error:
            raise UsageError(f"{_name(source)}: {error}") from error
        for number in along(count(2), source, "importing"):
            try:
                if (cells := next(rows, None)) is None:
                    break
                if any(cells):
                    click.echo(_row(codec, columns, cells, as_json=as_json), file=out)
            except (MalformedInputError, csv.Error) as error:
                wrong += _complain(f"row {number}", error)
        if wrong:
            click.echo(f"{wrong} of {number - 2} rows left out", err=True)
    sys.exit(EXIT_NOT_SO if wrong else 0)


@command.command(name="export-csv")
@_source
@_out
def export_csv(source: BinaryIO, *, out: IO[str]) -> None:
    """Messages, as `decode` or `encode` take them, to rows of the Wyoming CV Pilot.

    Example: amo-agent bsm export-csv heard.hex --out heard.csv
    """
    _apart(source, out)
    codec, wrong = installed.codec(), 0
    with _reading(source) as stream:
        table = csv.DictWriter(out, wyoming.COLUMNS, lineterminator="\n")
        table.writeheader()
        for item in along(items(stream), source, "exporting"):
            try:
                is_json = isinstance(item, Line) and item.text.startswith("{")
                tree, about = (tree_of_json if is_json else tree_of_octets)(codec, item)
                table.writerow(wyoming.to_row(ode_record(about, to_ode(codec, tree))))
            except MalformedInputError as error:
                wrong += _complain(item.where, error)
    sys.exit(EXIT_NOT_SO if wrong else 0)


def _apart(source: BinaryIO, out: IO[str]) -> None:
    """Refuse to write over what is being read; `out` is not opened yet."""
    there, here = Path(_name(out)), Path(_name(source))
    if there.is_file() and here.exists() and there.samefile(here):
        raise UsageError(f"{there}: input and output are the same file")


def _name(stream: IO[Any]) -> str:
    return str(getattr(stream, "name", "-"))


@contextmanager
def _reading(source: BinaryIO) -> Iterator[io.BufferedReader]:
    """The source, buffered; what the system refuses is one line of a usage error."""
    try:
        if isinstance(source, io.BufferedReader):
            yield source
        else:
            yield io.BufferedReader(source)  # type: ignore[arg-type]  # that it reads is enough
    except BrokenPipeError:
        raise
    except OSError as error:
        raise UsageError(f"input or output: {error.strerror or error}") from error


def _as_json(codec: Codec, tree: Tree) -> dict[str, Any]:
    return {"messageFrame": to_jer(codec, tree), "si": physical(codec, tree)}


def _row(codec: Codec, columns: list[str | None], cells: list[str], *, as_json: bool) -> str:
    row = {name: cell for name, cell in zip(columns, cells, strict=False) if name is not None}
    record = wyoming.from_row(row)
    frame = codec.encode_tree(from_ode(codec, record["payload"]["data"]))
    if not as_json:
        return frame.hex().upper()
    payload = {name: value for name, value in record["payload"].items() if name != "data"}
    about = {"metadata": record["metadata"], "payload": payload}
    return json.dumps({"ok": True, **about, **_as_json(codec, codec.decode_tree(frame))})


def _complain(where: str, error: Exception) -> int:
    click.echo(f"amo-agent: {where}: {' '.join(str(error).split())}", err=True)
    return 1

"""`amo-agent obd`: what recorded answers of a car's ECUs say."""

import json
import sys
from pathlib import Path
from typing import BinaryIO, Final

import click
import msgspec

from agent.cli import EXIT_NOT_SO
from agent.cli.show import along, one_line
from agent.errors import MalformedInputError, UsageError
from agent.obd.answer import Recorded, decoded
from agent.obd.signalset import SignalSet, load_signal_set

LONGEST_LINE: Final = 1 << 20


@click.group(name="obd")
def command() -> None:
    """Decode recorded answers of a car's ECUs.

    Example: amo-agent obd decode --signals car.json answers.jsonl
    """


@command.command()
@click.argument("source", type=click.File("rb"), default="-", metavar="[FILE|-]")
@click.option(
    "--signals",
    "files",
    type=click.Path(path_type=Path, dir_okay=False),
    multiple=True,
    required=True,
    help="A signal set in the form of OBDb; several may be given.",
)
def decode(source: BinaryIO, *, files: tuple[Path, ...]) -> None:
    """Answers to values, one JSON object a line; a bad one says why.

    A line names the command and has what an ELM327 printed, headers on:
    {"command_id": "7E4.7EC.220101", "response": ["7EC103E...", ...]}. The values of all ECUs
    together are in "values" (the last to answer counts), those of each in "ecus"; "cut" names
    ECUs whose message is not whole.

    Example: amo-agent obd decode --signals car.json --signals saej1979.json answers.jsonl
    """
    sets, wrong = [_loaded(file) for file in files], 0
    lines = iter(lambda: source.readline(LONGEST_LINE), b"")
    for line in along(lines, source, "decoding"):
        if line.strip():
            found = _decoded(line, sets)
            wrong += not found["ok"]
            click.echo(json.dumps(found))
    sys.exit(EXIT_NOT_SO if wrong else 0)


def _loaded(file: Path) -> SignalSet:
    found = load_signal_set(file)
    for complaint in found.complaints:
        click.echo(f"amo-agent: {file}: {one_line(complaint)}", err=True)
    if not found.commands:
        raise UsageError(f"{file}: no command in it can be used")
    return found


def _decoded(line: bytes, sets: list[SignalSet]) -> dict[str, object]:
    try:
        recorded = msgspec.json.decode(line, type=Recorded)
        found = msgspec.structs.asdict(decoded(recorded, sets))
    except (MalformedInputError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        return {"ok": False, "error": " ".join(str(error).split())}
    return {"ok": True, "command_id": recorded.command_id, **found}

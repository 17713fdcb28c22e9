"""`amo-agent obd`: what recorded answers of a car's ECUs say, and which car a recording is of."""

import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec

from agent.cli import EXIT_NOT_SO
from agent.cli.show import along, one_line
from agent.compose import seeker
from agent.errors import MalformedInputError, UsageError
from agent.obd.answer import Recorded, decoded
from agent.obd.fit import Choice, Fit
from agent.obd.logfile import LogFile
from agent.obd.seek import Seeker
from agent.obd.signalset import SignalSet, load_signal_set
from agent.obd.vin import VinFinder

LONGEST_LINE: Final = 1 << 20
BATCH_FRAMES: Final = 2_000
SHOWN: Final = 5


@click.group(name="obd")
def command() -> None:
    """Decode recorded answers of a car's ECUs; find the DBC file of a recording.

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


@command.command()
@click.argument("logs", nargs=-1, required=True, metavar="LOG...")
@click.option(
    "--dbc",
    "directory",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    required=True,
    help="Directory with the DBC files to choose from.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object a bus.")
def car(logs: tuple[str, ...], *, directory: Path, as_json: bool) -> None:
    """Which DBC file describes each bus of a recording, with the scores of the best five.

    It looks as `run` and `replay` do that are given the directory. A bus that is looked at
    several times is told as it was the last time. Exit 1 where no bus has a file.

    Example: amo-agent obd car drive.log.gz --dbc ./dbc
    """
    seeking, complaints = seeker(directory)
    files = [LogFile(path) for path in logs]
    found = dict(_looks(files, seeking))
    for complaint in complaints + [f"{f.path}: {text}" for f in files for text in f.complaints]:
        click.echo(f"amo-agent: {one_line(complaint)}", err=True)
    for channel, choice in found.items():
        click.echo(json.dumps(_told(channel, choice)) if as_json else _shown(channel, choice))
    sys.exit(0 if any(choice.dbc for choice in found.values()) else EXIT_NOT_SO)


def _looks(files: list[LogFile], seeking: Seeker) -> Iterator[tuple[str, Choice]]:
    finder = VinFinder()
    for file in files:
        frames = iter(file)
        while batch := list(islice(frames, BATCH_FRAMES)):
            for vin in finder.feed(batch):
                seeking.is_car(vin)
            seeking.passed(batch)
            yield from seeking.choices()
        seeking.rest()
        yield from seeking.choices()


def _told(channel: str, choice: Choice) -> dict[str, Any]:
    return {
        "bus": channel,
        "dbc": choice.dbc.name if choice.dbc else None,
        "profile": choice.profile.name if choice.profile else None,
        "reason": choice.reason,
        "candidates": [_candidate(fit) for fit in choice.fits[:SHOWN]],
    }


def _candidate(fit: Fit) -> dict[str, Any]:
    return {
        "dbc": fit.dbc.name,
        "score": round(fit.score, 3),
        "right": fit.right,
        "wrong": fit.wrong,
        "seen": fit.seen,
        "messages": len(fit.dbc.messages),
        "profiles": {profile.name: round(share, 3) for profile, share in fit.profiles},
    }


def _shown(channel: str, choice: Choice) -> str:
    name = one_line(choice.dbc.name) if choice.dbc else "no file"
    profile = choice.profile.name if choice.profile else "none"
    lines = [f"{one_line(channel)}: {name}, profile {profile}", f"  {one_line(choice.reason)}"]
    lines += [f"  {fit.score:.2f}  {one_line(fit.dbc.name)}" for fit in choice.fits[:SHOWN]]
    return "\n".join(lines)

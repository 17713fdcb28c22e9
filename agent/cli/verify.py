"""`amo-agent log verify`: chain, blocks, seals, floor and anchors of a log."""

import json
import sys
from contextlib import suppress
from pathlib import Path

import click
import msgspec

from agent.cli import EXIT_NOT_SO
from agent.cli.passphrase import PASSPHRASE, of_keys
from agent.cli.proof import device_key
from agent.cli.show import STATE, bar, figures, log_file
from agent.errors import MalformedInputError, SealError, StoreError, UsageError
from agent.eventstore import floor
from agent.eventstore.anchor import Anchor
from agent.eventstore.compare import differences
from agent.eventstore.reader import LogReader
from agent.eventstore.state import FLOOR, READMODEL
from agent.eventstore.verify import Beside, Verdict, verify
from agent.wallet.keys import load_owner
from agent.wallet.sealkey import OwnersSealKeys, SealKey, load_roots


@click.command(name="verify")
@click.argument("state", type=click.Path(path_type=Path), default=STATE)
@click.option("--from-scratch", is_flag=True, help="Every event from the first; it always is.")
@click.option("--device", metavar="HEX", help="The public key of the car that must have sealed.")
@click.option(
    "--floor",
    "floor_file",
    type=click.Path(path_type=Path),
    help="Where the floor is; beside the log in a state directory.",
)
@click.option("--anchor", metavar="NO:DIGEST", help="A seal of it, as AMO bears witness to it.")
@click.option("--projection", is_flag=True, help="The read model too: is it what the log says?")
@PASSPHRASE
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(
    state: Path,
    *,
    from_scratch: bool,
    device: str | None,
    floor_file: Path | None,
    anchor: str | None,
    projection: bool,
    as_json: bool,
) -> None:
    """Check every event, block and seal, and the end of the log; exit 0 intact, 1 not.

    STATE is a state directory or a copied events.db. With a state directory, its floor, the number
    of its next seal key and, where the owner's key needs no passphrase, the MACs of its seals are
    checked as well.

    Example: amo-agent log verify ./copy/events.db --device 04c1… --json
    """
    del from_scratch
    path = log_file(state)
    beside = Beside(
        _floor(floor_file, state),
        device_key(device),
        _owners(state) if state.is_dir() else None,
        None if anchor is None else Anchor.parse(anchor),
        _next_seal(state) if state.is_dir() else None,
    )
    with bar("verifying") as progress:
        verdict = verify(path, beside, progress=progress)
    unlike = _unlike(path) if projection and verdict.verdict == "intact" else []
    click.echo((_json if as_json else _words)(verdict, beside.floor, unlike))
    sys.exit(0 if verdict.verdict == "intact" and not unlike else EXIT_NOT_SO)


def _floor(given: Path | None, state: Path) -> floor.Floor | None:
    """A floor that is named has to be one; one that lies there broken is as if there were none."""
    if given is None and not state.is_dir():
        return None
    path = given or state / FLOOR
    try:
        found = floor.read(path)
    except MalformedInputError as error:
        if given is None:
            return None
        raise UsageError(f"{path}: {error}") from error
    except StoreError as error:  # nothing was checked, so nothing is said of the log
        raise UsageError(str(error)) from error
    if given is not None and found is None:
        raise UsageError(f"{path}: there is no floor")
    return found


def _owners(state: Path) -> OwnersSealKeys | None:
    """None where they are not to be had: then the MACs are left alone, not the signatures."""
    keys = state / "keys"
    with suppress(SealError), LogReader.open(log_file(state)) as reader:
        owner = load_owner(keys, of_keys(keys))
        return OwnersSealKeys(load_roots(keys), owner, reader.log_id)
    return None


def _next_seal(state: Path) -> int | None:
    """Read before the log is, which may get a seal and the key after it meanwhile."""
    with suppress(SealError), LogReader.open(log_file(state)) as reader:
        key = SealKey.load(state / "keys", reader.log_id)
        return None if key is None else key.no
    return None


def _unlike(path: Path) -> list[str]:
    with LogReader.open(path) as log, bar("comparing") as progress:
        return differences(path.with_name(READMODEL), log, progress=progress)


def _json(verdict: Verdict, known: floor.Floor | None, unlike: list[str]) -> str:
    intact = verdict.verdict == "intact" and not unlike
    rest = {"floor": None if known is None else known.head.seq, "read_model": unlike}
    return json.dumps({"intact": intact, **msgspec.to_builtins(verdict), **rest})


def _words(verdict: Verdict, known: floor.Floor | None, unlike: list[str]) -> str:
    if verdict.verdict != "intact":
        return f"{verdict.verdict} at sequence {verdict.first_bad_seq}: {verdict.reason}"
    pairs: dict[str, object] = {"head": verdict.head, "log": verdict.log_id}
    if verdict.seals:
        pairs["seals"] = f"{verdict.seals}, over {verdict.sealed} events"
        pairs["device"] = verdict.device + ("" if verdict.pinned else " (not compared)")
    else:
        pairs["seals"] = "none: whoever had the file could have written it anew"
    pairs["floor"] = f"at event {known.head.seq}" if known else "none: a cut behind that is unseen"
    if verdict.anchored:
        where = f"transaction {verdict.tx_hash} of block {verdict.height}"
        pairs["anchored"] = f"{verdict.anchored} events, by {where} (ask the chain of AMO)"
    pairs |= {f"read model {number}": line for number, line in enumerate(unlike, 1)}
    head = f"intact: {verdict.events} events in {verdict.blocks} blocks"
    return f"{head}\n{figures(pairs)}"

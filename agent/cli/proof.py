"""`amo-agent log prove` and `check-proof`: one event, or two seals, shown without the log."""

import json
import sys
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, Final

import click
import msgspec

from agent.cli import EXIT_NOT_SO
from agent.cli.eventline import owners_eye, values
from agent.cli.passphrase import PASSPHRASE
from agent.cli.show import STATE, figures, log_file
from agent.clock import SECOND
from agent.errors import MalformedInputError, SealError, UsageError
from agent.eventstore import chain, proof
from agent.eventstore.note import Note
from agent.eventstore.proof import EventProof, Finding, Proof
from agent.eventstore.prover import prove_event, prove_seals
from agent.eventstore.reader import LogReader
from agent.eventstore.signature import PUBLIC_BYTES
from agent.export.target import apart, new_file
from agent.privacy import sealed
from agent.wallet.seal import open_with_event_key

PINNED: Final = "It is signed by the device that was named with --device."
NOT_PINNED: Final = (
    "It is signed by the device key it brings along, and anybody can make one: compare it with the "
    "key of the car, or give that with --device."
)


@click.command()
@click.argument("seq", required=False)
@click.argument("state", required=False)
@click.option("--seals", nargs=2, type=click.IntRange(1), metavar="A B", help="Two seals instead.")
@click.option("--key", is_flag=True, help="Put the key of this one sealed event in.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default="-",
    help="A file, or - for standard output.",
)
@click.option("--json", "as_json", is_flag=True, help="With --out: tell what was written in JSON.")
@PASSPHRASE
def prove(
    *,
    seq: str | None,
    state: str | None,
    seals: tuple[int, int] | None,
    key: bool,
    out: Path,
    as_json: bool,
) -> None:
    """Write a proof that event SEQ is in the log, to be checked without the log.

    With --seals A B the proof shows that the log under seal A is the beginning of that under seal
    B; then the only argument is STATE. STATE is a state directory or a copied events.db.

    Examples: amo-agent log prove 4711 /var/lib/amo-agent --out event.json

    amo-agent log prove --seals 1 60 ./copy/events.db --out seals.json
    """
    if seals:
        if key or state is not None:
            raise click.UsageError("--seals A B takes STATE alone, no SEQ and no --key")
        place = Path(seq or STATE)
        with LogReader.open(log_file(place)) as reader:
            made: Proof = prove_seals(reader, *seals)
    else:
        place = Path(state or STATE)
        made = _event(_number(seq), place, key=key)
    _deliver(made, out, place, as_json=as_json)


@click.command(name="check-proof")
@click.argument("source", type=click.File("rb"), metavar="FILE|-")
@click.option("--device", metavar="HEX", help="The public key of the car that must have signed.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check_proof(source: BinaryIO, *, device: str | None, as_json: bool) -> None:
    """Check a proof without its log; exit 0 it holds, 1 it does not, 2 it is none.

    Example: amo-agent log check-proof event.json --device 04c1…
    """
    expected = device_key(device)
    try:
        given = proof.decode(source.read(proof.MAX_BYTES + 1))
    except MalformedInputError as error:
        raise UsageError(f"{getattr(source, 'name', '-')}: {error}") from error
    finding = proof.check(given, expected)
    event: dict[str, Any] | None = None
    try:
        event = _shown(given, finding)
    except SealError as error:
        finding = Finding(holds=False, reason=str(error))
    click.echo((_json if as_json else _words)(finding, event, pinned=expected is not None))
    sys.exit(0 if finding.holds else EXIT_NOT_SO)


def _number(seq: str | None) -> int:
    if seq is None:
        raise click.UsageError("which event? SEQ, or --seals A B")
    try:
        return int(seq)
    except ValueError as error:
        raise click.UsageError(f"SEQ {seq[:40]!r} is no number") from error


def device_key(digits: str | None) -> bytes | None:
    """Of an option. Raises BadParameter."""
    if digits is None:
        return None
    try:
        device = bytes.fromhex(digits)
    except ValueError as error:
        raise click.BadParameter(f"--device {digits[:20]!r} is not hexadecimal") from error
    if len(device) != PUBLIC_BYTES:
        raise click.BadParameter(f"--device has {len(device)} bytes; a key has {PUBLIC_BYTES}")
    return device


def _event(seq: int, state: Path, *, key: bool) -> EventProof:
    with LogReader.open(log_file(state)) as reader:
        made = prove_event(reader, seq)
    if not key:
        return made
    event = chain.decode(bytes.fromhex(made.event))
    if not sealed(event.level):
        raise UsageError(f"event {seq} is Lv{int(event.level)}, which is not sealed: it has no key")
    with owners_eye(state) as owner:
        return msgspec.structs.replace(made, key=owner.event_key(event.level, event.payload).hex())


def _deliver(made: Proof, out: Path, state: Path, *, as_json: bool) -> None:
    data = proof.encode(made)
    if out == Path("-"):
        click.echo(data.decode(), nl=False)
        return
    with new_file(apart(out, state)) as file:
        file.write(data)
    seals = proof.check(made).seals
    told = {"file": str(out), "bytes": len(data), "seals": [n.no for n in seals]}
    told["device"] = seals[0].device.hex()
    click.echo(json.dumps(told) if as_json else f"{out}: written\n{figures(told)}")


def _shown(given: Proof, finding: Finding) -> dict[str, Any] | None:
    """The event of a proof that holds, opened where its key is there. Raises SealError."""
    if finding.event is None or not isinstance(given, EventProof):
        return None
    if given.key is None:
        return values(finding.event, None)
    if not sealed(finding.event.level):
        raise SealError(f"event {finding.event.seq} comes with a key and is not sealed")
    key, log_id = bytes.fromhex(given.key), finding.seals[0].log
    return values(finding.event, partial(open_with_event_key, key, log_id=log_id))


def _json(finding: Finding, event: dict[str, Any] | None, *, pinned: bool) -> str:
    seals = msgspec.to_builtins(finding.seals, builtin_types=(bytes,))
    told = {"holds": finding.holds, "reason": finding.reason, "pinned": pinned}
    return json.dumps({**told, "seals": seals, "event": event}, default=bytes.hex)


def _words(finding: Finding, event: dict[str, Any] | None, *, pinned: bool) -> str:
    if not finding.holds:
        return f"does not hold: {finding.reason}"
    first, last = finding.seals[0], finding.seals[-1]
    if event:
        says = (
            f"holds: event {event['seq']} stood in this log, byte for byte, when seal {last.no} "
            "was made. Nothing is said of the events beside it."
        )
    else:
        says = (
            f"holds: the {first.size} events under seal {first.no} are, unchanged, the first of "
            f"the {last.size} under seal {last.no}."
        )
    # as JSON, since a stranger's text could move the cursor
    pairs: dict[str, object] = {"event": json.dumps(event)} if event else {}
    pairs |= {f"seal {seal.no}": _about(seal) for seal in finding.seals}
    pairs |= {"log": last.log.hex(), "device": last.device.hex()}
    return "\n".join((says, figures(pairs), PINNED if pinned else NOT_PINNED))


def _about(seal: Note) -> str:
    when = datetime.fromtimestamp(seal.t // SECOND, UTC).isoformat()
    return (
        f"over {seal.size} events, {when} by a clock that was {seal.clock.name}, "
        f"start {seal.boot}, firmware {json.dumps(seal.firmware)}, key in {seal.custody}"
    )

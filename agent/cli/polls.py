"""`amo-agent polls`: what a car is asked, signed and told in words."""

import json
import sys
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from agent.archive import last_polls
from agent.cli import EXIT_NOT_SO
from agent.cli.show import STATE, bar, figures, one_line
from agent.errors import ConfigError, SealError, UsageError
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.state import EVENTS
from agent.obd.needs import ONCE
from agent.polls import LONGEST_S, Polls, SignalPolls
from agent.pollsign import SignedPolls, sign_polls, signature_file, signed_polls
from agent.wallet import curve, keyfile
from agent.wallet.address import address
from agent.wallet.keys import Signer, key_at

FILE: Final = click.argument(
    "file", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE"
)
STATE_OPTION = click.option("--state", type=click.Path(path_type=Path), default=STATE)
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
DEVICE_KEY: Final = "keys/device.key"


@click.group(name="polls")
def command() -> None:
    """Sign and check the file that says what a car is asked and how often.

    Example: amo-agent polls sign /etc/amo-agent/polls.toml
    """


@command.command()
@click.argument("file", type=click.Path(path_type=Path), metavar="FILE")
def key(*, file: Path) -> None:
    """Make a key that signs files of polls, and print its public half for `polls_key`.

    FILE is new, has mode 0600 and belongs on no car.

    Example: amo-agent polls key fleet.key
    """
    scalar = curve.new_scalar()
    keyfile.write(file, keyfile.encode("polls", scalar, None))
    click.echo(curve.compressed(curve.public_bytes(curve.load_private(scalar))).hex())


@command.command()
@FILE
@STATE_OPTION
@click.option("--key", "uri", help="URI of another key: file:fleet.key, pkcs11:… or tpm:…")
def sign(file: Path, *, state: Path, uri: str | None) -> None:
    """Write the signature beside FILE, which is checked before; the device key signs, or --key.

    Example: amo-agent polls sign polls.toml --key file:fleet.key
    """
    try:
        polls = sign_polls(file, _signer(state, uri))
    except ConfigError as error:  # here neither file nor URI is from a configuration
        raise UsageError(str(error)) from error
    click.echo(f"{signature_file(file)}: serial {polls.serial}, {len(polls.signal)} signals")


@command.command()
@FILE
@STATE_OPTION
@click.option("--key", "digits", help="Public half of the key that has to have signed.")
@AS_JSON
def check(file: Path, *, state: Path, digits: str | None, as_json: bool) -> None:
    """Hold FILE against its signature and the log, and tell what it has a car asked.

    Without --key the device key has to have signed. Exits 1 where the agent would not start.

    Example: amo-agent polls check polls.toml --json
    """
    public = _public(state, digits)
    try:
        signed = signed_polls(file, public)
        last = _last(state, address(public))
        signed.check_serial(last)
    except ConfigError as error:
        _refuse(error, as_json=as_json)
    told = _told(signed, address(public), last)
    click.echo(json.dumps(told) if as_json else _text(told, signed.polls))


def _signer(state: Path, uri: str | None) -> Signer:
    if uri is None:
        return key_at(f"file:{state / DEVICE_KEY}", "device")
    return key_at(uri, "polls")


def _public(state: Path, digits: str | None) -> bytes:
    try:
        return _signer(state, None).public if digits is None else curve.point(digits)
    except SealError as error:
        raise UsageError(f"no key to check with: {error}; --key takes one") from error


def _last(state: Path, signer: str) -> tuple[int, bytes] | None:
    """What the log of `state`, if there is one, says of the signer's last file."""
    if not (state / EVENTS).exists():
        return None
    with LogReader.open(state / EVENTS) as log, ReadModel.in_memory() as model:
        with bar("folding") as progress:
            model.catch_up(log, progress=progress)
        return last_polls(model, signer)


def _refuse(error: ConfigError, *, as_json: bool) -> NoReturn:
    said = one_line(error)
    click.echo(
        json.dumps({"ok": False, "error": said}) if as_json else f"amo-agent: {said}",
        err=not as_json,
    )
    sys.exit(EXIT_NOT_SO)


def _told(signed: SignedPolls, signer: str, last: tuple[int, bytes] | None) -> dict[str, Any]:
    """questions_per_s: at most, with those that every car is asked"""
    rates = [1 / need.period_s for need in signed.polls.needs() if need.question not in ONCE]
    return {
        "ok": True,
        "serial": signed.polls.serial,
        "last_serial": None if last is None else last[0],
        "signer": signer,
        "digest": signed.digest.hex(),
        "questions_per_s": round(sum(rates), 3),
        "asked": {s.name: s.period_s for s in signed.polls.signal if s.period_s is not None},
        "dead_bands": {s.name: s.dead_band for s in signed.polls.signal if s.dead_band is not None},
    }


def _text(told: dict[str, Any], polls: Polls) -> str:
    names = ("serial", "last_serial", "signer")
    head = figures({name: "-" if told[name] is None else told[name] for name in names})
    rate = f"up to {told['questions_per_s']:g} questions a second, VIN and trouble codes with them"
    return "\n".join([head, *(_words(signal) for signal in polls.signal), rate])


def _words(signal: SignalPolls) -> str:
    asked, band = "not asked", ""
    if signal.period_s is not None:
        late = signal.deadline_s or signal.period_s
        asked = f"asked every {signal.period_s:g} s, {late:g} s late at most"
        asked += f", priority {signal.priority or 0}"
    if signal.dead_band is not None:
        band = f"; recorded when {signal.dead_band:g} from the last one, or"
        band += f" after {signal.longest_s or LONGEST_S:g} s"
    return f"{one_line(signal.name)}: {asked}{band}"

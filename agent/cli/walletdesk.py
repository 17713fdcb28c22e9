"""`amo-agent wallet`: coins and consent; the agent that runs does it, or else this process."""

import sys
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from agent.cli import EXIT_NOT_SO
from agent.cli.hall import CONFIG, ask
from agent.cli.passphrase import PASSPHRASE
from agent.cli.show import figures, iso, one_line
from agent.config import read_limited
from agent.errors import ConfigError, UsageError
from agent.outgoing import Sent
from agent.requests import Asking
from agent.wallet.amount import amo_text, mote_of
from agent.wallet.policy import MAX_BYTES, parse_policy

WHERE: Final = click.option(
    "--config", type=click.Path(path_type=Path), default=CONFIG, show_default=True
)
STATE_OPTION: Final = click.option(
    "--state", type=click.Path(path_type=Path), help="Else that of the configuration."
)
AS_JSON: Final = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
YES: Final = click.option("--yes", is_flag=True, help="Do not ask.")


def _print(answer: Any, text: str, *, as_json: bool) -> None:
    click.echo(msgspec.json.encode(answer) if as_json else text)


def _sent(answer: Sent, *, as_json: bool) -> None:
    _print(answer, f"in block {answer.height}, {answer.proof}: {answer.hash}", as_json=as_json)


def _agree(question: str, *, yes: bool) -> None:
    """Raises UsageError where nobody is there to ask."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody is there to ask; --yes goes without asking")
    click.confirm(question, abort=True, err=True)


@click.command()
@WHERE
@STATE_OPTION
@AS_JSON
@PASSPHRASE
def balance(config: Path, *, state: Path | None, as_json: bool) -> None:
    """Coins of the account, and who says so.

    Example: amo-agent wallet balance
    """
    answer = ask(config, state, "balance")
    text = f"{amo_text(int(answer.mote))} ({answer.believed})"
    _print(answer, text, as_json=as_json)


@click.command()
@click.argument("to")
@click.argument("amount")
@WHERE
@STATE_OPTION
@YES
@AS_JSON
@PASSPHRASE
def transfer(
    to: str, amount: str, *, config: Path, state: Path | None, yes: bool, as_json: bool
) -> None:
    """Send AMOUNT, "1.5" AMO or "1500 mote", to the address TO; what is sent is gone.

    Example: amo-agent wallet transfer 85FE85FCE6AB426563E5E0749EBCB95E9B1EF1D5 1.5
    """
    mote = mote_of(amount)
    _agree(f"Send {amo_text(mote)} to {one_line(to)}, and the fee of the configuration?", yes=yes)
    _sent(ask(config, state, "transfer", to, str(mote)), as_json=as_json)


@click.command()
@WHERE
@STATE_OPTION
@AS_JSON
@PASSPHRASE
def requests(config: Path, *, state: Path | None, as_json: bool) -> None:
    """What buyers ask for, what they would be given, and what the rules say.

    Example: amo-agent wallet requests
    """
    found = ask(config, state, "requests")
    text = "\n\n".join(map(_asking, found)) or "nobody asks for anything"
    _print(found, text, as_json=as_json)


@click.command()
@click.argument("parcel")
@click.argument("buyer")
@WHERE
@STATE_OPTION
@YES
@AS_JSON
@PASSPHRASE
def grant(
    parcel: str, buyer: str, *, config: Path, state: Path | None, yes: bool, as_json: bool
) -> None:
    """Let BUYER read PARCEL for what was offered; what was opened once cannot be recalled.

    Example: amo-agent wallet grant 00000001AB… 85FE85FCE6AB426563E5E0749EBCB95E9B1EF1D5
    """
    if not yes:
        found: list[Asking] = ask(config, state, "requests")
        meant = [
            one for one in found if (one.parcel_id, one.buyer) == (parcel.upper(), buyer.upper())
        ]
        click.echo("\n".join(map(_asking, meant)), err=True)
    _agree("Grant it?", yes=yes)
    _sent(ask(config, state, "grant", parcel, buyer), as_json=as_json)


@click.command()
@click.argument("parcel")
@click.argument("buyer")
@WHERE
@STATE_OPTION
@PASSPHRASE
def refuse(parcel: str, buyer: str, *, config: Path, state: Path | None) -> None:
    """Say no to BUYER; nothing is sent, and the buyer may take the payment back.

    Example: amo-agent wallet refuse 00000001AB… 85FE85FCE6AB426563E5E0749EBCB95E9B1EF1D5
    """
    ask(config, state, "refuse", parcel, buyer)
    click.echo("refused")


@click.command()
@click.argument("parcel")
@click.argument("buyer")
@WHERE
@STATE_OPTION
@AS_JSON
@PASSPHRASE
def revoke(parcel: str, buyer: str, *, config: Path, state: Path | None, as_json: bool) -> None:
    """Take a grant back, for what BUYER has not fetched yet.

    Example: amo-agent wallet revoke 00000001AB… 85FE85FCE6AB426563E5E0749EBCB95E9B1EF1D5
    """
    _sent(ask(config, state, "revoke", parcel, buyer), as_json=as_json)


@click.command()
@WHERE
@STATE_OPTION
@AS_JSON
@PASSPHRASE
def history(config: Path, *, state: Path | None, as_json: bool) -> None:
    """Decisions, transactions and earnings, the newest first, each with who says so.

    Example: amo-agent wallet history --json
    """
    found = ask(config, state, "history")
    lines = [
        "  ".join(
            filter(
                None,
                (
                    iso(one.t_ns),
                    one.what,
                    amo_text(int(one.mote)) if one.mote else "",
                    f"parcel {one.parcel_id}" if one.parcel_id else "",
                    f"buyer {one.buyer}" if one.buyer else "",
                    f"by {one_line(one.by)}" if one.by else "",
                    one.tx_hash,
                    one.proof,
                ),
            )
        )
        for one in found
    ]
    _print(found, "\n".join(lines) or "nothing happened yet", as_json=as_json)


@click.group()
def policy() -> None:
    """The rules by which the agent grants and refuses for you (docs/formats/policy.md).

    Example: amo-agent wallet policy set rules.toml
    """


@policy.command(name="show")
@WHERE
@STATE_OPTION
@PASSPHRASE
def show_policy(config: Path, *, state: Path | None) -> None:
    """The rules that hold now, as TOML.

    Example: amo-agent wallet policy show
    """
    click.echo(ask(config, state, "policy"), nl=False)


@policy.command(name="set")
@click.argument("file", type=click.Path(path_type=Path))
@WHERE
@STATE_OPTION
@PASSPHRASE
def set_policy(file: Path, *, config: Path, state: Path | None) -> None:
    """Let the rules of FILE hold from now on; they go into the log, sealed.

    Example: amo-agent wallet policy set rules.toml
    """
    ask(config, state, "set_policy", _rules(file))
    click.echo("in the log, sealed: these rules hold from now on")


@policy.command(name="check")
@click.argument("file", type=click.Path(path_type=Path))
def check_policy(file: Path) -> None:
    """Whether the rules of FILE could hold; exit 1 where not.

    Example: amo-agent wallet policy check rules.toml
    """
    try:
        rules = parse_policy(_text(file)).rules
    except ConfigError as error:
        click.echo(f"{file}: {error}")
        sys.exit(EXIT_NOT_SO)
    click.echo(figures({rule.name: rule.verdict.value for rule in rules} or {"rules": "none"}))


def _rules(file: Path) -> str:
    """Raises UsageError for rules of no use: the file is no configuration of ours."""
    text = _text(file)
    try:
        parse_policy(text)
    except ConfigError as error:
        raise UsageError(f"{file}: {error}") from error
    return text


def _text(file: Path) -> str:
    try:
        return read_limited(file, MAX_BYTES).decode()
    except (ConfigError, UnicodeDecodeError) as error:
        raise UsageError(f"{file}: {error}") from error


def _asking(one: Asking) -> str:
    since, until = ("?" if t is None else iso(t) for t in (one.since_ns, one.until_ns))
    return figures(
        {
            "parcel": one.parcel_id,
            "level": f"Lv{one.level}",
            "kinds": ", ".join(map(one_line, one.kinds)) or "cannot be told any more",
            "time": f"{since} to {until}",
            "buyer": one.buyer,
            "offers": amo_text(int(one.payment_mote)),
            "verdict": f"{one.verdict} {one.by and 'by ' + one_line(one.by)}".strip(),
        }
    )


COMMANDS: Final = (balance, transfer, requests, grant, refuse, revoke, history, policy)

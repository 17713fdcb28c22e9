"""`amo-agent upload`: push what is pending now."""

from pathlib import Path

import click
import msgspec

from agent.cli.hall import ask
from agent.cli.passphrase import PASSPHRASE
from agent.cli.show import one_line
from agent.cli.walletdesk import AS_JSON, STATE_OPTION, WHERE


@click.command(name="upload")
@click.option("--once", is_flag=True, help="What is done in any case; the service does it again.")
@WHERE
@STATE_OPTION
@AS_JSON
@PASSPHRASE
def command(config: Path, *, once: bool, state: Path | None, as_json: bool) -> None:
    """Upload what the log holds of the configured levels, now: by the agent that runs, or alone.

    Example: amo-agent upload --once
    """
    del once
    found: list[str] = ask(config, state, "upload")
    if as_json:
        click.echo(msgspec.json.encode(found))
    else:
        click.echo("\n".join(map(one_line, found)) or "nothing was pending")

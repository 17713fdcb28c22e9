"""`amo-agent wallet`: keys, coins and consent."""

import click

from agent.cli import walletkeys, walletmove


@click.group(name="wallet")
def command() -> None:
    """Make, keep and move the keys of the AMO account and of the owner.

    Example: amo-agent wallet show
    """


for _command in (*walletkeys.COMMANDS, *walletmove.COMMANDS):
    command.add_command(_command)

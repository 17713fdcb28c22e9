"""`amo-agent wallet`: keys, coins and consent."""

import click

from agent.cli import walletdesk, walletkeys, walletmove
from agent.cli.bounty import bounty


@click.group(name="wallet")
def command() -> None:
    """Keys of the AMO account and of the owner, coins, and who may read what.

    Example: amo-agent wallet show
    """


for _command in (*walletkeys.COMMANDS, *walletmove.COMMANDS, *walletdesk.COMMANDS, bounty):
    command.add_command(_command)

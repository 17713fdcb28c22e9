"""A dev node in a process of its own, to be killed: `python -m tests.amo.killable DIRECTORY`."""

import asyncio
import sys
from pathlib import Path

import click

from agent.amo.devnode.net import Traits
from tests.amo.devnets import devnet


async def serve(directory: Path) -> None:
    async with devnet(Traits(validators=4), directory, empty_blocks=True) as net:
        click.echo(net.rpc_url)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))

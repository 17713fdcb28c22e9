"""A process with an owner's desk that makes grants and transfers until it has made so many.

Arguments: state directory, URL of the node and of the storage, the parcel, to whom coins go, how
many, and the buyers. It begins at a line on its input, and says "at the desk" when what was under
way is settled.
"""

import asyncio
import sys
from contextlib import suppress
from pathlib import Path

from agent.amo.market import Seller
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import Archive, archive
from agent.cli.show import log_to_stderr
from agent.clock import SystemClock
from agent.compose import desk, outgoing
from agent.config import WalletConfig
from agent.desk import Desk
from agent.errors import AlreadyDoneError

MOTE = 7
WALLET = WalletConfig(fee_mote=1)


async def main(parts: Archive, rpc_url: str, storage_url: str, deal: list[str]) -> None:
    async with (
        RpcClient([rpc_url], clock=parts.clock) as rpc,
        StorageClient(storage_url) as storage,
    ):
        out = outgoing(parts, rpc, WALLET)
        seller = Seller(rpc, storage, parts.keys.account, out.submit)
        owner = desk(parts, rpc, seller, out)
        await owner.once()
        sys.stdout.write("at the desk\n")
        sys.stdout.flush()
        await make(owner, *deal)


async def make(owner: Desk, parcel_id: str, to: str, count: str, *buyers: str) -> None:
    """Whatever of it is not made yet."""
    lines = owner.history()
    paid = sum(line.what in {"transfer done", "transfer under way"} for line in lines)
    granted = {line.buyer for line in lines if line.what == "consent granted"}
    for _ in range(paid, int(count)):
        await owner.transfer(to, MOTE)
    for buyer in buyers[: int(count)]:
        if buyer not in granted:
            with suppress(AlreadyDoneError):
                await owner.grant(parcel_id, buyer)


if __name__ == "__main__":
    state, rpc_url, storage_url, *deal = sys.argv[1:]
    log_to_stderr()
    sys.stdin.readline()
    with archive(Path(state), SystemClock(), wait=True) as opened:
        asyncio.run(main(opened, rpc_url, storage_url, deal))

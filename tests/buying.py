"""A buyer as a process of its own: it has its key, the chain, the storage service and the formats.

python -m tests.buying request|fetch RPC STORAGE PARCEL [PAYMENT]
"""

import asyncio
import json
import sys
from hashlib import sha256

from agent.amo.market import Buyer
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.clock import SystemClock
from agent.errors import AgentError
from agent.parcel.chunk import open_parcel
from agent.privacy import Level
from agent.wallet.custody import unwrap
from agent.wallet.envelope import decrypt
from agent.wallet.keys import FileKey

SEED = b"bob"
"""Whose account the dev node gives coins to."""
KEY = FileKey(sha256(SEED).digest(), protected=False)


async def main(what: str, node: str, service: str, parcel: str, payment: str = "0") -> object:
    async with RpcClient([node], clock=SystemClock()) as rpc, StorageClient(service) as storage:
        shop = Buyer(rpc, storage, KEY)
        if what == "request":
            return (await shop.request(parcel, int(payment))).hash
        body, custody = await shop.fetch(parcel)
    key = unwrap(custody, KEY, parcel_id=parcel, level=Level.LV3)
    return sorted({chunk.header.metric for chunk in open_parcel(decrypt(body, key)).chunks})


if __name__ == "__main__":
    try:
        print(json.dumps(asyncio.run(main(*sys.argv[1:]))))  # noqa: T201 - its result
    except AgentError as error:
        sys.exit(f"{type(error).__name__}: {error}")

"""Transactions sent as they are made, by who keeps no log: a stranger's, and those of tests."""

from collections.abc import Mapping

from agent.amo.market import Submit
from agent.amo.rpc import RpcClient
from agent.amo.transaction import Signer
from agent.outgoing import Sent


def direct(rpc: RpcClient, signer: Signer, fee: int = 0) -> Submit:
    async def submit(
        kind: str,
        payload: Mapping[str, object],
        *,
        once: str,
        cost: int = 0,
        gain: int = 0,
        by: str = "owner",
    ) -> Sent:
        assert once.startswith(kind), (once, cost, gain, by)
        receipt = await rpc.submit(kind, payload, signer, fee)
        return Sent(receipt.hash, receipt.height, "")

    return submit

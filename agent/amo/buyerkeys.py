"""Public keys of buyers, who are known to the chain's state by address alone.

A data key is wrapped for a public key. The chain does not keep one, but every transaction
carries its sender's, and a buyer has sent at least the request. So blocks are walked back
from the latest until a transaction signed by that address is found. The address is a
digest of the key and the signature is checked, so no node can put in a key of its own.
Who has sent nothing that can still be found may show a key in a DID document; the digest
binds that one too.
"""

from typing import Final

from agent.amo.chain import ChainReader
from agent.amo.dids import public_in
from agent.amo.transaction import parse
from agent.errors import MalformedInputError

WALK_BLOCKS: Final = 10_000
"""How far back a key is looked for; our choice, the window of the chain's replay check."""

_STEP: Final = 20  # what a node shows of block headers in one answer


class BuyerKeys:
    """Keys once found are kept; where none was found only newer blocks are walked again."""

    def __init__(self, chain: ChainReader, *, walk_blocks: int = WALK_BLOCKS) -> None:
        self._chain = chain
        self._walk_blocks = walk_blocks
        self._found: dict[str, bytes] = {}
        self._walked: dict[str, int] = {}

    async def of(self, address: str) -> bytes | None:
        """65 bytes; None where neither the blocks within reach nor a DID document hold a key.

        The blocks hold none of a recipient whose request an agency has sent.
        """
        if address not in self._found:
            status = await self._chain.status()
            low = max(
                status.earliest_height,
                status.latest_height - self._walk_blocks + 1,
                self._walked.get(address, 0) + 1,
            )
            await self._walk(address, low, status.latest_height)
        return self._found.get(address) or await self._shown(address)

    async def _shown(self, address: str) -> bytes | None:
        """Asked for anew each time: its owner can put up, change or remove it in any block."""
        entry = await self._chain.did(f"did:amo:{address}")
        return None if entry is None else public_in(entry.get("document"), address)

    async def _walk(self, address: str, lowest: int, highest: int) -> None:
        for top in range(highest, lowest - 1, -_STEP):
            bottom = max(lowest, top - _STEP + 1)
            for height in await self._chain.busy_heights(bottom, top):
                for raw in await self._chain.transactions(height):
                    public = key_in(raw, address)
                    if public is not None:
                        self._found[address] = public
                        return
        self._walked[address] = highest


def key_in(raw: bytes, address: str) -> bytes | None:
    """The public key in a transaction, if this address truly signed it."""
    try:
        tx = parse(raw)
    except MalformedInputError:  # a block may hold what only its proposer understood
        return None
    return tx.public if tx.sender == address and tx.is_signed_by_sender() else None

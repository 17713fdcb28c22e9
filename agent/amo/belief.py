"""How far a word about the chain may be believed, and the words that say so on a screen.

With a light client a transaction is proven, or it is not believed. Without one, and for all
of the state, of which the chain gives no proofs, endpoints are held against each other.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from agent.amo.blocksource import BlockSource
from agent.amo.codes import ResultCode
from agent.amo.light import LightClient
from agent.errors import RemoteError, TrustExpiredError

PROVEN: Final = "proven"

Told = TypeVar("Told")


def stated(count: int, asked: int) -> str:
    """The words for what so many of the endpoints that were asked say."""
    return "stated by one endpoint" if asked == 1 else f"stated by {count} of {asked} endpoints"


class Belief:
    """sources: one for each endpoint; light: over the same ones, None without a trust root."""

    def __init__(self, sources: Sequence[BlockSource], light: LightClient | None) -> None:
        self._sources = tuple(sources)
        self._light = light

    async def prove(self, hash_hex: str) -> str:
        """The words for a transaction that is in a block; they say so where it failed there.

        Raises RemoteError where it is in none, or not shown to be.
        """
        _, code, word = await self.outcome(hash_hex)
        return word if code == ResultCode.OK else f"{word}: it failed with code {code}"

    async def outcome(self, hash_hex: str) -> tuple[int, int, str]:
        """Height and result code of a transaction that is in a block, and the words for it.

        Trust that expired proves nothing: the words are those for what endpoints state then.
        """
        if self._light is not None:
            try:
                proven = await self._light.prove(hash_hex)
            except TrustExpiredError:
                pass
            else:
                return proven.height, proven.code, PROVEN

        async def ask(source: BlockSource) -> tuple[int, int]:
            found = await source.tx(hash_hex)
            if found is None:
                raise RemoteError(f"{source.endpoint}: transaction {hash_hex} is in no block")
            return found.height, found.code

        (height, code), word = await self.agreed(ask)
        return height, code, word

    async def agreed(self, ask: Callable[[BlockSource], Awaitable[Told]]) -> tuple[Told, str]:
        """What more than half of those that answer say, and the words for how many they are.

        Raises RemoteError where there is no such majority, or no answer.
        """
        sources = self._sources if self._light is None else self._light.sources
        answers = await asyncio.gather(*(_answer(ask, source) for source in sources))
        told = [answer for answer in answers if not isinstance(answer, RemoteError)]
        if not told:
            failures = [answer for answer in answers if isinstance(answer, RemoteError)]
            raise failures[0] if failures else RemoteError("every endpoint was found lying")
        most = max(told, key=told.count)
        if told.count(most) * 2 <= len(told):
            names = ", ".join(source.endpoint for source in sources)
            raise RemoteError(f"{names}: endpoints contradict each other")
        return most, stated(told.count(most), len(sources))


async def _answer(
    ask: Callable[[BlockSource], Awaitable[Told]], source: BlockSource
) -> Told | RemoteError:
    try:
        return await ask(source)
    except RemoteError as error:
        return error

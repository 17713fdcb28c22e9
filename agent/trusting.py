"""What a car believes of the chain from one start to the next: the log remembers it."""

from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from typing import Final

import structlog

from agent.amo.belief import Belief
from agent.amo.blocksource import BlockSource
from agent.amo.light import LightClient
from agent.amo.tls import Trust
from agent.amo.trust import TrustRoot
from agent.archive import Archive
from agent.clock import SECOND
from agent.config import UploadConfig
from agent.events import EndpointDoubted, HeaderTrusted
from agent.service import Service

EVERY_S: Final = 300.0
"""Between two looks at the newest block: short trips are to carry trust on as well."""
_DAY_S: Final = 86_400
_PAUSE_NS: Final = 3600 * SECOND

_log = structlog.get_logger()


Drop = Callable[[str, str], None]
"""(endpoint, reason): who asks the same endpoints for other things leaves this one alone."""


async def believing(
    config: UploadConfig,
    parts: Archive,
    service: Service,
    stack: AsyncExitStack,
    *,
    whom: Trust,
    drop: Drop,
) -> Belief:
    """What others ask about the chain; proven where the configuration names a trusted block."""
    urls = dict.fromkeys(url.rstrip("/") for url in config.rpc)  # named twice is no second opinion
    sources = [await stack.enter_async_context(BlockSource(url, trust=whom)) for url in urls]
    if config.trust is None:
        return Belief(sources, None)
    root = TrustRoot.parse(config.trust)
    trusting = Trusting(root, parts, sources, period_s=config.trust_days * _DAY_S, drop=drop)
    service.every(EVERY_S, trusting.once)
    return Belief(sources, trusting.light)


class Trusting:
    """
    root:  the block in the configuration that all trust comes from
    light: a light client that begins at the last block verified from that root
    """

    def __init__(
        self,
        root: TrustRoot,
        parts: Archive,
        sources: Sequence[BlockSource],
        *,
        period_s: float,
        drop: Drop,
    ) -> None:
        self._journal = parts.journal
        self._drop = drop
        self._root = str(root)
        last = parts.trusted(self._root)
        self._height = last[0] if last else 0
        self._due_ns = 0
        self.light: Final = LightClient(
            sources,
            TrustRoot(*last) if last else root,
            clock=parts.clock,
            period_s=period_s,
            doubted=self._doubt,
        )

    async def once(self) -> None:
        """Go on to the newest block, so that trust does not expire; it is told once an hour.

        Raises RemoteError.
        """
        header = await self.light.newest()
        if header.height > self._height and header.time_ns >= self._due_ns:
            self._journal.write(HeaderTrusted(self._root, header.height, header.hash()))
            self._height, self._due_ns = header.height, header.time_ns + _PAUSE_NS

    def _doubt(self, endpoint: str, height: int, reason: str) -> None:
        _log.warning("endpoint dropped", endpoint=endpoint, height=height, reason=reason)
        self._journal.write(EndpointDoubted(endpoint, height, reason))
        self._drop(endpoint, reason)

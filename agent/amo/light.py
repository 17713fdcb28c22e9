"""A light client of the chain: what an endpoint says is believed when validators signed it.

It starts from the hash of one block that somebody trusted vouches for, and follows the chain
from there through the first endpoint that tells no lie; the others are witnesses, who are asked
for the same header. Specification: amo-protocol 7; the rules are in `tendermint/verify.py`.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeVar

from agent.amo.blocksource import BlockSource
from agent.amo.headerpath import HeaderPath, ValidatorSets
from agent.amo.tendermint import instant, merkle
from agent.amo.tendermint.header import Header
from agent.amo.tendermint.verify import ForgedError
from agent.amo.trust import TrustRoot
from agent.clock import SECOND, Clock
from agent.errors import LyingEndpointError, RemoteError, TrustExpiredError, UsageError

MAX_HEIGHT: Final = (1 << 63) - 1
_KEPT: Final = 512
_PAUSE_NS: Final = SECOND // 2

Found = TypeVar("Found")
_Way = Callable[[HeaderPath, Header, int], Awaitable[Header]]
Doubted = Callable[[str, int, str], None]
"""(endpoint, height, reason): told of each endpoint that is dropped."""


@dataclass(frozen=True, slots=True)
class Proven:
    """A transaction is in that block, at that place, and ended with that code.

    time_ns: of the block, UTC nanoseconds
    """

    hash: str
    height: int
    index: int
    code: int
    header_hash: bytes
    time_ns: int


class LightClient:
    """
    sources: entered already; each answers for itself
    period_s: how long a trusted header may be the start of a way forward
    doubted: told of every endpoint that lied; it is not asked again
    patience_s: how long the block that shows a result is waited for

    Every method raises LyingEndpointError where nobody tells the truth or two chains are signed,
    TrustExpiredError, and RemoteError where nobody answers. Nothing is proven after a fork.
    """

    def __init__(
        self,
        sources: Sequence[BlockSource],
        root: TrustRoot,
        *,
        clock: Clock,
        period_s: float,
        doubted: Doubted,
        patience_s: float = 10.0,
    ) -> None:
        self._sources = list(sources)
        self._root = root
        self._clock = clock
        self._period_ns = int(period_s * SECOND)
        self._doubted = doubted
        self._patience_ns = int(patience_s * SECOND)
        self._known: dict[int, Header] = {}
        self._sets = ValidatorSets()
        self._fork: LyingEndpointError | None = None
        self._turn = asyncio.Lock()

    @property
    def sources(self) -> tuple[BlockSource, ...]:
        """Those that were not found lying."""
        return tuple(self._sources)

    async def verify(self, height: int, *, sequential: bool = False) -> Header:
        """The header of a height. sequential: one by one instead of by skipping."""
        if not 0 < height <= MAX_HEIGHT:
            raise UsageError(f"height {height} is not 1 to {MAX_HEIGHT}")
        async with self._turn:
            if not self._known:
                self._keep(await self._ask(self._root_header))
            if height in self._known:
                return self._known[height]
            start = self._start(height)
            way = HeaderPath.step if sequential else HeaderPath.skip
            return await self._ask(partial(self._reach, start, height, way))

    async def newest(self) -> Header:
        """The last block but one, which witnesses have too; an older one where that is known."""
        return await self._ask(self._newest)

    async def prove(self, hash_hex: str) -> Proven:
        """That a transaction is in a block, and how it ended, by the hex of its hash."""
        return await self._ask(partial(self._prove, hash_hex))

    async def _newest(self, source: BlockSource) -> Header:
        latest = (await source.status()).latest_height
        highest = max(self._known, default=self._root.height)
        return await self.verify(max(highest, min(latest - 1, MAX_HEIGHT)))

    async def _prove(self, hash_hex: str, source: BlockSource) -> Proven:
        said = await source.inclusion(hash_hex)
        height, proof = said.height, said.proof
        if not 0 < height < MAX_HEIGHT:
            raise ForgedError(height, "no block has that height")
        header = await self.verify(height)
        if not header.data_hash or proof.root() != header.data_hash:
            raise ForgedError(height, f"transaction {hash_hex} is not proven to be in it")
        results = await source.results(height)
        after = await self._shown(height + 1)
        codes_fit = len(results.codes) == proof.total
        if not codes_fit or merkle.root(results.leaves) != after.last_results_hash:
            raise ForgedError(height, "result codes are not those that the next header has")
        code = results.codes[proof.index]
        return Proven(hash_hex.upper(), height, proof.index, code, header.hash(), header.time_ns)

    async def _shown(self, height: int) -> Header:
        """The header of a block that may not be made yet."""
        until_ns = self._clock.mono_ns() + self._patience_ns
        while True:
            try:
                return await self.verify(height)
            except (LyingEndpointError, TrustExpiredError):
                raise
            except RemoteError as error:
                if self._clock.mono_ns() >= until_ns:
                    raise RemoteError(f"height {height} shows the result: {error}") from error
            await self._clock.sleep_until(self._clock.mono_ns() + _PAUSE_NS)

    async def _ask(self, job: Callable[[BlockSource], Awaitable[Found]]) -> Found:
        """What the first endpoint that neither fails nor lies leads to."""
        failure: RemoteError | None = self._fork
        for source in [] if self._fork else list(self._sources):
            if source not in self._sources:
                continue
            try:
                return await job(source)
            except ForgedError as error:
                failure = self._doubt(source, error.height, str(error))
            except TrustExpiredError:
                raise
            except RemoteError as error:
                if self._fork:
                    raise
                failure = failure if isinstance(failure, LyingEndpointError) else error
        raise failure or RemoteError("every endpoint was found lying before")

    async def _root_header(self, source: BlockSource) -> Header:
        header = (await source.signed_header(self._root.height)).header
        if header.height != self._root.height or header.hash() != self._root.hash:
            raise ForgedError(self._root.height, f"header is not the trusted one, {self._root}")
        return header

    def _start(self, height: int) -> Header:
        """The trusted header that the way to a height begins at."""
        below = max((known for known in self._known if known < height), default=None)
        above = min((known for known in self._known if known > height), default=None)
        if below is not None:
            header = self._known[below]
            if self._clock.now_ns() - header.time_ns < self._period_ns:
                return header
        if above is not None:
            return self._known[above]
        when = instant.to_text(header.time_ns)
        raise TrustExpiredError(
            f"trusted block {below} of {when} is older than {self._period_ns // SECOND} s; "
            "a person has to name a newer one"
        )

    async def _reach(self, start: Header, height: int, way: _Way, source: BlockSource) -> Header:
        header = await self._through(source, start, height, way)
        for witness in list(self._sources):
            if witness is not source:
                await self._compare(source, witness, start, header)
        self._keep(header)
        return header

    async def _through(self, source: BlockSource, start: Header, height: int, way: _Way) -> Header:
        path = HeaderPath(source, start.chain_id, self._sets, self._clock.now_ns)
        return await (way if height > start.height else HeaderPath.back)(path, start, height)

    async def _compare(
        self, source: BlockSource, witness: BlockSource, start: Header, header: Header
    ) -> None:
        """A witness that says something else must show it signed, and then it is a fork."""
        try:
            told = (await witness.signed_header(header.height)).header
        except RemoteError:
            return  # it has not got it, or does not answer: it says nothing
        if told.hash() == header.hash():
            return
        try:
            other = await self._through(witness, start, header.height, HeaderPath.skip)
        except ForgedError as error:
            self._doubt(witness, error.height, str(error))
            return
        if other.hash() == header.hash():
            self._doubt(witness, header.height, "it gives two headers for one height")
            return
        raise self._forked(source, witness, header, other)

    def _forked(
        self, source: BlockSource, witness: BlockSource, ours: Header, theirs: Header
    ) -> LyingEndpointError:
        hashes = f"{ours.hash().hex().upper()} and {theirs.hash().hex().upper()}"
        reason = f"height {ours.height}: two headers are signed, {hashes}"
        for each in (source, witness):
            self._doubt(each, ours.height, reason)
        self._fork = LyingEndpointError(f"{source.endpoint}, {witness.endpoint}", reason)
        return self._fork

    def _doubt(self, source: BlockSource, height: int, reason: str) -> LyingEndpointError:
        if source in self._sources:
            self._sources.remove(source)
            self._doubted(source.endpoint, height, reason)
        return LyingEndpointError(source.endpoint, reason)

    def _keep(self, header: Header) -> None:
        self._known[header.height] = header
        if len(self._known) > _KEPT:
            del self._known[min(self._known)]

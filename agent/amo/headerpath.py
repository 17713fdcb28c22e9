"""The way from a trusted header to another one, as one endpoint shows it.

Forward by skipping: the header is believed at once when a third of the trusted validators signed
it; otherwise one in the middle is verified first, and so on. Or forward one by one. Backward
each header names the hash of the one before, which needs no signatures and does not expire.
Specification: amo-protocol 7.6.
"""

import asyncio
from collections.abc import Callable
from typing import Final

from agent.amo.blocksource import HEADERS, BlockSource
from agent.amo.tendermint.header import Header
from agent.amo.tendermint.validators import ValidatorSet
from agent.amo.tendermint.verify import (
    SignedHeader,
    check_before,
    check_final,
    check_later,
    check_members,
    check_named,
    check_next,
    vouched,
)
from agent.clock import SECOND
from agent.errors import RemoteError

DRIFT_NS: Final = 10 * SECOND
"""A header may be so much ahead of our clock: as Tendermint's own light client has it."""
MAX_SKIPS: Final = 1000
"""Headers fetched for one; a chain whose validators change all the time needs many."""
MAX_BACK: Final = 10_000
_SETS: Final = 8

Checked = tuple[SignedHeader, ValidatorSet]


class ValidatorSets:
    """The sets met last, by their hash: most blocks have the set of the block before."""

    def __init__(self) -> None:
        self._sets: dict[bytes, ValidatorSet] = {}

    async def get(self, source: BlockSource, height: int, set_hash: bytes) -> ValidatorSet:
        known = self._sets.get(set_hash)
        if known is None:
            known = await source.members(height)
            check_members(known, set_hash, height)
            self._sets[set_hash] = known
            if len(self._sets) > _SETS:
                del self._sets[next(iter(self._sets))]
        return known


class HeaderPath:
    """now_ns: the wall clock. Every method raises ForgedError and RemoteError."""

    def __init__(
        self, source: BlockSource, chain_id: str, sets: ValidatorSets, now_ns: Callable[[], int]
    ) -> None:
        self._source = source
        self._chain_id = chain_id
        self._sets = sets
        self._now_ns = now_ns

    async def skip(self, trusted: Header, height: int) -> Header:
        fetched = 1
        ahead = [await self._final(height)]
        while ahead:
            if await self._follows(trusted, ahead[-1]):
                trusted = ahead.pop()[0].header
                continue
            if fetched >= MAX_SKIPS:
                raise RemoteError(f"height {height} is more than {MAX_SKIPS} headers away")
            middle = (trusted.height + ahead[-1][0].header.height) // 2
            ahead.append(await self._final(middle))
            fetched += 1
        return trusted

    async def step(self, trusted: Header, height: int) -> Header:
        """One by one."""
        while trusted.height < height:
            signed, _ = await self._final(trusted.height + 1)
            check_later(trusted, signed.header)
            check_next(trusted, signed.header)
            trusted = signed.header
        return trusted

    async def back(self, trusted: Header, height: int) -> Header:
        if trusted.height - height > MAX_BACK:
            raise RemoteError(f"height {height} is more than {MAX_BACK} below {trusted.height}")
        while trusted.height > height:
            highest = trusted.height - 1
            headers = await self._source.headers(max(height, highest - HEADERS + 1), highest)
            if not headers:
                raise RemoteError(f"{self._source.endpoint}: no headers up to {highest}")
            for header in headers:
                check_before(trusted, header)
                trusted = header
        return trusted

    async def _follows(self, trusted: Header, block: Checked) -> bool:
        signed, members = block
        check_later(trusted, signed.header)
        if signed.header.height == trusted.height + 1:
            check_next(trusted, signed.header)
            return True
        voters = await self._sets.get(
            self._source, trusted.height + 1, trusted.next_validators_hash
        )
        return vouched(voters, signed, members)

    async def _final(self, height: int) -> Checked:
        """A header with a commit that is right in itself; whose validators, is not yet asked."""
        signed = await self._source.signed_header(height)
        check_named(signed, self._chain_id, height)
        ahead_ns = signed.header.time_ns - self._now_ns()
        if ahead_ns > DRIFT_NS:  # the clock of a car may be wrong: nobody is said to lie
            raise RemoteError(
                f"{self._source.endpoint}: height {height} is {ahead_ns // SECOND} s ahead of our "
                f"clock, at most {DRIFT_NS // SECOND} s"
            )
        members = await self._sets.get(self._source, height, signed.header.validators_hash)
        await asyncio.to_thread(check_final, signed, members)  # 100 signatures take some 10 ms
        return signed, members

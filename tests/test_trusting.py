"""What was verified once is where the next start begins, and who lied is in the log."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from agent.amo.blocksource import BlockSource
from agent.amo.chain import ChainReader
from agent.amo.tls import Trust
from agent.amo.trust import TrustRoot
from agent.archive import Archive, archive
from agent.clock import SECOND, ManualClock
from agent.config import UploadConfig
from agent.errors import LyingEndpointError
from agent.events import EndpointDoubted, Event, HeaderTrusted
from agent.service import Service
from agent.trusting import EVERY_S, Drop, Trusting, believing
from tests.amo.madechain import START_NS, MadeChain, Teller, alike, keys, source
from tests.amo.nodes import served
from tests.opened import opened

FOUR = keys(4)
CHAIN = MadeChain(lambda _: alike(FOUR)).grow(40)
PERIOD_S = 100.0


def root(height: int) -> TrustRoot:
    return TrustRoot(height, CHAIN.headers[height - 1].hash())


@asynccontextmanager
async def started(
    state: Path,
    trusted: TrustRoot,
    *tellers: Teller,
    age_s: int = 50,
    period_s: float = PERIOD_S,
    drop: Drop = lambda *_: None,
) -> AsyncIterator[tuple[Trusting, list[Event]]]:
    """One start of the agent, and what its log has when it ended."""
    events: list[Event] = []
    clock = ManualClock(START_NS + age_s * SECOND)
    async with AsyncExitStack() as stack:
        sources = [await stack.enter_async_context(source(teller)) for teller in tellers]
        with archive(state, clock, wait=True) as parts:
            yield Trusting(trusted, parts, sources, period_s=period_s, drop=drop), events
            parts.journal.flush()
            events += opened(parts)


def of(events: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in events if isinstance(event, kind)]


async def test_newest_block_is_remembered_over_a_restart(tmp_path: Path) -> None:
    async with started(tmp_path, root(1), Teller(CHAIN.fork(20))) as (trusting, events):
        await trusting.once()
        await trusting.once()
    known = HeaderTrusted(str(root(1)), 19, CHAIN.headers[18].hash())
    assert of(events, HeaderTrusted) == [known]
    # by now the root of the configuration is too old to begin at
    async with started(tmp_path, root(1), Teller(CHAIN), age_s=110) as (trusting, events):
        await trusting.once()
    assert of(events, HeaderTrusted)[1:] == [
        HeaderTrusted(str(root(1)), 39, CHAIN.headers[38].hash())
    ]


async def test_blocks_within_an_hour_are_told_once(tmp_path: Path) -> None:
    first = CHAIN.headers[0].time_ns
    long = MadeChain(lambda _: alike(FOUR)).grow(20)
    long.grow(1, time_ns=first + 3618 * SECOND).grow(1, time_ns=first + 3619 * SECOND)
    teller = Teller(long.fork(10))
    async with started(tmp_path, root(1), teller, age_s=3620, period_s=3700) as (trusting, events):
        trusting.light._period_ns = 3700 * SECOND
        for height in (10, 20, 22):
            teller.chain = long.fork(height)
            await trusting.once()
    assert [event.height for event in events if isinstance(event, HeaderTrusted)] == [9, 21]


async def test_another_root_in_the_configuration_is_begun_at(tmp_path: Path) -> None:
    """Whoever names another block does not trust what came of the last one."""
    other = MadeChain(lambda _: alike(keys(3, first=70))).grow(10)
    async with started(tmp_path, TrustRoot(1, other.headers[0].hash()), Teller(other)) as (it, _):
        await it.once()
    async with started(tmp_path, root(1), Teller(CHAIN)) as (it, events):
        await it.once()
    assert [event.height for event in events if isinstance(event, HeaderTrusted)] == [9, 39]


async def test_endpoint_that_lied_is_an_event_at_once(tmp_path: Path) -> None:
    liar = Teller(CHAIN.fork(20, lambda h: alike(FOUR if h <= 20 else keys(4, first=60))).grow(20))
    async with started(tmp_path, root(1), liar, Teller(CHAIN)) as (trusting, events):
        await trusting.once()
        url = trusting.light.sources[0].endpoint
    [doubt] = of(events, EndpointDoubted)
    assert isinstance(doubt, EndpointDoubted)
    assert (doubt.endpoint == url, doubt.height, doubt.urgent) == (False, 21, True)
    assert "validators" in doubt.reason
    assert of(events, HeaderTrusted)


async def test_nothing_is_remembered_of_an_endpoint_that_lies(tmp_path: Path) -> None:
    liar = Teller(CHAIN.fork(1).grow(9, chain_id="other"))
    async with started(tmp_path, root(1), liar) as (trusting, events):
        with pytest.raises(LyingEndpointError, match="chain 'other'"):
            await trusting.once()
    assert (len(of(events, EndpointDoubted)), of(events, HeaderTrusted)) == (1, [])


@pytest.mark.parametrize(
    ("trust", "words"),
    [(None, "stated by one endpoint"), (str(root(1)), "proven")],
)
async def test_configuration_says_what_is_believed(
    parts: Archive, clock: ManualClock, trust: str | None, words: str
) -> None:
    """An endpoint that is named twice is no second opinion."""
    clock.step(START_NS)
    tx = b"a transaction"
    chain = MadeChain(lambda _: alike(FOUR)).grow(3).grow(1, txs=[tx], codes=[0]).grow(1)
    jobs: list[float] = []
    service = cast("Service", SimpleNamespace(every=lambda seconds, _: jobs.append(seconds)))
    async with served(Teller(chain).app()) as url, AsyncExitStack() as stack:
        config = UploadConfig(rpc=(url, f"{url}/"), storage=url, trust=trust)
        reader = await stack.enter_async_context(ChainReader([url]))
        belief = await believing(config, parts, service, stack, whom=Trust(), drop=reader.drop)
        assert await belief.prove(sha256(tx).hexdigest()) == words
    assert jobs == ([EVERY_S] if trust else [])


async def test_endpoint_that_lied_is_asked_for_nothing_else_any_more(tmp_path: Path) -> None:
    liar, honest = Teller(CHAIN.fork(1).grow(39, chain_id="other")), Teller(CHAIN)
    async with (
        served(liar.app()) as bad,
        served(honest.app()) as good,
        ChainReader([bad, good]) as reader,
        BlockSource(bad) as first,
        BlockSource(good) as second,
    ):
        with archive(tmp_path, ManualClock(START_NS + 50 * SECOND), wait=True) as parts:
            both = [first, second]
            trusting = Trusting(root(1), parts, both, period_s=PERIOD_S, drop=reader.drop)
            await reader.status()
            await trusting.once()
            asked = len(liar.asked)
            await reader.status()
        assert (len(liar.asked), trusting.light.sources) == (asked, (second,))

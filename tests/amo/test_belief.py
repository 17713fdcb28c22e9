"""What is proven is called so; what is only stated says by how many."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from hashlib import sha256
from typing import Any

import pytest

from agent.amo.belief import Belief
from agent.amo.blocksource import BlockSource
from agent.amo.light import LightClient
from agent.amo.trust import TrustRoot
from agent.clock import SECOND, ManualClock
from agent.errors import LyingEndpointError, RemoteError
from tests.amo.madechain import (
    START_NS,
    MadeChain,
    Teller,
    alike,
    failure,
    included,
    keys,
    source,
)
from tests.amo.nodes import result

FOUR = keys(4)
GOOD, BAD = b"a good one", b"a bad one"
GOOD_HASH, BAD_HASH = sha256(GOOD).hexdigest(), sha256(BAD).hexdigest()


def chain() -> MadeChain:
    return MadeChain(lambda _: alike(FOUR)).grow(3).grow(1, txs=[GOOD, BAD], codes=[0, 4]).grow(3)


def lying(code: int) -> Teller:
    """It says that the good one ended with this code; the proof of its place is right."""
    teller = Teller(chain())
    teller.on("tx", included(4, [GOOD, BAD], [code, 4], 0))
    items: list[dict[str, Any]] = [{"code": code, "data": None}, {"code": 4, "data": None}]
    teller.on("block_results", result({"txs_results": items}))
    return teller


def ignorant() -> Teller:
    teller = Teller(chain())
    teller.on("tx", failure(f"tx ({GOOD_HASH.upper()}) not found"))
    return teller


@asynccontextmanager
async def believing(*tellers: Teller, light: bool, age_s: int = 100) -> AsyncIterator[Belief]:
    clock = ManualClock(START_NS + age_s * SECOND)
    async with AsyncExitStack() as stack:
        sources = [await stack.enter_async_context(source(each)) for each in tellers]
        client = LightClient(
            sources,
            TrustRoot(1, chain().headers[0].hash()),
            clock=clock,
            period_s=1000,
            doubted=lambda *_: None,
        )
        yield Belief(sources, client if light else None)


async def test_light_client_proves_whatever_the_others_say() -> None:
    async with believing(liar(), honest(), lying(8), light=True) as belief:
        assert await belief.outcome(GOOD_HASH) == (4, 0, "proven")
        assert await belief.prove(GOOD_HASH) == "proven"
        assert await belief.prove(BAD_HASH) == "proven: it failed with code 4"


async def test_what_the_light_client_cannot_prove_is_not_believed() -> None:
    async with believing(liar(), liar(), light=True) as belief:
        with pytest.raises(LyingEndpointError, match="result codes are not those"):
            await belief.prove(GOOD_HASH)


async def test_expired_trust_leaves_what_endpoints_state() -> None:
    async with believing(honest(), honest(), light=True, age_s=2000) as belief:
        assert await belief.prove(GOOD_HASH) == "stated by 2 of 2 endpoints"


def honest() -> Teller:
    return Teller(chain())


def liar() -> Teller:
    return lying(7)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ([], "stated by one endpoint"),
        ([honest], "stated by 2 of 2 endpoints"),
        ([honest, ignorant], "stated by 2 of 3 endpoints"),
        ([honest, liar], "stated by 2 of 3 endpoints"),
        ([ignorant, ignorant], "stated by 1 of 3 endpoints"),
    ],
)
async def test_without_a_root_endpoints_that_say_the_same_are_counted(
    others: list[Callable[[], Teller]], words: str
) -> None:
    tellers = [other() for other in others]
    async with believing(*tellers, honest(), light=False) as belief:
        assert await belief.prove(GOOD_HASH) == words
        assert await belief.outcome(GOOD_HASH) == (4, 0, words)


async def test_endpoints_without_a_majority_are_named() -> None:
    async with believing(liar(), honest(), light=False) as belief:
        with pytest.raises(RemoteError, match=r"http.*, http.*contradict each other"):
            await belief.prove(GOOD_HASH)


async def test_transaction_that_nobody_has_is_not_believed() -> None:
    async with believing(ignorant(), ignorant(), light=False) as belief:
        with pytest.raises(RemoteError, match="is in no block"):
            await belief.prove(GOOD_HASH)


async def test_failure_that_is_stated_says_so() -> None:
    async with believing(honest(), light=False) as belief:
        assert await belief.prove(BAD_HASH) == "stated by one endpoint: it failed with code 4"


async def test_state_is_asked_of_every_endpoint_that_did_not_lie() -> None:
    async def height(asked: BlockSource) -> int:
        return (await asked.status()).latest_height

    behind = Teller(chain().fork(5))
    async with believing(liar(), honest(), honest(), light=True) as belief:
        assert await belief.agreed(height) == (7, "stated by 3 of 3 endpoints")
        await belief.prove(GOOD_HASH)
        assert await belief.agreed(height) == (7, "stated by 2 of 2 endpoints")
    async with believing(behind, honest(), honest(), light=False) as belief:
        assert await belief.agreed(height) == (7, "stated by 2 of 3 endpoints")

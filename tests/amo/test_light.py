"""A light client believes what is signed, whatever endpoints tell it; all over real HTTP."""

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

import pytest

from agent.amo.light import LightClient
from agent.amo.tendermint.commit import Commit
from agent.amo.trust import TrustRoot
from agent.clock import SECOND, ManualClock
from agent.errors import LyingEndpointError, RemoteError, TrustExpiredError, UsageError
from tests.amo.madechain import (
    START_NS,
    MadeChain,
    Powers,
    Teller,
    alike,
    failure,
    included,
    keys,
    signed,
    source,
    told,
    voted,
)
from tests.amo.nodes import result

PERIOD_S = 172_800.0
FOUR = keys(4)
STRANGERS = keys(4, first=50)
TX = b"a transaction"
TX_HASH = sha256(TX).hexdigest()


def four(_: int) -> Powers:
    return alike(FOUR)


def turning(height: int) -> Powers:
    """One of six validators is another one with every block: after 6 blocks all are."""
    return alike([keys(1, first=height + n)[0] for n in range(6)])


def chain(height: int = 30, powers: Callable[[int], Powers] = four) -> MadeChain:
    return MadeChain(powers).grow(height)


@dataclass
class Trial:
    client: LightClient
    clock: ManualClock
    doubts: list[tuple[str, int, str]]
    urls: list[str]


@asynccontextmanager
async def trial(
    *tellers: Teller, root: int = 1, truth: MadeChain | None = None
) -> AsyncIterator[Trial]:
    """A client of these endpoints that trusts one block of the truth."""
    honest = truth or tellers[0].chain
    clock = ManualClock(START_NS + 1000 * SECOND)
    doubts: list[tuple[str, int, str]] = []
    async with AsyncExitStack() as stack:
        sources = [await stack.enter_async_context(source(each)) for each in tellers]
        client = LightClient(
            sources,
            TrustRoot(root, honest.headers[root - 1].hash()),
            clock=clock,
            period_s=PERIOD_S,
            doubted=lambda *doubt: doubts.append(doubt),
        )
        yield Trial(client, clock, doubts, [each.endpoint for each in sources])


async def refused(teller: Teller, height: int, reason: str, *, sequential: bool = False) -> None:
    """Alone, the endpoint is named and dropped; beside an honest one, the truth is found."""
    truth = chain()
    async with trial(teller, truth=truth) as one:
        with pytest.raises(LyingEndpointError, match=reason) as caught:
            await one.client.verify(height, sequential=sequential)
        assert caught.value.endpoint == one.urls[0]
        assert [(url, reason) for url, _, reason in one.doubts] == [
            (one.urls[0], caught.value.reason)
        ]
        asked = len(teller.asked)
        with pytest.raises(RemoteError, match="every endpoint was found lying before"):
            await one.client.verify(height - 1)
        assert len(teller.asked) == asked
    async with trial(teller, Teller(truth), truth=truth) as two:
        found = await two.client.verify(height, sequential=sequential)
        assert found == truth.headers[height - 1]
        assert [url for url, _, _ in two.doubts] == [two.urls[0]]


async def test_header_that_all_signed_is_reached_in_one_leap() -> None:
    teller = Teller(chain())
    async with trial(teller) as it:
        assert await it.client.verify(30) == teller.chain.headers[29]
        assert teller.count("commit") == 2  # the root and the target
        assert await it.client.verify(30) == teller.chain.headers[29]
        assert teller.count("commit") == 2
        assert it.doubts == []


async def test_chain_whose_validators_all_changed_is_reached_by_halves() -> None:
    teller = Teller(chain(powers=turning))
    async with trial(teller) as it:
        assert await it.client.verify(30) == teller.chain.headers[29]
        assert 4 < teller.count("commit") < 25
        assert it.doubts == []


async def test_sequential_verification_asks_for_every_header() -> None:
    teller = Teller(chain(powers=turning))
    async with trial(teller) as it:
        assert await it.client.verify(30, sequential=True) == teller.chain.headers[29]
        assert teller.count("commit") == 30


async def test_header_below_the_root_is_reached_by_hashes_alone() -> None:
    teller = Teller(chain(60))
    async with trial(teller, root=50) as it:
        assert await it.client.verify(7) == teller.chain.headers[6]
        assert teller.count("commit") == 1
        assert teller.count("blockchain") == 3  # 43 headers, 20 at a time
        it.clock.advance(int(2 * PERIOD_S) * SECOND)
        assert await it.client.verify(6) == teller.chain.headers[5]  # hashes do not expire


async def test_more_than_a_page_of_validators_is_asked_for_page_by_page() -> None:
    many = alike(keys(130))
    teller = Teller(chain(3, lambda _: many))
    async with trial(teller) as it:
        assert await it.client.verify(3) == teller.chain.headers[2]
        assert teller.count("validators") == 2  # and not again for the same set


async def test_root_that_the_endpoint_does_not_have_is_refused() -> None:
    await refused(Teller(MadeChain(four).grow(30, app_hash=b"other")), 30, "is not the trusted one")


async def test_forged_header_is_refused() -> None:
    teller, truth = Teller(chain()), chain()
    forged = replace(truth.headers[29], app_hash=b"forged")
    teller.chain.headers[29] = forged
    await refused(teller, 30, "commit is for another header")


async def test_forged_header_with_a_commit_of_its_own_is_refused() -> None:
    """Under the validators' names, the signatures are wrong."""
    teller = Teller(chain())
    forged = replace(teller.chain.headers[29], app_hash=b"forged")
    own = voted(forged, teller.chain.members(30), [])
    votes = teller.chain.commits[29].votes
    teller.chain.headers[29] = forged
    teller.chain.commits[29] = replace(own, votes=votes)
    await refused(teller, 30, "signature of validator 0 is wrong")


async def test_chain_of_strangers_is_refused_at_the_block_where_they_step_in() -> None:
    """Right in itself: every header is signed by the validators that it names."""
    own = chain().fork(10, lambda height: alike(FOUR if height <= 10 else STRANGERS))
    await refused(Teller(own.grow(20)), 30, "height 11: its validators are not those")


async def test_chain_of_strangers_is_refused_one_by_one_too() -> None:
    own = chain().fork(10, lambda height: alike(FOUR if height <= 10 else STRANGERS))
    await refused(Teller(own.grow(20)), 30, "height 11: its validators", sequential=True)


async def test_block_that_does_not_build_on_the_one_before_is_refused() -> None:
    own = chain().fork(10).grow(1, last_block_id=chain().headers[3].last_block_id).grow(19)
    await refused(Teller(own), 30, "does not build on", sequential=True)


async def test_header_that_two_thirds_signed_is_refused() -> None:
    thirds = dict(zip(FOUR, (1, 2, 2, 1), strict=True))
    truth = MadeChain(lambda _: thirds).grow(9)
    own = truth.fork(9).grow(1, signers=FOUR[1:3])
    async with trial(Teller(own), truth=truth) as it:
        with pytest.raises(LyingEndpointError, match="power 4 of 6 signed; more than two thirds"):
            await it.client.verify(10)


async def test_time_that_does_not_rise_is_refused() -> None:
    own = chain().fork(10).grow(20, time_ns=START_NS)
    await refused(Teller(own), 30, "is not after")


async def test_rt_88_header_of_another_chain_or_height_is_refused() -> None:
    other = chain().fork(29).grow(1, chain_id="other")
    await refused(Teller(other), 30, "header is of chain 'other'")
    moved = Teller(chain())
    moved.chain.headers[29], moved.chain.commits[29] = (
        moved.chain.headers[28],
        moved.chain.commits[28],
    )
    await refused(moved, 30, "height 30: header is of another height")


async def test_header_below_the_root_that_no_hash_leads_to_is_refused() -> None:
    truth = chain()
    teller = Teller(chain())
    teller.chain.headers[9] = replace(truth.headers[9], app_hash=b"forged")
    async with trial(teller, truth=truth, root=20) as it:
        with pytest.raises(LyingEndpointError, match="is not what the trusted header builds on"):
            await it.client.verify(10)


async def test_expired_trust_proves_nothing_new_and_nobody_is_doubted() -> None:
    teller = Teller(chain())
    async with trial(teller) as it:
        await it.client.verify(10)
        it.clock.step(START_NS + 10 * SECOND + int(PERIOD_S) * SECOND)
        with pytest.raises(TrustExpiredError, match=r"trusted block 10 of 2027-.* is older"):
            await it.client.verify(11)
        assert await it.client.verify(9) == teller.chain.headers[8]
        it.clock.step(START_NS + 10 * SECOND + int(PERIOD_S) * SECOND - 1)
        assert await it.client.verify(11) == teller.chain.headers[10]
        assert it.doubts == []


async def test_header_from_the_future_is_not_believed_and_nobody_is_doubted() -> None:
    teller = Teller(chain())
    async with trial(teller) as it:
        it.clock.step(START_NS + 20 * SECOND)
        teller.chain.grow(1)
        with pytest.raises(RemoteError, match="11 s ahead of our clock, at most 10 s") as caught:
            await it.client.verify(31)
        assert not isinstance(caught.value, LyingEndpointError)
        assert await it.client.verify(30) == teller.chain.headers[29]
        assert it.doubts == []


async def test_lying_witness_is_named_and_dropped() -> None:
    liar = Teller(chain().fork(20, lambda h: alike(FOUR if h <= 20 else STRANGERS)).grow(10))
    teller = Teller(chain())
    async with trial(teller, liar) as it:
        assert await it.client.verify(30) == teller.chain.headers[29]
        [(url, height, reason)] = it.doubts
        assert (url, height) == (it.urls[1], 21)
        assert "validators" in reason
        asked = len(liar.asked)
        assert await it.client.verify(25) == teller.chain.headers[24]
        assert len(liar.asked) == asked


async def test_rt_88_fork_that_validators_signed_names_both_and_proves_nothing_any_more() -> None:
    one, other = Teller(chain()), Teller(chain().fork(20).grow(10, app_hash=b"fork"))
    third = Teller(chain())
    async with trial(one, other, third) as it:
        assert await it.client.verify(20) == one.chain.headers[19]
        with pytest.raises(LyingEndpointError, match="height 30: two headers are signed") as caught:
            await it.client.verify(30)
        assert caught.value.endpoint == f"{it.urls[0]}, {it.urls[1]}"
        assert [url for url, _, _ in it.doubts] == it.urls[:2]
        with pytest.raises(LyingEndpointError, match="two headers are signed"):
            await it.client.verify(29)


async def test_silent_witness_says_nothing_and_a_silent_endpoint_is_passed_over() -> None:
    behind = Teller(chain(10))
    teller = Teller(chain())
    async with trial(teller, behind) as it:
        assert await it.client.verify(30) == teller.chain.headers[29]
    async with trial(behind, teller) as it:
        assert await it.client.verify(30) == teller.chain.headers[29]
        assert it.doubts == []


async def test_newest_block_but_one_is_followed() -> None:
    teller = Teller(chain())
    async with trial(teller) as it:
        assert (await it.client.newest()).height == 29
        teller.chain.grow(5)
        assert (await it.client.newest()).height == 34
        teller.on("status", result({"node_info": {"network": ""}, "sync_info": {}}))
        with pytest.raises(RemoteError, match="malformed"):
            await it.client.newest()


async def test_endpoint_that_claims_a_height_nobody_has_does_not_hold_the_others_up() -> None:
    far = Teller(chain())
    sync = {"latest_block_height": "9999999999999999999", "earliest_block_height": "1"}
    answer = {"node_info": {"network": ""}, "sync_info": sync | {"catching_up": False}}
    far.on("status", result(answer))
    async with trial(far, Teller(chain())) as it:
        assert (await it.client.newest()).height == 29


@pytest.mark.parametrize("height", [0, -1, 1 << 63])
async def test_height_that_no_block_has_is_a_usage_error(height: int) -> None:
    async with trial(Teller(chain(1))) as it:
        with pytest.raises(UsageError, match="is not 1 to"):
            await it.client.verify(height)


def with_txs(count: int = 5, codes: tuple[int, ...] = (0, 0, 4, 0, 0)) -> MadeChain:
    txs = [TX + b"%d" % n for n in range(count)]
    txs[2:3] = [TX] if count > 2 else []
    return chain(3).grow(1, txs=txs, codes=codes[:count]).grow(4)


async def test_transaction_is_proven_with_its_place_and_its_code() -> None:
    teller = Teller(with_txs())
    async with trial(teller) as it:
        found = await it.client.prove(TX_HASH)
    header = teller.chain.headers[3]
    assert (found.height, found.index, found.code) == (4, 2, 4)
    assert (found.header_hash, found.time_ns) == (header.hash(), header.time_ns)


async def test_result_is_waited_for_until_the_next_block_and_not_for_ever() -> None:
    whole = with_txs()
    teller = Teller(whole.fork(4))
    made: list[int] = []

    def late(_: Any, call: dict[str, Any]) -> dict[str, Any]:
        if call["params"]["height"] == "5":
            made.append(5)
            if len(made) > 3:
                teller.chain = whole
        return teller._commit(call["params"])

    teller.on("commit", late)
    async with trial(teller, truth=whole) as it:
        assert (await it.client.prove(TX_HASH)).code == 4
    async with trial(Teller(whole.fork(4))) as it:
        with pytest.raises(RemoteError, match="height 5 shows the result") as caught:
            await it.client.prove(TX_HASH)
        assert not isinstance(caught.value, LyingEndpointError)
        assert it.doubts == []


async def test_transaction_that_no_endpoint_knows_is_not_proven() -> None:
    async with trial(Teller(chain()), Teller(chain())) as it:
        with pytest.raises(RemoteError, match="not found"):
            await it.client.prove(TX_HASH)
        assert it.doubts == []


Lie = Callable[[dict[str, Any]], object]


def at_proof(answer: dict[str, Any]) -> dict[str, Any]:
    proof: dict[str, Any] = answer["result"]["proof"]["proof"]
    return proof


@pytest.mark.parametrize(
    ("lie", "reason"),
    [
        (lambda a: a["result"].update(height="3"), "not proven to be in it"),
        (lambda a: a["result"].update(height="6"), "not proven to be in it"),
        (lambda a: at_proof(a).update(index="1"), "not proven to be in it"),
        (lambda a: at_proof(a).update(index="5"), "not proven to be in it"),
        (lambda a: at_proof(a).update(index="-1"), "not proven to be in it"),
        (lambda a: at_proof(a).update(total="4"), "not proven to be in it"),
        (lambda a: at_proof(a).update(total="9" * 18), "not proven to be in it"),
        (lambda a: at_proof(a)["aunts"].reverse(), "not proven to be in it"),
        (lambda a: at_proof(a)["aunts"].clear(), "not proven to be in it"),
        (lambda a: at_proof(a).update(aunts=at_proof(a)["aunts"][:1] * 32), "not proven"),
        (lambda a: a["result"].update(height="0"), "no block has that height"),
        (lambda a: a["result"].update(height="9223372036854775807"), "no block has that height"),
    ],
)
async def test_forged_inclusion_is_refused(lie: Lie, reason: str) -> None:
    truth = with_txs()
    liar = Teller(truth)
    answer = included(4, *truth.txs[4], 2)
    lie(answer)
    liar.on("tx", answer)
    async with trial(liar, Teller(truth)) as it:
        assert (await it.client.prove(TX_HASH)).code == 4
        assert [url for url, _, _ in it.doubts] == it.urls[:1]
        assert reason in it.doubts[0][2]


async def test_transaction_of_another_hash_is_not_taken_for_it() -> None:
    """Even with a right proof of its own."""
    truth = with_txs()
    liar = Teller(truth)
    liar.on("tx", included(4, *truth.txs[4], 1))
    async with trial(liar) as it:
        with pytest.raises(LyingEndpointError, match="not proven to be in it"):
            await it.client.prove(TX_HASH)


@pytest.mark.parametrize("codes", [(0, 0, 0, 0, 0), (4, 0, 0, 0, 0), (0, 0, 4), (), (0,) * 6])
async def test_wrong_result_codes_are_refused(codes: tuple[int, ...]) -> None:
    truth = with_txs()
    liar = Teller(truth)
    results = [{"code": code, "data": None} for code in codes]
    liar.on("block_results", result({"txs_results": results or None}))
    async with trial(liar) as it:
        with pytest.raises(LyingEndpointError, match="result codes are not those"):
            await it.client.prove(TX_HASH)


async def test_code_that_the_hash_counts_modulo_two_to_the_64_is_malformed() -> None:
    truth = with_txs()
    liar = Teller(truth)
    results = [{"code": code + (1 << 64), "data": None} for code in truth.txs[4][1]]
    liar.on("block_results", result({"txs_results": results}))
    async with trial(liar) as it:
        with pytest.raises(RemoteError, match="malformed answer: result code 1844674407"):
            await it.client.prove(TX_HASH)


async def test_huge_proof_is_refused_before_it_is_climbed() -> None:
    truth = with_txs()
    liar = Teller(truth)
    answer = included(4, *truth.txs[4], 2)
    at_proof(answer)["aunts"] *= 20_000
    liar.on("tx", answer)
    async with trial(liar) as it:
        with pytest.raises(RemoteError, match="60000 aunts, at most 32"):
            await it.client.prove(TX_HASH)


async def test_same_transaction_twice_is_proven_in_the_block_that_is_told() -> None:
    """A failed one can stand in two blocks; each place has its own proof and code."""
    own = chain(3).grow(1, txs=[TX], codes=[4]).grow(1, txs=[TX], codes=[0]).grow(3)
    teller = Teller(own)
    teller.on("tx", included(5, *own.txs[5], 0))
    async with trial(teller) as it:
        found = await it.client.prove(TX_HASH)
    assert (found.height, found.code) == (5, 0)


def garbled(**changes: object) -> dict[str, Any]:
    truth = chain()
    answer = signed(truth.headers[29], truth.commits[29])
    for name, value in changes.items():
        *path, last = name.split("__")
        place = answer["result"]["signed_header"]
        for step in path:
            place = place[int(step) if step.isdigit() else step]
        place[last] = value
    return answer


@pytest.mark.parametrize(
    "answer",
    [
        result(None),
        result([]),
        result({"signed_header": None}),
        result({"signed_header": {"header": None, "commit": None}}),
        result({"signed_header": {"header": [], "commit": "x"}}),
        garbled(header__chain_id="\ud800"),
        garbled(header__height="x"),
        garbled(header__height=None),
        garbled(header__height="9" * 5000),
        garbled(header__time="2027-13-01T00:00:00Z"),
        garbled(header__time=7),
        garbled(header__version=[]),
        garbled(header__app_hash="xyz"),
        garbled(commit__round={}),
        garbled(commit__signatures=7),
        garbled(commit__signatures=[[]]),
        garbled(commit__signatures__0__block_id_flag=9),
        garbled(commit__signatures__0__signature="?"),
        garbled(commit__block_id=None),
    ],
)
async def test_malformed_answer_is_an_error_of_one_line_and_the_next_endpoint_is_asked(
    answer: dict[str, Any],
) -> None:
    teller, truth = Teller(chain()), Teller(chain())

    def tell(_: Any, call: dict[str, Any]) -> dict[str, Any]:
        params = call["params"]
        return answer if params["height"] == "30" else teller._commit(params)

    teller.on("commit", tell)
    async with trial(teller) as it:
        with pytest.raises(RemoteError, match="malformed answer") as caught:
            await it.client.verify(30)
        assert "\n" not in str(caught.value)
    async with trial(teller, truth) as it:
        assert await it.client.verify(30) == truth.chain.headers[29]


@pytest.mark.parametrize("round_", [1 << 31, 1 << 63, 1 << 70, -1])
async def test_impossible_round_is_refused(round_: int) -> None:
    teller = Teller(chain())
    teller.chain.commits[29] = replace(teller.chain.commits[29], round=round_)
    await refused(teller, 30, "impossible round")


async def test_validators_that_are_not_those_of_the_header_are_refused() -> None:
    teller = Teller(chain())
    teller.on("validators", told(chain(1, lambda _: alike(STRANGERS)).members(1)))
    await refused(teller, 30, "validator set is not")


async def test_endless_list_of_validators_is_read_up_to_its_bound() -> None:
    teller = Teller(chain())
    endless = told(chain(1).members(1))
    endless["result"]["total"] = "999999999"
    teller.on("validators", endless)
    async with trial(teller) as it:
        with pytest.raises(LyingEndpointError, match="a validator is in the set twice"):
            await it.client.verify(30)
    assert teller.count("validators") == 100


async def test_commit_of_another_commits_votes_is_refused() -> None:
    teller = Teller(chain())
    empty = Commit(30, 0, teller.chain.commits[29].block_id)
    teller.chain.commits[29] = empty
    await refused(teller, 30, "0 votes of 4 validators")


async def test_endpoint_without_the_headers_below_is_passed_over() -> None:
    pruned = Teller(chain())
    pruned.on("blockchain", result({"block_metas": []}))
    silent = Teller(chain())
    silent.on("blockchain", failure("height 10 is not available, lowest height is 20"))
    truth = Teller(chain())
    async with trial(pruned, silent, truth, root=25) as it:
        assert await it.client.verify(10) == truth.chain.headers[9]
        assert it.doubts == []


@pytest.mark.parametrize(
    "text", ["", "7", "0:" + "A" * 64, "7:AB", "7:" + "G" * 64, "-7:" + "A" * 64]
)
def test_trust_root_of_another_form_is_a_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="is not HEIGHT:HASH"):
        TrustRoot.parse(text)


def test_trust_root_is_written_as_it_is_read() -> None:
    assert str(TrustRoot.parse("7:" + "ab" * 32)) == "7:" + "AB" * 32

"""Bodies leave this disk once they lie elsewhere, and everything goes on without them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TypeVar

import pytest
from structlog.testing import capture_logs

from agent.amo.devnode.net import DevNet
from agent.amo.market import Seller
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import Archive, archive
from agent.clock import SECOND, ManualClock, SystemClock
from agent.compose import outgoing, retainer, uploader
from agent.events import (
    BodiesPruned,
    DtcSet,
    Event,
    ParcelChecked,
    ParcelRegistered,
    PositionFixed,
    RangeHeld,
)
from agent.eventstore.compare import differences
from agent.eventstore.ladder import Step
from agent.eventstore.reader import LogReader
from agent.eventstore.state import EVENTS, READMODEL
from agent.eventstore.verify import verify
from agent.privacy import Level
from agent.retain import EVERY_NS, HURRY_NS, Retainer
from agent.upload import Uploader
from agent.wallet.address import address
from tests.conftest import START_NS
from tests.eventstore.conftest import body_of, put_body, tampering
from tests.opened import opened
from tests.test_upload import Shelf, sealed

BOTH = [Level.LV3, Level.LV2]
DAY_NS = 86_400 * SECOND
E = TypeVar("E", bound=Event)


def drive(parts: Archive, clock: ManualClock, blocks: int = 5) -> None:
    """Blocks with a code and a place each, under a seal."""
    for number in range(blocks):
        parts.journal.write(PositionFixed(START_NS, 37.4, 127.1, *[None] * 6))
        parts.journal.write(DtcSet(f"P{number:04d}", "7E8"))
        parts.journal.flush()
    sealed(parts, clock)
    parts.journal.flush()


def bodies(parts: Archive) -> int:
    with LogReader.open(parts.state / EVENTS) as reader:
        return len(list(reader.bodies()))


def told(parts: Archive, kind: type[E]) -> list[E]:
    return [event for event in opened(parts) if isinstance(event, kind)]


def checks(parts: Archive) -> list[bool]:
    return [event.equal for event in told(parts, ParcelChecked)]


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


@pytest.fixture
def outward(parts: Archive, shelf: Shelf) -> Uploader:
    return uploader(parts, shelf)


@pytest.fixture
def keeper(parts: Archive, shelf: Shelf, outward: Uploader) -> Retainer:
    return retainer(parts, shelf, outward, keep_days=0)


async def test_what_was_uploaded_and_read_back_goes(
    parts: Archive, clock: ManualClock, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    [third, second] = await outward.once(BOTH)
    before = bodies(parts)

    assert await keeper.once() >= 5

    assert told(parts, ParcelChecked) == [
        ParcelChecked(third.parcel_id, 3, third.first_seq, third.last_seq, True),
        ParcelChecked(second.parcel_id, 2, second.first_seq, second.last_seq, True),
    ]
    assert bodies(parts) <= before - 5 + 4  # the books of it are new
    assert not told(parts, PositionFixed)
    assert verify(parts.state / EVENTS).verdict == "intact"


async def test_a_level_that_is_not_uploaded_keeps_its_bodies(
    parts: Archive, clock: ManualClock, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    await outward.once([Level.LV3])
    await keeper.once()
    assert len(told(parts, PositionFixed)) == 5


async def test_rt_86_a_body_that_storage_lost_is_told_and_never_pruned_but_sent_again(
    parts: Archive, clock: ManualClock, shelf: Shelf, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    [third, _] = await outward.once(BOTH)
    del shelf.bodies[third.parcel_id]

    with capture_logs() as lines:
        await keeper.once()

    assert [line["body"] for line in lines if line["event"] == "stored parcel is lost"] == ["gone"]
    assert checks(parts) == [False, True]
    assert len(told(parts, DtcSet)) == 5

    [anew] = await outward.once(BOTH)
    assert (anew.first_seq, anew.last_seq) == (third.first_seq, third.last_seq)
    clock.advance(EVERY_NS)
    assert await keeper.once() >= 5
    assert checks(parts) == [False, True, True]
    assert verify(parts.state / EVENTS).verdict == "intact"


async def test_rt_87_a_body_that_was_changed_under_its_id_counts_as_lost(
    parts: Archive, clock: ManualClock, shelf: Shelf, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    receipts = await outward.once(BOTH)
    for receipt in receipts:
        shelf.bodies[receipt.parcel_id] += b"?"

    with capture_logs() as lines:
        assert await keeper.once() == 0

    assert [line["body"] for line in lines if "lost" in line["event"]] == ["not what was sent"] * 2
    assert checks(parts) == [False, False]


async def test_a_body_that_is_lost_twice_is_left_to_a_person(
    parts: Archive, clock: ManualClock, shelf: Shelf, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    sent = []
    for _ in range(4):
        sent.append(len(await outward.once([Level.LV3])))
        shelf.bodies.clear()
        await keeper.once()
        clock.advance(EVERY_NS)
    assert sent == [1, 1, 0, 0]
    assert checks(parts) == [False, False]
    assert len(told(parts, DtcSet)) == 5


async def test_a_far_side_that_is_away_is_no_verdict(
    parts: Archive, clock: ManualClock, shelf: Shelf, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    await outward.once(BOTH)
    shelf.away = True
    with capture_logs() as lines:
        assert await keeper.once() == 0
    assert [line["reason"] for line in lines] == ["nobody answers"]
    assert checks(parts) == []

    shelf.away = False
    clock.advance(EVERY_NS)
    assert await keeper.once() >= 5


async def test_rt_70_what_is_held_stays(
    parts: Archive, clock: ManualClock, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    third = next(e.seq for e in parts.log.read() if e.kind == DtcSet.kind) + 4
    parts.journal.write(RangeHeld(third, third, "crash"))
    await outward.once(BOTH)
    await keeper.once()
    assert [event.code for event in told(parts, DtcSet)] == ["P0002"]
    assert len(told(parts, PositionFixed)) == 1
    assert len(told(parts, RangeHeld)) == 1


async def test_what_is_young_stays_until_its_time_or_until_the_disk_fills(
    parts: Archive, clock: ManualClock, shelf: Shelf, outward: Uploader
) -> None:
    keeper = retainer(parts, shelf, outward, keep_days=30)
    drive(parts, clock)
    await outward.once(BOTH)
    assert await keeper.once() == 0
    clock.advance(29 * DAY_NS)
    assert await keeper.once() == 0

    drive(parts, clock)
    await outward.once(BOTH)
    clock.advance(DAY_NS)
    assert await keeper.once() >= 5
    assert len(told(parts, DtcSet)) == 5, "those of the second drive are young"

    parts.writer.step = Step.EARLY
    clock.advance(HURRY_NS)
    assert await keeper.once() >= 5
    assert not told(parts, DtcSet)


async def test_a_pass_comes_once_an_hour_and_sooner_where_the_disk_fills(
    parts: Archive, clock: ManualClock, shelf: Shelf, outward: Uploader, keeper: Retainer
) -> None:
    async def looks() -> bool:
        """Whether a parcel that waits is read back now."""
        parts.journal.write(DtcSet("P0301", "7E8"))
        await outward.once([Level.LV3])
        before = len(checks(parts))
        await keeper.once()
        return len(checks(parts)) > before

    assert await looks()
    clock.advance(EVERY_NS - SECOND)
    assert not await looks()
    clock.advance(SECOND)
    assert await looks()
    parts.writer.step = Step.EARLY
    clock.advance(HURRY_NS - SECOND)
    assert not await looks()
    clock.advance(SECOND)
    assert await looks()
    assert shelf.bodies


async def test_a_start_knows_what_was_read_back_before(tmp_path: Path, shelf: Shelf) -> None:
    clock = ManualClock(START_NS)
    with archive(tmp_path / "state", clock, wait=True) as parts:
        outward = uploader(parts, shelf)
        drive(parts, clock)
        await outward.once(BOTH)
        assert await retainer(parts, shelf, outward, keep_days=30).once() == 0

    shelf.away = True
    with archive(tmp_path / "state", clock, wait=True) as parts:
        outward = uploader(parts, shelf)
        with capture_logs():
            assert await retainer(parts, shelf, outward, keep_days=0).once() >= 5
        shelf.away = False
        parts.journal.write(DtcSet("P0A80", "7E8"))
        [receipt] = await outward.once([Level.LV3])
        assert receipt.first_seq > max(r.last_seq for r in parts.receipts()[:-1])
    assert verify(tmp_path / "state" / EVENTS).verdict == "intact"


async def test_a_damaged_log_loses_nothing_and_the_agent_goes_on(
    parts: Archive, clock: ManualClock, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    await outward.once(BOTH)
    with tampering(parts.state / EVENTS) as connection:
        put_body(connection, 3, body_of(connection, 3)[:-1])
    with capture_logs() as lines:
        assert await keeper.once() == 0
    assert "block 3" in next(x["reason"] for x in lines if x["event"] == "nothing is pruned")
    assert not told_of_pruning(parts)


def told_of_pruning(parts: Archive) -> bool:
    with tampering(parts.state / EVENTS) as connection:
        last = connection.execute("SELECT max(no) FROM body").get
        return any(BodiesPruned.kind.encode() in body_of(connection, n) for n in range(4, last + 1))


async def test_the_read_model_keeps_what_it_had_and_says_what_a_new_one_never_saw(
    parts: Archive, clock: ManualClock, outward: Uploader, keeper: Retainer
) -> None:
    drive(parts, clock)
    await outward.once(BOTH)
    kept = parts.receipts()
    await keeper.once()
    assert parts.receipts() == kept
    with LogReader.open(parts.state / EVENTS) as log:
        assert differences(parts.state / READMODEL, log) == []
    for path in parts.state.glob(f"{READMODEL}*"):
        path.unlink()
    assert parts.receipts() == kept


async def test_everything_goes_on_while_bodies_go(
    parts: Archive, clock: ManualClock, outward: Uploader, keeper: Retainer
) -> None:
    """The loop turns while the pass runs: what it does is done in threads."""
    drive(parts, clock, blocks=60)
    await outward.once(BOTH)
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    turning = asyncio.create_task(turn())
    gone = await keeper.once()
    turning.cancel()
    assert gone >= 60
    assert turns > 100


@pytest.fixture
async def seller(parts: Archive) -> AsyncIterator[tuple[Seller, DevNet]]:
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        rich = {address(parts.keys.account.public): 10**18}
        net = DevNet(rich, clock=clock, block_interval_s=0.02)
        await net.start()
        stack.push_async_callback(net.stop)
        rpc = await stack.enter_async_context(RpcClient([net.rpc_url], clock=clock))
        storage = await stack.enter_async_context(StorageClient(net.storage_url))
        yield Seller(rpc, storage, parts.keys.account, outgoing(parts, rpc).submit), net


async def test_parcels_of_a_real_node_are_read_back_and_their_bodies_go(
    parts: Archive, clock: ManualClock, seller: tuple[Seller, DevNet]
) -> None:
    market, _ = seller
    outward = uploader(parts, market)
    drive(parts, clock)
    receipts = await outward.once(BOTH)

    assert await retainer(parts, market, outward, keep_days=0).once() >= 5

    assert checks(parts) == [True, True]
    assert [receipt.seal_no for receipt in receipts] == [1, 1]
    assert all(isinstance(receipt, ParcelRegistered) for receipt in receipts)
    assert verify(parts.state / EVENTS).verdict == "intact"

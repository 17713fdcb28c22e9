"""Outward: what is in the log goes up once, encrypted to the owner, and its receipt comes back."""

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import pytest

from agent.amo.devnode.net import DevNet
from agent.amo.market import Registered, Seller
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import SEGMENTS, Archive, archive
from agent.clock import SECOND, ManualClock, SystemClock
from agent.compose import outgoing, uploader
from agent.errors import RemoteError, SealError
from agent.events import ConsentGranted, DtcSet, ParcelRegistered, PositionFixed, decode
from agent.eventstore.anchor import Anchor
from agent.eventstore.verify import Beside, verify
from agent.parcel.chunk import open_parcel
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.custody import unwrap
from agent.wallet.envelope import decrypt
from agent.wallet.segments import SEGMENT_NS
from tests.conftest import START_NS
from tests.opened import opened

FIX = PositionFixed(START_NS, 37.4, 127.1, None, None, None, None, None, None)


ALLOWED_EXTRA = (
    {"amo-agent", "level", "head_seq", "head"},
    {"amo-agent", "level", "seal", "note"},
)
"""What stands on the chain for everybody to read: nothing else may."""


@dataclass(frozen=True)
class Answer:
    parcel_id: str
    tx_hash: str = "AB"
    height: int = 7


class Shelf:
    """A far side that keeps what it is given, and can be out of reach."""

    def __init__(self) -> None:
        self.bodies: dict[str, bytes] = {}
        self.custody: dict[str, bytes] = {}
        self.extras: list[dict[str, object]] = []
        self.away = False

    async def register(
        self, body: bytes, wrap: Callable[[str], bytes], extra: Mapping[str, object]
    ) -> Answer:
        assert set(extra) in ALLOWED_EXTRA
        self.extras.append(dict(extra))
        if self.away:
            raise RemoteError("nobody answers")
        parcel_id = f"00000001{sha256(body).hexdigest().upper()}"
        self.bodies[parcel_id] = body
        self.custody[parcel_id] = wrap(parcel_id)
        return Answer(parcel_id)

    async def stored(self, parcel_id: str) -> bytes | None:
        if self.away:
            raise RemoteError("nobody answers")
        return self.bodies.get(parcel_id)

    def opened(self, parts: Archive, receipt: ParcelRegistered) -> list[tuple[str, int]]:
        """(metric, records) of a parcel, opened with the owner's key."""
        name, level = receipt.parcel_id, Level(receipt.parcel_level)
        key = unwrap(self.custody[name], parts.keys.owner, parcel_id=name, level=level)
        parcel = open_parcel(decrypt(self.bodies[name], key))
        return [(chunk.header.metric, chunk.header.records) for chunk in parcel.chunks]


def write_some(parts: Archive) -> None:
    parts.journal.write(DtcSet("P0301", "7E8"))
    parts.journal.write(FIX)


def waiting(parts: Archive) -> list[str]:
    return sorted(path.name for path in (parts.state / "outbox").iterdir())


async def test_each_level_goes_up_as_a_parcel_of_its_own(parts: Archive) -> None:
    shelf = Shelf()
    write_some(parts)

    receipts = await uploader(parts, shelf).once([Level.LV3, Level.LV2])

    assert [receipt.parcel_level for receipt in receipts] == [3, 2]
    assert shelf.opened(parts, receipts[0]) == [("agent-started/1", 1), ("dtc-set/1", 1)]
    assert shelf.opened(parts, receipts[1]) == [("position-fixed/1", 1)]


async def test_two_that_upload_at_once_send_nothing_twice(parts: Archive) -> None:
    """The service's turn, and the owner who asks for it meanwhile."""
    shelf = Shelf()
    write_some(parts)
    outward = uploader(parts, shelf)

    found = await asyncio.gather(outward.once([Level.LV3]), outward.once([Level.LV3]))

    assert [receipt.parcel_level for one in found for receipt in one] == [3]
    assert (len(shelf.extras), waiting(parts)) == (1, [])


async def test_a_level_that_is_not_asked_for_stays_in_the_car(parts: Archive) -> None:
    write_some(parts)
    receipts = await uploader(parts, Shelf()).once([Level.LV3])
    assert [receipt.parcel_level for receipt in receipts] == [3]


async def test_a_body_shows_nothing_of_what_is_in_it(parts: Archive) -> None:
    shelf = Shelf()
    write_some(parts)

    await uploader(parts, shelf).once(list(Level))

    assert not [body for body in shelf.bodies.values() if b"P0301" in body]


async def test_nothing_is_sent_twice(parts: Archive) -> None:
    shelf = Shelf()
    write_some(parts)
    outward = uploader(parts, shelf)
    [first] = await outward.once([Level.LV3])
    parts.journal.write(DtcSet("P0A80", "7E8"))

    [second] = await outward.once([Level.LV3])

    assert second.first_seq == first.last_seq + 1
    assert shelf.opened(parts, second) == [("dtc-set/1", 1)]


async def test_a_car_that_records_nothing_uploads_nothing(parts: Archive) -> None:
    shelf = Shelf()
    outward = uploader(parts, shelf)
    await outward.once(list(Level))

    later = [await outward.once(list(Level)) for _ in range(3)]

    assert later == [[], [], []]


async def test_the_wallets_own_books_are_in_no_parcel(parts: Archive) -> None:
    shelf = Shelf()
    parts.journal.write(ConsentGranted("AB", "CD", "owner", "EF"))

    [receipt] = await uploader(parts, shelf).once([Level.LV3])

    assert shelf.opened(parts, receipt) == [("agent-started/1", 1)]


async def test_a_restart_goes_on_behind_the_last_receipt(tmp_path: Path) -> None:
    shelf = Shelf()
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        write_some(parts)
        [before] = await uploader(parts, shelf).once([Level.LV3])

    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(DtcSet("P0A80", "7E8"))
        [after] = await uploader(parts, shelf).once([Level.LV3])
        manifest = open_parcel(decrypt(shelf.bodies[after.parcel_id], _key(parts, after))).manifest

    assert after.first_seq == before.last_seq + 1
    assert manifest.previous == before.root


def _key(parts: Archive, receipt: ParcelRegistered) -> bytes:
    return unwrap(
        receipt.custody,
        parts.keys.owner,
        parcel_id=receipt.parcel_id,
        level=Level(receipt.parcel_level),
    )


async def test_a_far_side_that_is_away_costs_nothing(parts: Archive) -> None:
    shelf = Shelf()
    shelf.away = True
    write_some(parts)
    outward = uploader(parts, shelf)
    with pytest.raises(RemoteError):
        await outward.once([Level.LV3])

    shelf.away = False
    [receipt] = await outward.once([Level.LV3])

    assert receipt.first_seq == 1
    assert waiting(parts) == []


async def test_a_body_left_behind_by_a_crash_is_sent_as_it_was(parts: Archive) -> None:
    shelf = Shelf()
    shelf.away = True
    write_some(parts)
    with pytest.raises(RemoteError):
        await uploader(parts, shelf).once([Level.LV3])
    [left] = waiting(parts)
    written = (parts.state / "outbox" / left).read_bytes()

    shelf.away = False
    await uploader(parts, shelf).once([Level.LV3])

    [body] = [body for body in shelf.bodies.values() if body in written]
    assert body


async def test_a_body_whose_receipt_is_in_the_log_is_not_sent_again(parts: Archive) -> None:
    shelf = Shelf()
    shelf.away = True
    write_some(parts)
    with pytest.raises(RemoteError):
        await uploader(parts, shelf).once([Level.LV3])
    [left] = waiting(parts)
    kept = (parts.state / "outbox" / left).read_bytes()
    shelf.away = False
    await uploader(parts, shelf).once([Level.LV3])
    (parts.state / "outbox" / left).write_bytes(kept)  # the crash came before it was removed

    receipts = await uploader(parts, shelf).once([Level.LV3])

    assert receipts == []
    assert waiting(parts) == []


async def test_a_half_written_body_is_never_sent(parts: Archive) -> None:
    shelf = Shelf()
    outward = uploader(parts, shelf)
    (parts.state / "outbox" / "lv3-000000000001.parcel.new").write_bytes(b"half of")

    await outward.once([Level.LV3])

    assert not [body for body in shelf.bodies.values() if b"half of" in body]


@pytest.mark.parametrize("broken", [b"\xff not a parcel", b"\xa1\x61\x61\x01", b""])
async def test_a_broken_body_in_the_outbox_is_set_aside_and_packed_again(
    broken: bytes, parts: Archive
) -> None:
    outward = uploader(parts, Shelf())
    (parts.state / "outbox" / "lv3-000000000001.parcel").write_bytes(broken)

    [receipt] = await outward.once([Level.LV3])

    assert receipt.first_seq == 1
    assert waiting(parts) == ["lv3-000000000001.broken"]


async def test_a_receipt_is_durable_before_the_body_leaves_the_outbox(parts: Archive) -> None:
    write_some(parts)
    [receipt] = await uploader(parts, Shelf()).once([Level.LV3])

    kinds = [decode(e.kind, e.payload) for e in parts.log.read() if e.level == Level.LV3]
    assert receipt in kinds


def sealed(parts: Archive, clock: ManualClock) -> Anchor:
    """The anchor of the next seal, once it is made."""
    before = parts.anchor()
    clock.advance(60 * SECOND)
    for _ in range(500):
        found = parts.anchor()
        if found is not None and found != before:
            return found
        threading.Event().wait(0.01)
    raise AssertionError("no seal in 5 s")


async def test_the_last_seal_is_anchored_with_a_parcel_and_kept_in_its_receipt(
    parts: Archive, clock: ManualClock
) -> None:
    shelf = Shelf()
    write_some(parts)
    [before] = await uploader(parts, shelf).once([Level.LV3])
    anchor = sealed(parts, clock)
    parts.journal.write(DtcSet("P0A80", "7E8"))

    [receipt] = await uploader(parts, shelf).once([Level.LV3])

    assert (before.seal_no, before.seal_digest) == (0, b"")
    assert set(shelf.extras[0]) == {"amo-agent", "level", "head_seq", "head"}
    assert (receipt.seal_no, receipt.seal_digest) == anchor
    assert shelf.extras[1] == {
        "amo-agent": 1, "level": 3, "seal": anchor.no, "note": anchor.digest.hex()
    }  # fmt: skip
    found = verify(parts.state / "events.db", Beside(anchor=anchor))
    assert (found.verdict, found.tx_hash) == ("intact", receipt.tx_hash)
    assert before.last_seq <= found.anchored < receipt.last_seq


async def test_a_receipt_has_the_digest_of_the_body(parts: Archive) -> None:
    shelf = Shelf()
    write_some(parts)
    [receipt] = await uploader(parts, shelf).once([Level.LV3])
    assert receipt.digest == sha256(shelf.bodies[receipt.parcel_id]).digest()


async def test_rt_86_a_lost_body_is_sent_once_more_and_the_links_stay(parts: Archive) -> None:
    shelf = Shelf()
    outward = uploader(parts, shelf)
    receipts = []
    for code in ("P0301", "P0302", "P0303"):
        parts.journal.write(DtcSet(code, "7E8"))
        receipts += await outward.once([Level.LV3])
    gone = receipts[1]
    del shelf.bodies[gone.parcel_id]

    outward.again([gone])
    [anew] = await outward.once([Level.LV3])

    assert (anew.first_seq, anew.last_seq, anew.root) == (gone.first_seq, gone.last_seq, gone.root)
    assert shelf.opened(parts, anew) == [("dtc-set/1", 1)]
    assert await outward.once([Level.LV3]) == []
    parts.journal.write(DtcSet("P0304", "7E8"))
    [later] = await uploader(parts, shelf).once([Level.LV3])
    manifest = open_parcel(decrypt(shelf.bodies[later.parcel_id], _key(parts, later))).manifest
    assert (later.first_seq, manifest.previous) == (receipts[2].last_seq + 1, receipts[2].root)


def rot_key(parts: Archive, level: Level) -> None:
    """One bit of the wrapped keys of a level."""
    with closing(sqlite3.connect(parts.state / "keys" / SEGMENTS)) as store:
        where = "FROM segment_key WHERE level = ?"
        [(key,)] = store.execute(f"SELECT wrapped {where}", (level,)).fetchall()
        rotten = key[:-1] + bytes([key[-1] ^ 1])
        store.execute("UPDATE segment_key SET wrapped = ? WHERE level = ?", (rotten, level))
        store.commit()


async def test_rt_46_what_was_uploaded_opens_though_the_key_it_was_recorded_under_rotted(
    parts: Archive,
) -> None:
    shelf = Shelf()
    parts.journal.write(FIX)
    [receipt] = await uploader(parts, shelf).once([Level.LV2])

    rot_key(parts, Level.LV2)

    with pytest.raises(SealError, match="does not open"):
        opened(parts)
    assert shelf.opened(parts, receipt) == [("position-fixed/1", 1)]


async def test_rt_46_key_that_rotted_holds_up_no_other_level_and_is_told(parts: Archive) -> None:
    shelf = Shelf()
    write_some(parts)
    parts.journal.flush()
    rot_key(parts, Level.LV2)
    outward = uploader(parts, shelf)

    for _ in range(2):
        with pytest.raises(SealError, match="does not open"):
            await outward.once([Level.LV2, Level.LV3])

    [receipt] = parts.receipts()
    assert shelf.opened(parts, receipt) == [("agent-started/1", 1), ("dtc-set/1", 1)]


async def test_a_lost_body_of_which_nothing_is_left_is_not_sent(
    parts: Archive, clock: ManualClock
) -> None:
    shelf = Shelf()
    outward = uploader(parts, shelf)
    parts.journal.write(FIX)
    [gone] = await outward.once([Level.LV2])
    clock.advance(SEGMENT_NS)
    parts.eraser.carry_out(
        parts.eraser.plan(Level.LV2, 0, 2 * START_NS, lambda _done, _total: None), "owner"
    )

    outward.again([gone])
    assert await outward.once([Level.LV2]) == []


@pytest.fixture
async def market(parts: Archive) -> AsyncIterator[tuple[Seller, RpcClient]]:
    """The real far side: a node and a storage service on loopback."""
    clock = SystemClock()
    async with AsyncExitStack() as stack:
        net = DevNet(
            {address(parts.keys.account.public): 10**18}, clock=clock, block_interval_s=0.02
        )
        await net.start()
        stack.push_async_callback(net.stop)
        rpc = await stack.enter_async_context(RpcClient([net.rpc_url], clock=clock))
        storage = await stack.enter_async_context(StorageClient(net.storage_url))
        yield Seller(rpc, storage, parts.keys.account, outgoing(parts, rpc).submit), rpc


async def test_a_parcel_stands_on_the_chain_under_its_owner(
    parts: Archive, market: tuple[Seller, RpcClient]
) -> None:
    seller, rpc = market
    write_some(parts)

    [receipt] = await uploader(parts, seller).once([Level.LV3])

    record = await rpc.parcel(receipt.parcel_id)
    assert record is not None
    assert record["owner"] == address(parts.keys.account.public)
    assert record["custody"] == receipt.custody.hex().upper()


async def test_what_is_stored_is_given_back_as_it_is_or_not_at_all(
    parts: Archive, market: tuple[Seller, RpcClient]
) -> None:
    seller, _ = market
    write_some(parts)
    [receipt] = await uploader(parts, seller).once([Level.LV3])

    body = await seller.stored(receipt.parcel_id)
    assert body is not None
    assert sha256(body).digest() == receipt.digest
    assert await seller.stored(receipt.parcel_id[:8] + "0" * 64) is None


async def test_a_parcel_nobody_asked_for_has_no_requests(
    parts: Archive, market: tuple[Seller, RpcClient]
) -> None:
    seller, _ = market
    write_some(parts)
    [receipt] = await uploader(parts, seller).once([Level.LV3])
    assert await seller.requests(receipt.parcel_id) == []


def test_the_markets_answer_has_the_shape_the_uploader_wants() -> None:
    answer = Registered("AB", "CD", 3)
    assert (answer.parcel_id, answer.tx_hash, answer.height) == ("AB", "CD", 3)

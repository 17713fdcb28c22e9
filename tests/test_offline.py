"""A car that nobody can reach for thirty days records, fits its disk and tells of it all later."""

import random
from pathlib import Path

import pytest

from agent.archive import Archive, archive
from agent.clock import SECOND, ManualClock
from agent.compose import uploader
from agent.errors import RemoteError
from agent.events import DiskNarrowed, DtcSet, InputLost, PositionFixed, SignalsSampled
from agent.eventstore.ladder import Step
from agent.eventstore.reader import LogReader
from agent.eventstore.reserve import Reserve
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import Beside, verify
from agent.narrow import Narrowing
from agent.privacy import Level
from agent.upload import PARCEL_BYTES, Uploader
from tests.conftest import START_NS
from tests.opened import opened
from tests.test_upload import Shelf, sealed, waiting

DAYS = 30
BOTH = [Level.LV3, Level.LV2]
ROOM_BYTES = 8_000_000
"""Of the disk this log may have: what the samples of all these days do not fit into."""


def size(state: Path) -> int:
    """Of the log in bytes, once its write-ahead log is folded in."""
    with LogReader.open(state / EVENTS) as reader:
        pages = reader._connection.pragma("page_count")
    assert isinstance(pages, int)
    return 4096 * pages


async def four_hours(
    parts: Archive, clock: ManualClock, outward: Uploader, chance: random.Random
) -> None:
    """Of driving; what came of it is to be uploaded, and nobody answers."""
    values = [chance.random() for _ in range(6_000)]
    sampled = SignalsSampled("can0", clock.now_ns(), {"speed.vehicle": ([0] * 6_000, values)})
    parts.journal.write(sampled, level=Level.LV3)
    clock.advance(4 * 3600 * SECOND)
    with pytest.raises(RemoteError):
        await outward.once(BOTH)


async def test_rt_85_thirty_days_offline_fit_the_disk_and_one_seal_bears_witness_to_all(
    tmp_path: Path,
) -> None:
    clock, shelf, chance = ManualClock(START_NS), Shelf(), random.Random(85)
    shelf.away = True
    with archive(tmp_path / "state", clock, wait=False) as parts:
        narrow = Narrowing(
            writer=parts.writer,
            journal=parts.journal,
            used=lambda: 100 * size(parts.state) / ROOM_BYTES,
            reserve=Reserve(parts.state),
        )
        outward = uploader(parts, shelf)
        for day in range(DAYS):
            parts.journal.write(DtcSet(f"P{day:04d}", "7E8"))
            parts.journal.write(PositionFixed(clock.now_ns(), 37.4, 127.1, *[None] * 6))
            for _ in range(6):
                await four_hours(parts, clock, outward, chance)
                await narrow.once()
        [waits] = waiting(parts)
        assert (parts.state / "outbox" / waits).stat().st_size < 2 * PARCEL_BYTES
        assert 0.9 * ROOM_BYTES < size(parts.state) <= ROOM_BYTES
        anchor, backlog = sealed(parts, clock), parts.log.head().seq

        shelf.away = False
        receipts = await outward.once(BOTH)

        assert {(receipt.seal_no, receipt.seal_digest) for receipt in receipts} == {anchor}
        assert verify(parts.state / EVENTS, Beside(anchor=anchor)).anchored >= backlog - 1
        went = [record for receipt in receipts for record in shelf.opened(parts, receipt)]
        for kind in (DtcSet.kind, PositionFixed.kind):
            assert sum(count for metric, count in went if metric == kind) == DAYS
        told = opened(parts)
        steps = [event.step for event in told if isinstance(event, DiskNarrowed)]
        assert steps == [Step.EARLY, Step.NO_BULK, Step.NO_SAMPLES]
        lost = sum(event.count for event in told if isinstance(event, InputLost))
        kept = sum(isinstance(event, SignalsSampled) for event in told)
        assert (lost > 0, lost + kept) == (True, 6 * DAYS)

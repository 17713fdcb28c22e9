"""Erasure: what was sealed opens no more, nothing else changes, and a crash leaves no lie."""

import os
import random
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

import pytest

from agent.archive import Archive, archive
from agent.clock import SECOND, ManualClock
from agent.compose import uploader
from agent.errors import ErasedError, HeldError, RemoteError, UsageError
from agent.events import (
    ConsentGranted,
    ErasureBegun,
    ErasureDone,
    PositionFixed,
    RangeHeld,
    RangeReleased,
    VinRead,
    decode,
)
from agent.eventstore import chain
from agent.eventstore.log import Recorded
from agent.eventstore.reader import LogReader
from agent.eventstore.tree import nodes_of
from agent.eventstore.verify import verify
from agent.eventstore.view import view
from agent.parcel.chunk import open_parcel
from agent.privacy import Level
from agent.survey import Plan
from agent.wallet.custody import unwrap, unwrap_segment
from agent.wallet.envelope import decrypt
from agent.wallet.keys import load_keys
from agent.wallet.seal import open_with_event_key
from agent.wallet.segments import SEGMENT_NS, SegmentStore
from tests import canary
from tests.conftest import START_NS
from tests.cut_erasure import STEPS
from tests.test_upload import Shelf

CUTS = int(os.environ.get("AMO_CUTS", "6"))
"""Kills at random instants; each is one child process and one start after it."""
VIN = "KMHAMXAG0NU004711"
FIX = PositionFixed(START_NS, 37.4, 127.1, None, None, None, None, None, None)
HOUR_NS = 3600 * SECOND


def nobody(_done: int, _total: int) -> None:
    """Watches the progress."""


def live(parts: Archive, clock: ManualClock, segments: int = 3) -> None:
    """A VIN and a position in each of some segments, ten minutes after another."""
    for _ in range(segments):
        parts.journal.write(VinRead(VIN, "obd"))
        parts.journal.write(FIX)
        clock.advance(SEGMENT_NS)
    parts.writer.flush()


def planned(parts: Archive, since_ns: int = 0, until_ns: int = HOUR_NS, level: int = 1) -> Plan:
    return parts.eraser.plan(Level(level), START_NS + since_ns, START_NS + until_ns, nobody)


def erased(parts: Archive, since_ns: int = 0, until_ns: int = HOUR_NS, level: int = 1) -> int:
    return parts.eraser.carry_out(planned(parts, since_ns, until_ns, level), "owner")


def of(parts: Archive, *kinds: str) -> list[Recorded]:
    parts.writer.flush()
    return [event for event in parts.log.read() if event.kind in kinds]


def openable(parts: Archive, kind: str) -> list[int]:
    """Which of the events of a kind open still, by their number among them."""
    found = []
    for number, event in enumerate(of(parts, kind)):
        try:
            parts.unsealer.open(event.level, event.kind, event.payload)
        except ErasedError:
            continue
        found.append(number)
    return found


def keys_of(state: Path, level: Level) -> list[bytes]:
    """Wrapped and plain bytes of every key of a level that is there."""
    owner = load_keys(state / "keys").owner
    with closing(SegmentStore(state / "keys" / "segments.db")) as store:
        found = {number: store.wrapped(number, level) for number in store.kept(level)}
    plain = [unwrap_segment(wrapped, owner, n, level) for n, wrapped in found.items()]
    return [*found.values(), *plain]


def test_what_was_erased_opens_no_more_and_everything_else_does(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock)
    assert erased(parts, SEGMENT_NS, SEGMENT_NS) == 1
    assert openable(parts, VinRead.kind) == [0, 2]
    assert openable(parts, PositionFixed.kind) == [0, 1, 2]


def test_rt_67_destroyed_keys_are_in_no_file_of_the_state_directory(tmp_path: Path) -> None:
    state, clock = tmp_path / "state", ManualClock(START_NS)
    with archive(state, clock, wait=True) as parts:
        live(parts, clock, segments=40)
    keys = keys_of(state, Level.LV1)
    kept = keys_of(state, Level.LV2)
    assert canary.traces(canary.contents(state), keys) == [str(state / "keys" / "segments.db")]

    with archive(state, clock, wait=True) as parts:
        assert erased(parts, until_ns=40 * SEGMENT_NS) == 40

    assert canary.traces(canary.contents(state), keys) == []
    assert keys_of(state, Level.LV2) == kept


def test_rt_69_not_one_byte_of_the_log_changes_and_it_verifies(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock)
    before = list(parts.log.read())

    erased(parts)

    parts.writer.flush()
    assert list(parts.log.read())[: len(before)] == before
    assert verify(parts.state / "events.db").verdict == "intact"


def test_rt_69_an_event_that_was_not_erased_can_still_be_shown_alone(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock)
    [event, *_] = of(parts, PositionFixed.kind)

    erased(parts)

    key = parts.unsealer.event_key(event.level, event.payload)
    opened = open_with_event_key(
        key, event.level, event.kind, event.payload, log_id=parts.log.log_id
    )
    assert decode(event.kind, opened) == FIX


def test_the_log_says_what_is_erased_before_it_is_and_that_it_was(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock)
    first, *_, last = of(parts, VinRead.kind)

    erased(parts)

    told = [decode(e.kind, e.payload) for e in of(parts, ErasureBegun.kind, ErasureDone.kind)]
    assert told == [ErasureBegun(1, 1, 3, first.seq, last.seq, "owner"), ErasureDone(1, 1, 3, 3)]


def test_erasing_again_finds_nothing_and_writes_nothing(parts: Archive, clock: ManualClock) -> None:
    live(parts, clock)
    erased(parts)
    head = parts.log.head()
    assert erased(parts) == 0
    parts.writer.flush()
    assert parts.log.head() == head


def test_what_is_recorded_after_an_erasure_of_the_current_segment_opens(
    parts: Archive, clock: ManualClock
) -> None:
    parts.journal.write(VinRead(VIN, "obd"))
    erased(parts)
    clock.advance(1)
    parts.journal.write(VinRead(VIN, "can0"))
    assert openable(parts, VinRead.kind) == [1]


@pytest.mark.parametrize("level", [Level.LV3, Level.LV4])
def test_levels_that_are_not_sealed_have_nothing_to_destroy(level: Level, parts: Archive) -> None:
    with pytest.raises(UsageError, match=f"Lv{level:d}"):
        planned(parts, level=level)


def test_a_time_that_ends_before_it_begins_is_refused(parts: Archive) -> None:
    with pytest.raises(UsageError, match="ends before"):
        planned(parts, 2, 1)


def test_rt_70_a_held_range_is_not_erased_until_it_is_released(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock)
    [first, *_] = of(parts, VinRead.kind)
    parts.journal.write(RangeHeld(first.seq, first.seq, "crash"))
    [hold] = of(parts, RangeHeld.kind)

    with pytest.raises(HeldError, match=f"hold {hold.seq} .crash"):
        erased(parts)
    assert openable(parts, VinRead.kind) == [0, 1, 2]
    assert of(parts, ErasureBegun.kind) == []

    assert erased(parts, SEGMENT_NS) == 2
    parts.journal.write(RangeReleased(hold.seq))
    assert erased(parts) == 1


def test_keys_of_pruned_events_go_with_the_time_around_them(tmp_path: Path) -> None:
    state, clock = tmp_path / "state", ManualClock(START_NS)
    with archive(state, clock, wait=True) as parts:  # sealed at its end: before, nothing is pruned
        for _ in range(5):
            live(parts, clock, segments=1)

    with archive(state, clock, wait=True) as parts:
        with LogReader.open(state / "events.db") as log:
            blocks = [log.block_with(event.seq) for event in of(parts, VinRead.kind)[1:3]]
            parts.log.prune({no: nodes(log, no) for no in blocks})
        [run] = planned(parts, SEGMENT_NS, SEGMENT_NS).runs
        erased(parts, SEGMENT_NS, SEGMENT_NS)

    assert (run.first_segment, run.last_segment, run.events) == (1, 4, 2)
    with closing(SegmentStore(state / "keys" / "segments.db")) as store:
        assert store.kept(Level.LV1) == [5]


def nodes(log: LogReader, no: int) -> bytes:
    """What pruning leaves of a block."""
    block = next(log.blocks(no))
    events = [event for _, event in chain.unpack(block.body or b"")]
    hashes = list(accumulate(events, chain.link, initial=block.head_before))
    return nodes_of(block.first_seq - 1, hashes[1:])


async def test_parcels_of_the_range_leave_the_outbox_and_others_stay(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock, segments=1)
    outbox = parts.state / "outbox"
    [first] = await packed(parts, Level.LV1)
    kept = {first.rename(outbox / "kept"), *await packed(parts, Level.LV2)}
    live(parts, clock, segments=1)
    (outbox / "kept").rename(first)
    unreadable = outbox / "lv1-000000000009.broken"
    unreadable.write_bytes(b"nobody knows of which events")

    plan = planned(parts, SEGMENT_NS)
    assert parts.eraser.waiting(plan) == [unreadable]
    parts.eraser.carry_out(plan, "owner")
    assert len(list(outbox.iterdir())) == len(kept)

    erased(parts)
    assert [path.name[:3] for path in outbox.iterdir()] == ["lv2"]


async def packed(parts: Archive, level: Level) -> list[Path]:
    """What lies in the outbox when the far side cannot be reached."""
    shelf = Shelf()
    shelf.away = True
    with pytest.raises(RemoteError):
        await uploader(parts, shelf).once([level])
    return sorted((parts.state / "outbox").glob("*.parcel"))


async def test_what_was_erased_is_uploaded_no_more_and_holds_nothing_up(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock)
    erased(parts, SEGMENT_NS, SEGMENT_NS)
    shelf = Shelf()

    [receipt] = await uploader(parts, shelf).once([Level.LV1])

    assert shelf.opened(parts, receipt) == [(VinRead.kind, 2)]
    erased(parts)
    assert await uploader(parts, shelf).once([Level.LV1]) == []


async def test_rt_68_parcels_that_went_out_are_named_and_their_custody_still_opens(
    parts: Archive, clock: ManualClock
) -> None:
    live(parts, clock)
    shelf = Shelf()
    [receipt] = await uploader(parts, shelf).once([Level.LV1])
    parts.journal.write(ConsentGranted(receipt.parcel_id, "BUYER", "owner", "AB"))

    plan = planned(parts)
    parts.eraser.carry_out(plan, "owner")

    [parcel] = plan.parcels
    assert (parcel.parcel_id, parcel.buyers) == (receipt.parcel_id, ("BUYER",))
    name = receipt.parcel_id
    key = unwrap(receipt.custody, parts.keys.owner, parcel_id=name, level=Level.LV1)
    assert open_parcel(decrypt(shelf.bodies[name], key)).chunks


def test_the_read_model_is_made_anew(parts: Archive, clock: ManualClock) -> None:
    live(parts, clock)
    parts.receipts()

    erased(parts)

    assert not list(parts.state.glob("readmodel.db*"))
    parts.receipts()
    with closing(view(parts.state / "readmodel.db", parts.clock)) as model:
        counted = model.execute("SELECT events FROM kind_count WHERE kind = 'erasure-done/1'")
        assert counted.fetchall() == [(1,)]


# ------------------------------------------------------------------------- power cuts

INSTANTS = random.Random(38).sample(range(150_000), CUTS)
"""Microseconds after the start of the process that erases."""
UNTOLD = ("note", "note-synced", "begun-written")
UNTOUCHED = (*UNTOLD, "second-begun-written", "first-keys")
"""Steps before which nothing was announced, and before which no key was destroyed."""


@dataclass(frozen=True)
class Killed:
    """States of which each was killed during an erasure. keys: of Lv1, by segment."""

    folder: Path
    keys: dict[int, list[bytes]]


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Killed:
    """Events of segments 1 and 3 lie in the hour that is erased, those of 2 do not."""
    base, folder = tmp_path_factory.mktemp("whole") / "state", tmp_path_factory.mktemp("killed")
    clock = ManualClock(START_NS)
    with archive(base, clock, wait=True) as parts:
        live(parts, clock, segments=1)
        clock.step(START_NS + 99 * HOUR_NS)
        live(parts, clock, segments=1)
        clock.step(START_NS + SEGMENT_NS)
        live(parts, clock, segments=1)
        parts.receipts()
    keys = keys_of(base, Level.LV1)
    for name in (*STEPS, *map(str, INSTANTS)):
        shutil.copytree(base, folder / name)
    subprocess.run([sys.executable, "-m", "tests.cut_erasure", str(folder)], check=True)
    return Killed(
        folder, dict(zip((1, 2, 3), map(list, zip(keys[:3], keys[3:], strict=True)), strict=True))
    )


@pytest.mark.parametrize("name", [*STEPS, *map(str, INSTANTS)])
def test_rt_38_a_cut_at_any_step_leaves_no_lie_and_the_next_start_completes_it(
    name: str, killed: Killed
) -> None:
    state = killed.folder / name
    whole = len(keys_of(state, Level.LV1)) == 6

    with archive(state, ManualClock(START_NS + HOUR_NS), wait=True) as parts:
        begun, done = segments_in(parts, ErasureBegun), segments_in(parts, ErasureDone)
        left = {number + 1 for number in openable(parts, VinRead.kind)}

    assert whole or begun
    assert begun == done
    assert left == {1, 2, 3} - begun
    assert not (state / "keys" / "erasing").exists()
    keys = [key for number in begun for key in killed.keys[number]]
    assert canary.traces(canary.contents(state), keys) == []
    assert verify(state / "events.db").verdict == "intact"
    if name in STEPS:
        assert (whole, not begun) == (name in UNTOUCHED, name in UNTOLD)


def segments_in(parts: Archive, kind: type[ErasureBegun | ErasureDone]) -> set[int]:
    """The segments that events of a kind speak of; each of them has one here."""
    events = [decode(event.kind, event.payload) for event in of(parts, kind.kind)]
    return {event.first_segment for event in events if isinstance(event, kind)}

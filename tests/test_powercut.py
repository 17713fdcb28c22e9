"""RT-38: the power goes at any moment of a whole archive: log, keys, segments, seals, read model.

The archive is the real one in a process of its own; strace(1) tells what it asked of the disk.
"""

import random
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.archive import Archive, archive
from agent.clock import ManualClock
from agent.errors import SealError
from agent.events import VinRead, decode
from agent.eventstore.verify import verify
from tests.archived import START_NS
from tests.eventstore.disk import Disk, Model, laid_out
from tests.eventstore.powercut import CUTS
from tests.eventstore.sealed import checked
from tests.eventstore.traced import Traced, traced

ROOT = Path(__file__).parents[1]
SHARE = 40
"""One of so many of the cuts falls to each model here."""


class Told(NamedTuple):
    """events: sequence number -> what was acknowledged under it; wrapped: the key destroyed."""

    events: dict[int, str]
    begun: bool
    wrapped: bytes | None


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Traced:
    place = tmp_path_factory.mktemp("archived")
    command = [sys.executable, "-m", "tests.archived", str(place / "recorded" / "car" / "state")]
    (place / "recorded").mkdir()
    return traced(command, place / "recorded", place)


def told(recorded: Traced, at: int) -> Told:
    """What the process had said when so many operations were done."""
    lines = [line.split() for done, line in recorded.said if done <= at]
    events = {int(line[1]): " ".join(line[2:]) for line in lines if line[0] == "event"}
    keys = [bytes.fromhex(line[1]) for line in lines if line[0] == "destroying"]
    return Told(events, bool(keys), keys[0] if ["destroyed"] in lines else None)


@pytest.mark.parametrize("model", Model)
def test_rt_38_archive_survives_a_power_cut_at_any_moment(
    model: Model, recorded: Traced, memory: Path
) -> None:
    chance = random.Random(model.value)
    disk, done = Disk(model), 0
    operations = recorded.disk.done
    assert len(recorded.said) == 8
    for at in sorted(
        chance.sample(range(len(operations) + 1), min(len(operations), CUTS // SHARE))
    ):
        for operation in operations[done:at]:
            disk.take(operation)
        done = at
        laid_out(disk.cut(chance), memory / "cut")
        try:
            survived(memory / "cut" / "car" / "state", told(recorded, at))
        except Exception as error:
            error.add_note(f"{model.value}, after operation {at} of {len(operations)}")
            raise
        shutil.rmtree(memory / "cut")


def survived(state: Path, told: Told) -> None:
    if told.wrapped is not None:
        left = b"".join(path.read_bytes() for path in state.rglob("*") if path.is_file())
        assert told.wrapped[66:] not in left, "a destroyed key is on the disk"
    with archive(state, ManualClock(START_NS), wait=True) as parts:
        opened = dict(vins(parts, told))
        assert all(opened[seq] in (text, None) for seq, text in told.events.items())
        parts.journal.write(VinRead("again", "obd"))
        parts.journal.flush()
        words = [e.payload for e in parts.log.read() if e.kind == "log-checked/1"]
        assert not [word for word in words if b"tail-lost" in word], "nothing was lost"
    assert verify(state / "events.db").verdict == "intact"
    assert checked(state).seals > 0


def vins(parts: Archive, told: Told) -> Iterator[tuple[int, str | None]]:
    """What each sealed event says; None where its key may be destroyed by now."""
    for event in parts.log.read():
        if event.kind != VinRead.kind:
            continue
        try:
            payload = parts.unsealer.open(event.level, event.kind, event.payload)
        except SealError:
            assert told.begun, f"event {event.seq} cannot be opened"
            assert event.boot == 1, f"event {event.seq} is of a segment that was not destroyed"
            yield event.seq, None
            continue
        assert told.wrapped is None or event.boot > 1, "a destroyed key opens"
        found = decode(event.kind, payload)
        assert isinstance(found, VinRead)
        yield event.seq, found.vin

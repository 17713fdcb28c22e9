"""The disk is looked at, the writer told, and each step is in the log."""

from agent.archive import Archive
from agent.events import DiskNarrowed
from agent.eventstore.ladder import Step
from agent.eventstore.reserve import Reserve
from agent.narrow import Narrowing
from tests.opened import opened


def narrowing(parts: Archive, *percents: float) -> Narrowing:
    found = iter(percents)
    return Narrowing(
        writer=parts.writer,
        journal=parts.journal,
        used=lambda: next(found),
        reserve=Reserve(parts.state),
    )


def told(parts: Archive) -> list[tuple[int, float]]:
    return [(e.step, e.percent) for e in opened(parts) if isinstance(e, DiskNarrowed)]


async def test_every_step_up_and_down_is_told_once(parts: Archive) -> None:
    percents = (50.0, 81.04, 81.0, 79.0, 96.0, 98.5, 97.0, 95.0, 40.0)
    narrow = narrowing(parts, *percents)
    steps = []
    for _ in percents:
        await narrow.once()
        steps.append(int(parts.writer.step))

    assert steps == [0, 1, 1, 1, 3, 4, 4, 3, 0]
    assert told(parts) == [(1, 81.0), (3, 96.0), (4, 98.5), (3, 95.0), (0, 40.0)]


async def test_reserve_is_made_where_there_is_room_for_it(parts: Archive) -> None:
    narrow = narrowing(parts, 99.0, 97.0, 95.0)
    reserve = parts.state / "reserve"
    await narrow.once()
    await narrow.once()
    assert parts.writer.step == Step.URGENT
    assert not reserve.exists()
    await narrow.once()
    assert reserve.exists()

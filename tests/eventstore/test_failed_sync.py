"""RT-41: a disk whose writes or syncs fail is not believed when it says that all is well again."""

import random
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import NamedTuple

import pytest

from agent.errors import StoreError
from agent.eventstore import sqlite
from agent.eventstore.reader import Seal
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from tests.eventstore.conftest import draft, fill
from tests.eventstore.disk import Disk, Forgotten, Model, laid_out
from tests.eventstore.powercut import CUTS, Recorder, recording

BLOCKS = 4


class Outcome(NamedTuple):
    """
    told:     (operations done, last sequence number) of each block that was acknowledged
    payloads: of their events, by number
    """

    disk: Recorder
    told: list[tuple[int, int]]
    payloads: dict[int, bytes]


def stubborn(root: Path, fails: range) -> Outcome:
    """A caller that goes on after every StoreError, and starts again where it has to."""
    root.mkdir()
    chance = random.Random(fails.start)
    with recording(root) as disk:
        outcome = Outcome(disk, [], {})
        disk.fails = fails
        while len(outcome.told) < BLOCKS:
            with suppress(StoreError), SqliteLog.open(root / "state", create=True) as log:
                while len(outcome.told) < BLOCKS:
                    with suppress(StoreError):
                        append(log, outcome, chance.randbytes(2500))
    return outcome


def append(log: SqliteLog, outcome: Outcome, payload: bytes) -> None:
    first = log.append([draft(payload=payload)] * 2)
    outcome.payloads.update({first: payload, first + 1: payload})
    outcome.told.append((len(outcome.disk.done), first + 1))


def cut(outcome: Outcome, at: int, place: Path) -> None:
    """What is left where the power goes after so many operations."""
    disk = Disk(Model.ORDERED)
    for operation in outcome.disk.done[:at]:
        disk.take(operation)
    laid_out(disk.cut(random.Random(at)), place)


def missing(state: Path, outcome: Outcome, seq: int) -> list[int]:
    """Which of the acknowledged events up to `seq` are not there as they were handed over."""
    with SqliteLog.open(state, create=True) as log:
        found = {recorded.seq: recorded.payload for recorded in log.read()}
    assert verify(state / "events.db").verdict == "intact"
    return [n for n, payload in outcome.payloads.items() if n <= seq and found.get(n) != payload]


@pytest.fixture(autouse=True)
def short_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_LIFE", (*sqlite._LIFE, ("wal_autocheckpoint", 12)))


def trials(memory: Path, failures: int) -> Iterator[Outcome]:
    """A run for each call of a run without failures, in which that one and the next ones fail."""
    calls = stubborn(memory / "whole", range(0)).disk.calls
    assert calls > 100
    for number in range(1, calls + 1):
        yield stubborn(memory / str(number), range(number, number + failures))


def moments(outcome: Outcome) -> Iterator[tuple[int, int]]:
    """Cuts from the last failed sync until the next two blocks are acknowledged.

    (operations done, sequence number acknowledged by then)
    """
    failed = [i for i, it in enumerate(outcome.disk.done, 1) if isinstance(it, Forgotten)]
    first = max(failed, default=0)
    later = [at for at, _ in outcome.told if at > first]
    for at in range(first, max(later[:2], default=first) + 1):
        yield at, max((seq for told, seq in outcome.told if told <= at), default=0)


def losses(memory: Path, outcome: Outcome, cuts: Iterable[tuple[int, int]]) -> int:
    """At how many of these cuts something acknowledged was lost."""
    lost = 0
    for at, seq in cuts:
        place = memory / "cut" / str(at)
        cut(outcome, at, place)
        try:
            lost += missing(place / "state", outcome, seq) != []
        except StoreError:
            lost += 1
    shutil.rmtree(memory / "cut")
    return lost


@pytest.mark.parametrize("failures", [1, 2])
def test_rt_41_failed_writes_and_syncs_and_then_a_power_cut_lose_nothing_acknowledged(
    failures: int, memory: Path
) -> None:
    for number, outcome in enumerate(trials(memory, failures), 1):
        assert missing(memory / str(number) / "state", outcome, outcome.told[-1][1]) == []
        cuts = list(moments(outcome))
        chosen = random.Random(number).sample(cuts, min(len(cuts), max(1, CUTS // 1000)))
        assert losses(memory, outcome, chosen) == 0, f"after failures from call {number} on"


def test_a_log_that_believed_the_memory_of_the_kernel_would_lose_what_it_acknowledged(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "_forget", lambda _: None)
    assert any(
        losses(memory, outcome, moments(outcome))
        for outcome in trials(memory, 2)
        if sum(isinstance(done, Forgotten) for done in outcome.disk.done) == 2
    )


def sealed(log: SqliteLog) -> None:
    log.seal(Seal(1, bytes(200), bytes(64), bytes(64)), [])


def pruned(log: SqliteLog) -> None:
    log.prune({1: bytes(64), 2: bytes(64)})


@pytest.mark.parametrize("act", [sealed, pruned])
def test_a_failed_write_or_sync_in_a_seal_or_a_pruning_is_told_and_the_log_goes_on(
    act: Callable[[SqliteLog], None], memory: Path
) -> None:
    calls = 1
    for number in range(60):
        root = memory / str(number)
        root.mkdir()
        with recording(root) as disk, SqliteLog.open(root / "state", create=True) as log:
            fill(log, 2, 3, 2, 2)
            before = disk.calls
            disk.fails = range(before + number, before + number + 1)  # none in the first round
            with nullcontext() if number == 0 else pytest.raises(StoreError):
                act(log)
            calls = disk.calls - before if number == 0 else calls
            assert log.append([draft()]) == 10
        if number == calls:
            break
    assert number == calls > 4


def test_head_is_read_again_from_disk_after_a_failed_sync(memory: Path) -> None:
    with recording(memory) as disk, SqliteLog.open(memory / "state", create=True) as log:
        fill(log, 3)
        head = log.head()
        disk.fails = range(disk.calls + 1, disk.calls + 2)
        with pytest.raises(StoreError, match="1 events not written"):
            log.append([draft()])
        assert log.head() == head
        assert log._connection is None
        assert log.append([draft()]) == 4
    assert verify(memory / "state" / "events.db").events == 4

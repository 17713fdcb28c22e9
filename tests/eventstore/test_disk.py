"""The disk whose power is cut owes what it should, takes what it may, and is told everything."""

import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.eventstore import sqlite
from tests.eventstore import scripted
from tests.eventstore.disk import (
    DIRECTORY,
    SECTOR,
    DirectorySynced,
    Disk,
    Forgotten,
    Model,
    Named,
    Operation,
    Resized,
    Synced,
    Written,
)
from tests.eventstore.noted import Noted
from tests.eventstore.powercut import recording
from tests.eventstore.traced import traced

MADE = (Named((("file", 1),)), DirectorySynced(""), Written(1, 0, b"old" * SECTOR), Synced(1))
OLD = b"old" * SECTOR


def outcomes(model: Model, *operations: Operation) -> Counter[tuple[tuple[str, bytes], ...]]:
    """What 200 cuts left, and how often."""
    disk = Disk(model)
    for operation in operations:
        disk.take(operation)
    chance = random.Random(1)
    return Counter(tuple(sorted(disk.cut(chance).items())) for _ in range(200))


@pytest.mark.parametrize("model", Model)
def test_what_was_synced_is_there(model: Model) -> None:
    assert outcomes(model, *MADE) == {(("file", OLD),): 200}


@pytest.mark.parametrize("model", Model)
def test_what_was_not_synced_is_kept_lost_or_torn_sector_by_sector(model: Model) -> None:
    found = {dict(left)["file"] for left in outcomes(model, *MADE, Written(1, 0, bytes(1024)))}
    assert all(content[1024:] == OLD[1024:] for content in found)
    sectors = {content[at : at + SECTOR] for content in found for at in (0, SECTOR)}
    assert {bytes(SECTOR), OLD[:SECTOR], OLD[SECTOR : 2 * SECTOR]} < sectors
    assert len(found) > 4


@pytest.mark.parametrize("model", Model)
def test_a_torn_sector_takes_what_was_safe_in_it(model: Model) -> None:
    found = {dict(left)["file"] for left in outcomes(model, *MADE, Written(1, 500, bytes(4)))}
    assert any(content[:400] != OLD[:400] for content in found)


@pytest.mark.parametrize("model", Model)
def test_a_sync_after_one_that_failed_brings_nothing_back(model: Model) -> None:
    lost = outcomes(model, *MADE, Written(1, 0, bytes(SECTOR)), Forgotten(1), Synced(1))
    assert lost == {(("file", OLD),): 200}


def test_names_hold_in_their_order_where_the_file_system_keeps_it() -> None:
    renamed = (Named((("file", None), ("new", 1))), Named((("other", 2),)))
    left = {tuple(name for name, _ in names) for names in outcomes(Model.ORDERED, *MADE, *renamed)}
    assert left == {("file",), ("new",), ("new", "other")}
    left = {tuple(name for name, _ in names) for names in outcomes(Model.STRICT, *MADE, *renamed)}
    assert left == {("file",), ("new",), ("new", "other"), ("file", "other")}


def test_a_sync_of_a_file_keeps_its_name_only_where_the_order_is_kept() -> None:
    new = (Named((("new", 1),)), Written(1, 0, b"x"), Synced(1))
    assert outcomes(Model.ORDERED, *new) == {(("new", b"x"),): 200}
    assert set(outcomes(Model.STRICT, *new)) == {(), (("new", b"x"),)}
    assert outcomes(Model.STRICT, *new, DirectorySynced("")) == {(("new", b"x"),): 200}


def test_a_size_holds_after_a_sync_of_its_file() -> None:
    for model in Model:
        sizes = {len(left[0][1]) for left in outcomes(model, *MADE, Resized(1, 3))}
        assert sizes == {3, len(OLD)}
        assert {len(left[0][1]) for left in outcomes(model, *MADE, Resized(1, 3), Synced(1))} == {3}


def test_a_file_is_lost_with_a_directory_above_it() -> None:
    inside = (Named((("a", DIRECTORY),)), Named((("a/file", 1),)), DirectorySynced("a"))
    assert set(outcomes(Model.STRICT, *inside)) == {(), (("a/file", b""),)}


def test_the_recorder_is_told_what_the_kernel_is_told(
    memory: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The same life, once through the VFS and once under strace: call by call the same."""
    (memory / "traced").mkdir()
    (memory / "recorded").mkdir()
    command = [sys.executable, "-m", "tests.eventstore.scripted", str(memory / "traced" / "state")]
    seen = traced(command, memory / "traced", memory)
    monkeypatch.setattr(sqlite, "_LIFE", (*sqlite._LIFE, scripted.CHECKPOINT))
    with recording(memory / "recorded") as recorder:
        scripted.main(memory / "recorded" / "state")
    assert capsys.readouterr().out.splitlines() == [line for _, line in seen.said]
    assert list(plain(recorder)) == list(plain(seen.disk))


def plain(noted: Noted) -> Iterator[tuple[Any, ...]]:
    """Operations without their bytes; the index in shared memory is nothing to keep."""
    names: dict[int, str] = {}
    for operation in noted.done:
        match operation:
            case Named(changes):
                names |= {file: name for name, file in changes if file is not None}
                told: tuple[Any, ...] = ("names", *(name for name, _ in changes))
            case Written(file, offset, data):
                told = ("write", names[file], offset, len(data))
            case Resized(file, size):
                told = ("size", names[file], size)
            case Synced(file):
                told = ("sync", names[file])
            case Forgotten(file):
                told = ("forgotten", names[file])
            case DirectorySynced(name):
                told = ("sync", name)
        if not str(told[1]).endswith("-shm"):
            yield told

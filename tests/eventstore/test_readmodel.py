import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import StoreError
from agent.events import DtcSet, InputLost
from agent.eventstore.log import Draft
from agent.eventstore.projection import Projection
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.sqlite import SqliteLog
from tests.eventstore.modelled import contents, drafts, folded, rows, sampled, stored, values

EXAMPLES = int(os.environ.get("AMO_FOLDS", "15"))
NODES = bytes(64)
"""Any, since a reader does not look at them."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "readmodel.db"


def follow(model: ReadModel, log: SqliteLog, stops: list[int]) -> None:
    """Catches up in parts, each to one of the stops at most, and at last to the end."""
    for stop in sorted(stops):
        model.catch_up(log, through=stop)
    model.catch_up(log)


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.lists(st.lists(drafts(), min_size=1, max_size=6), min_size=1, max_size=5),
    st.lists(st.integers(0, 30), max_size=4),
)
def test_model_that_followed_equals_one_that_was_rebuilt(
    tmp_path_factory: pytest.TempPathFactory, blocks: list[list[Draft]], stops: list[int]
) -> None:
    place = tmp_path_factory.mktemp("models")
    with (
        SqliteLog.open(place / "state", create=True) as log,
        ReadModel.open(place / "followed.db") as followed,
        ReadModel.in_memory() as in_parts,
        ReadModel.in_memory() as rebuilt,
    ):
        for block in blocks:
            log.append(block)
            assert followed.catch_up(log) == len(block)
        follow(in_parts, log, stops)
        assert rebuilt.catch_up(log) == sum(map(len, blocks))
        assert contents(followed) == contents(rebuilt) == contents(in_parts)
        assert followed.through == sum(map(len, blocks))


def test_two_that_follow_at_once_fold_each_event_in_once(
    log: SqliteLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.eventstore.readmodel._BATCH", 2)
    log.append([stored(DtcSet(f"P{number:04}", "7E8")) for number in range(9)])

    def overtake(reached: int, _last: int) -> None:
        if reached == 2:
            with ReadModel.open(path) as other:
                other.catch_up(log)

    with ReadModel.open(path) as model, ReadModel.in_memory() as alone:
        assert model.catch_up(log, progress=overtake) == 2
        alone.catch_up(log)
        assert contents(model) == contents(alone)
        assert values(model, "kind_count", "events") == [(9,)]


def test_batch_that_failed_is_folded_in_once_when_tried_again(
    log: SqliteLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = Projection.fold

    def full(projection: Projection, batch: list[object]) -> None:
        fold(projection, batch)  # type: ignore[arg-type]  # what it was given
        raise sqlite3.OperationalError("database or disk is full")

    log.append([stored(InputLost("frames", 1, "x"))] * 3)
    with ReadModel.open(path) as model:
        with monkeypatch.context() as patch:
            patch.setattr(Projection, "fold", full)
            with pytest.raises(StoreError, match="full"):
                model.catch_up(log)
        assert (model.through, rows(model, "loss")) == (0, [])
        assert model.catch_up(log) == 3
        assert values(model, "loss_total", "count") == [(3,)]


FOLLOWER = """
import os, signal, sys
from pathlib import Path
from agent.eventstore import readmodel
from agent.eventstore.reader import LogReader

readmodel._BATCH = 10
move = readmodel.ReadModel._move
def killed(model, seq, log_id):
    if seq > 25:
        os.kill(os.getpid(), signal.SIGKILL)
    move(model, seq, log_id)
readmodel.ReadModel._move = killed
with LogReader.open(Path(sys.argv[1])) as log, readmodel.ReadModel.open(Path(sys.argv[2])) as model:
    model.catch_up(log)
"""


def test_rt_51_kill_between_a_batch_and_its_cursor_costs_nothing(state: Path, path: Path) -> None:
    with SqliteLog.open(state, create=True) as log:
        log.append([stored(InputLost("frames", 1, "x"), t) for t in range(45)])
        command = [sys.executable, "-c", FOLLOWER, str(state / "events.db"), str(path)]
        assert subprocess.run(command, check=False).returncode == -9
        with ReadModel.open(path) as model, ReadModel.in_memory() as rebuilt:
            assert (model.through, values(model, "loss_total", "count")) == (20, [(20,)])
            assert (model.catch_up(log), rebuilt.catch_up(log)) == (25, 45)
            assert contents(model) == contents(rebuilt)


def test_model_goes_on_from_its_cursor(log: SqliteLog, path: Path) -> None:
    folded(log, path, sampled(0)).close()
    log.append([sampled(1), sampled(2)])
    with ReadModel.open(path) as model:
        assert model.catch_up(log) == 2
        assert model.catch_up(log) == 0


def test_model_goes_as_far_as_it_is_told_and_says_how_far_it_is(log: SqliteLog) -> None:
    seen: list[tuple[int, int]] = []
    log.append([sampled(t) for t in range(2_500)])
    with ReadModel.in_memory() as model:
        model.catch_up(log, through=2_300, progress=lambda *at: seen.append(at))
        assert (model.through, seen) == (2_300, [(2_000, 2_300), (2_300, 2_300)])


def test_model_of_another_log_begins_again(log: SqliteLog, path: Path, tmp_path: Path) -> None:
    folded(log, path, sampled(0), sampled(1)).close()
    with SqliteLog.open(tmp_path / "other", create=True) as other:
        other.append([stored(InputLost("frames", 1, "x"))] * 3)
        with ReadModel.open(path) as model:
            assert model.catch_up(other) == 3
            assert [row["kind"] for row in rows(model, "kind_count")] == ["input-lost/1"]


def test_what_was_folded_in_before_its_body_was_pruned_stays(log: SqliteLog, path: Path) -> None:
    with folded(log, path, stored(DtcSet("P0301", "7E8"))) as model:
        log.append([sampled(0)])
        log.prune({1: NODES})
        model.catch_up(log)
        assert values(model, "dtc_open", "code") == [("P0301",)]
        assert rows(model, "unseen") == []


def test_model_built_after_a_pruning_says_what_it_never_saw(log: SqliteLog) -> None:
    for size in (1, 3, 2, 4, 1):
        log.append([sampled(0, gear=([0], [2.0]))] * size)
    log.prune({2: NODES, 3: NODES, 4: NODES})
    with ReadModel.in_memory() as model:
        assert model.catch_up(log) == 2
        assert values(model, "unseen", "first_seq", "last_seq") == [(2, 10)]
        assert values(model, "kind_count", "events", "first_seq", "last_seq") == [(2, 1, 11)]


def test_model_that_stops_within_what_was_pruned_has_not_seen_it(log: SqliteLog) -> None:
    for size in (1, 3, 2):
        log.append([sampled(0)] * size)
    log.prune({2: NODES})
    with ReadModel.in_memory() as model:
        model.catch_up(log, through=3)
        assert (model.through, values(model, "unseen", "first_seq", "last_seq")) == (3, [(2, 3)])
        model.catch_up(log)
        assert values(model, "unseen", "first_seq", "last_seq") == [(2, 3), (4, 4)]

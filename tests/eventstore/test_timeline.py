from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.events import DtcSet
from agent.eventstore.log import Recorded
from agent.eventstore.modelschema import STRETCH
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.timeline import between, ranges
from tests.eventstore.modelled import sampled, stored


@pytest.fixture
def model() -> Iterator[ReadModel]:
    with ReadModel.in_memory() as opened:
        yield opened


class Counting:
    """A log that counts what is read of it."""

    def __init__(self, log: SqliteLog) -> None:
        self.log_id = log.log_id
        self.head = log.head
        self.events = 0
        self._log = log

    def read(self, after: int = 0, through: int | None = None) -> Iterator[Recorded]:
        for recorded in self._log.read(after, through):
            self.events += 1
            yield recorded


def test_time_range_is_found_without_reading_the_rest(log: SqliteLog, model: ReadModel) -> None:
    for first in range(0, 20 * STRETCH, 100):
        log.append([sampled(t) for t in range(first, first + 100)])
    model.catch_up(log)
    counting = Counting(log)
    found = [event.t_ns for event in between(model.db, counting, 1_000, 1_999)]
    assert found == list(range(1_000, 2_000))
    assert counting.events < 1_000 + 2 * STRETCH


def test_a_rare_kind_is_found_without_reading_the_rest(log: SqliteLog, model: ReadModel) -> None:
    rare = {300, 1_700, 20 * STRETCH - 1}
    for t in range(20 * STRETCH):
        if t % 100 == 0:
            ticks = range(t, min(t + 100, 20 * STRETCH))
            log.append(
                [stored(DtcSet("P0301", "7E8"), n) if n in rare else sampled(n) for n in ticks]
            )
    model.catch_up(log)
    counting = Counting(log)
    found = [event.t_ns for event in between(model.db, counting, 0, 10**9, "dtc")]
    assert found == sorted(rare)
    assert counting.events <= len(rare) * STRETCH


def test_parts_of_the_log_that_touch_are_one(log: SqliteLog, model: ReadModel) -> None:
    log.append([sampled(t) for t in range(4 * STRETCH)])
    model.catch_up(log)
    assert ranges(model.db, 0, 2 * STRETCH - 1) == [(1, 2 * STRETCH)]
    assert ranges(model.db, 4 * STRETCH, 9 * STRETCH) == []


@settings(max_examples=12, deadline=None)
@given(
    st.lists(st.lists(st.integers(-20, 20), min_size=1, max_size=300), min_size=1, max_size=4),
    st.integers(0, 1_200),
    st.tuples(st.integers(-21, 21), st.integers(-21, 21)),
)
def test_events_of_a_time_are_those_of_a_scan_though_the_clock_steps_and_the_model_lags(
    tmp_path_factory: pytest.TempPathFactory,
    blocks: list[list[int]],
    folded_in: int,
    time: tuple[int, int],
) -> None:
    with (
        SqliteLog.open(tmp_path_factory.mktemp("log") / "state", create=True) as log,
        ReadModel.in_memory() as model,
    ):
        for block in blocks:
            log.append([sampled(t) for t in block])
        model.catch_up(log, through=folded_in)
        expected = [event for event in log.read() if time[0] <= event.t_ns <= time[1]]
        assert list(between(model.db, log, *time)) == expected


def test_model_that_follows_nothing_yet_leaves_the_whole_log_to_be_looked_through(
    log: SqliteLog, model: ReadModel
) -> None:
    log.append([sampled(t) for t in range(9)])
    assert [event.seq for event in between(model.db, log, 3, 4)] == [4, 5]

"""Parquet: the stated schema, every row, and groups of rows that fit into memory."""

import io

import pyarrow as pa
import pytest
from pyarrow import parquet as pq

from agent.events import AgentStopped, DtcSet
from agent.export import parquet
from agent.export.rows import Row, rows
from agent.export.seen import Seen
from tests.export.made import made, sampled


def written(*events: Seen) -> pq.ParquetFile:
    out = io.BytesIO()
    parquet.write(events, out)
    return pq.ParquetFile(pa.BufferReader(out.getvalue()))


def test_the_schema_is_the_one_of_the_page() -> None:
    found = {field.name: (str(field.type), field.nullable) for field in written().schema_arrow}
    word = "dictionary<values=string, indices=int32, ordered=0>"
    assert found == {
        "seq": ("int64", False),
        "t_ns": ("int64", False),
        "boot": ("int64", False),
        "kind": (word, False),
        "level": ("int8", False),
        "origin": (word, True),
        "name": (word, True),
        "value": ("double", True),
        "unit": (word, True),
        "fields": ("string", True),
    }
    assert tuple(found) == Row._fields


def test_every_row_comes_back_with_every_value() -> None:
    events = [
        sampled("can0", speed_vehicle=([0, 9], [0.1, float("-inf")]), can_X_y=([1], [-0.0])),
        made(DtcSet("P0301", "7E8"), seq=2),
        sampled("obd", gear=([0], [5e-324])),
    ]
    found = [tuple(row.values()) for row in written(*events).read().to_pylist()]
    assert found == [tuple(row) for event in events for row in rows(event)]


def test_no_number_is_no_number_and_not_nothing() -> None:
    column = written(sampled("can0", gear=([0], [float("nan")]))).read()["value"]
    assert column.null_count == 0
    assert str(column[0].as_py()) == "nan"


def test_an_empty_log_is_an_empty_table() -> None:
    assert written().read().num_rows == 0


def test_rows_are_written_in_groups_of_at_most_65536() -> None:
    events = [sampled("can0", gear=(list(range(50_000)), [1.0] * 50_000)) for _ in range(3)]
    meta = written(*events).metadata
    groups = [meta.row_group(n).num_rows for n in range(meta.num_row_groups)]
    assert groups == [65_536, 65_536, 150_000 - 2 * 65_536]


def test_long_fields_make_a_group_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "GROUP_CHARACTERS", 10_000)
    meta = written(*(made(AgentStopped("x" * 6_000)) for _ in range(5))).metadata
    groups = [meta.row_group(n).num_rows for n in range(meta.num_row_groups)]
    assert groups == [2, 2, 1]

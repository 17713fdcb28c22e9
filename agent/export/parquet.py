"""The rows as a Parquet file, one row group at a time."""

from collections.abc import Iterable, Iterator
from typing import BinaryIO, Final

import pyarrow as pa
from pyarrow.parquet import ParquetWriter

from agent.export.rows import Row, rows
from agent.export.seen import Seen

GROUP_ROWS: Final = 65_536
GROUP_CHARACTERS: Final = 1 << 23
"""Of the JSON in a row group. With either number reached it is written: memory stays bounded."""

_WORD: Final = pa.dictionary(pa.int32(), pa.string())
SCHEMA: Final = pa.schema(
    [
        pa.field("seq", pa.int64(), nullable=False),
        pa.field("t_ns", pa.int64(), nullable=False),
        pa.field("boot", pa.int64(), nullable=False),
        pa.field("kind", _WORD, nullable=False),
        pa.field("level", pa.int8(), nullable=False),
        pa.field("origin", _WORD),
        pa.field("name", _WORD),
        pa.field("value", pa.float64()),
        pa.field("unit", _WORD),
        pa.field("fields", pa.string()),
    ]
)
"""The columns of Row, in its order."""


def write(events: Iterable[Seen], out: BinaryIO) -> None:
    with ParquetWriter(out, SCHEMA, compression="zstd") as table:
        for group in _groups(events):
            columns = zip(zip(*group, strict=True), SCHEMA, strict=True)
            arrays = [pa.array(column, field.type) for column, field in columns]
            table.write_batch(pa.record_batch(arrays, schema=SCHEMA), row_group_size=GROUP_ROWS)


def _groups(events: Iterable[Seen]) -> Iterator[list[Row]]:
    """Every row, in lists that a row group holds."""
    group: list[Row] = []
    characters = 0
    for event in events:
        for row in rows(event):
            group.append(row)
            characters += len(row.fields or "")
            if len(group) == GROUP_ROWS or characters > GROUP_CHARACTERS:
                yield group
                group, characters = [], 0
    if group:
        yield group

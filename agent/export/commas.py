"""The rows as CSV (RFC 4180), UTF-8; no cell is a formula to a spreadsheet."""

import codecs
import csv
from collections.abc import Iterable
from functools import lru_cache
from typing import BinaryIO, Final

from agent.bsm.cells import escaped
from agent.export.rows import Row, rows
from agent.export.seen import Seen, instant

HEADER: Final = ("seq", "time", *Row._fields[2:])

_REMEMBERED: Final = 4096
"""Names that are looked at once."""


def write(events: Iterable[Seen], out: BinaryIO) -> None:
    table = csv.writer(codecs.getwriter("utf-8")(out))
    table.writerow(HEADER)
    for event in events:
        table.writerows(map(_cells, rows(event)))


def _cells(row: Row) -> tuple[object, ...]:
    seq, t_ns, boot, kind, level, origin, name, value, unit, fields = row
    number = "" if value is None else escaped(repr(value))
    words = _safe(kind), level, _safe(origin), _safe(name), number, unit
    return seq, instant(t_ns), boot, *words, fields


@lru_cache(_REMEMBERED)
def _safe(text: str | None) -> str | None:
    return None if text is None else escaped(text)

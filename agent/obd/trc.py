"""PEAK TRC, versions 1.0 to 2.1: comment lines with a semicolon, then one numbered event a line.

     1)     17535.400 1  Tx    00000100 -  8    00 00 00 00 00 00 00 00      (1.3)
      1     17535.400 DT 00000100 Tx 8  00 00 00 00 00 00 00 00              (2.0)

The columns of 1.x follow from the version; 2.x names them in $COLUMNS.
"""

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from agent.errors import MalformedInputError
from agent.obd.dates import clock_ns, date_ns, ole_date
from agent.obd.frame import CanFrame
from agent.obd.lines import Aside, fd_length, take_bytes, unfit

_BASE_ID_DIGITS = 4  # PEAK writes base ids with four digits, extended ones with eight

_COLUMNS: Final = {
    "1.0": "N,O,I,L,D",
    "1.1": "N,O,d,I,L,D",
    "1.2": "N,O,B,d,I,L,D",
    "1.3": "N,O,B,d,I,R,L,D",
    "2.0": "N,O,T,I,d,l,D",
    "2.1": "N,O,T,B,I,d,R,L,D",
}
_DATA_TYPES: Final = {"DT": False, "FD": True, "FB": True, "FE": True, "BI": True}
"""Message types that carry data, and whether they are FD."""
_DIRECTIONS: Final = {"Rx", "Tx"}


class Trc:
    """Offsets are milliseconds from the start time, which $STARTTIME or a comment line names."""

    name: ClassVar[str] = "PEAK TRC"
    _version = re.compile(r";\$FILEVERSION=(\d\.\d)\s*", re.ASCII)
    _start_time = re.compile(r";\$STARTTIME=(\d{1,6}(?:\.\d+)?)\s*", re.ASCII)
    _columns_line = re.compile(r";\$COLUMNS=([A-Za-z,]+)\s*", re.ASCII)
    _start_text = re.compile(
        r";\s+Start time:\s*(\d{1,2})\.(\d{1,2})\.(\d{4})\s+(\d{1,2}):(\d\d):(\d\d)([.\d]*)\s*",
        re.ASCII,
    )
    _old_line = re.compile(r"\s*\d+\)\s+[\d.]+\s.*", re.ASCII | re.DOTALL)
    _offset = re.compile(r"(\d{1,13})(?:\.(\d{1,6}))?", re.ASCII)

    def __init__(self) -> None:
        self.dated = False
        self._start_ns = 0
        self._set_columns(_COLUMNS["1.0"])

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        if any(cls._version.fullmatch(line) for line in head):
            return True
        comments = any(line.startswith(";") for line in head)
        return comments and any(cls._old_line.fullmatch(line) for line in head)

    def _set_columns(self, names: str) -> None:
        columns = names.split(",")
        if not {"O", "I", "D"} <= set(columns) or not {"l", "L"} & set(columns):
            raise MalformedInputError(f"columns {names} lack offset, id, length or data")
        self._columns = columns[: columns.index("D")]

    def parse(self, line: str) -> CanFrame | Aside:
        if line.startswith(";"):
            self._read_comment(line)
            return Aside.NOTE
        cells = line.split()
        if not cells:
            return unfit(line)
        row = dict(zip(self._columns, cells, strict=False))
        if self._carries_no_data(row, cells):
            return Aside.REMOTE if row.get("T") == "RR" or "RTR" in cells else Aside.ERROR
        if len(cells) < len(self._columns):
            raise MalformedInputError(f"{len(cells)} columns where {len(self._columns)} belong")
        return self._frame(row, cells[len(self._columns) :])

    def _read_comment(self, line: str) -> None:
        if version := self._version.fullmatch(line):
            if version[1] not in _COLUMNS:
                raise MalformedInputError(f"version {version[1]} is none of {', '.join(_COLUMNS)}")
            self._set_columns(_COLUMNS[version[1]])
        elif columns := self._columns_line.fullmatch(line):
            self._set_columns(columns[1])
        elif start := self._start_time.fullmatch(line):
            self._start_ns, self.dated = ole_date(start[1]), True
        elif not self.dated and (start := self._start_text.fullmatch(line)):
            day, month, year, hours, minutes, seconds, rest = start.groups()
            of_day = clock_ns(hours, minutes, seconds, rest.replace(".", "")[:9] or None)
            self._start_ns, self.dated = date_ns(int(year), int(month), int(day), of_day), True

    @staticmethod
    def _carries_no_data(row: dict[str, str], cells: list[str]) -> bool:
        kind = row.get("T")
        if kind is not None and kind.isalpha() and kind.isupper():
            return kind not in _DATA_TYPES
        if "T" not in row and row.get("d", "Rx") not in _DIRECTIONS and row["d"].isalpha():
            return True  # 1.x: "Warng", "Error"
        return row.get("I") == "FFFFFFFF" or "RTR" in cells

    def _frame(self, row: dict[str, str], cells: list[str]) -> CanFrame:
        offset = self._offset.fullmatch(row["O"])
        if offset is None:
            raise MalformedInputError("the time offset is no number")
        nanos = (offset[2] or "").ljust(6, "0")  # digits of a millisecond
        t_ns = self._start_ns + int(offset[1]) * 10**6 + int(nanos)
        fd = _DATA_TYPES.get(row.get("T", "DT"), False)
        length = int(row["L"]) if "L" in row else int(row["l"])
        if fd and "L" not in row:
            length = fd_length(length)
        channel = row.get("B", "1")
        data = take_bytes(cells, length)
        extended = len(row["I"]) > _BASE_ID_DIGITS
        return CanFrame(int(row["I"], 16), data, t_ns, f"can{channel}", extended, fd)

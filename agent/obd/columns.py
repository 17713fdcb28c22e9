"""Text logs in columns: GVRET CSV (SavvyCAN), Microchip CAN Bus Analyzer, CarBusAnalyzer.

The same rules as in `lines`: one frame a line, a bad line costs itself, data stay out of errors.
"""

import re
from collections.abc import Sequence
from typing import ClassVar, Final

from agent.errors import MalformedInputError
from agent.obd.frame import BASE_ID_MAX, FD_LENGTHS, CanFrame
from agent.obd.lines import (
    BASE_ID_DIGITS,
    DATED_SINCE_NS,
    Aside,
    matches,
    ns,
    take_bytes,
    unfit,
)

_GVRET_HEADER: Final = ("Time Stamp", "ID", "Extended", "Bus", "LEN", "D1")


class Gvret:
    """`1953613500,00000109,false,0,8,00,01,...`; microseconds; a `Dir` column may stand in between.

    Data columns beyond LEN are filled up with zeros by some writers and are not data.
    """

    name: ClassVar[str] = "GVRET CSV"
    _line = re.compile(r"\d{1,16},[0-9A-Fa-f]{1,8},(?:true|false|[01]),.*", re.ASCII | re.DOTALL)

    def __init__(self) -> None:
        self.dated = False
        self._columns: tuple[str, ...] = _GVRET_HEADER

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        return head[0].startswith("Time Stamp,ID,") or matches(cls._line, head)

    def parse(self, line: str) -> CanFrame | Aside:
        if line.startswith("Time Stamp,"):
            self._columns = tuple(line.strip().split(","))
            return Aside.NOTE
        if self._line.fullmatch(line) is None:
            return unfit(line)
        cells = line.strip().split(",")
        row = dict(zip(self._columns, cells, strict=False))
        length = int(row["LEN"])
        data = take_bytes(cells[self._columns.index("D1") :], length)
        t_ns = int(row["Time Stamp"]) * 1_000
        self.dated = t_ns > DATED_SINCE_NS
        extended = row["Extended"].lower() in {"true", "1"}
        fd = length > FD_LENGTHS[8]
        return CanFrame(int(row["ID"], 16), data, t_ns, f"can{int(row['Bus'])}", extended, fd)


class Microchip:
    """`166064;RX;0x0000021A;8;0xFE;0x36;...`; milliseconds since the tool was started."""

    name: ClassVar[str] = "Microchip CAN Bus Analyzer"
    _line = re.compile(
        r"(\d{1,13});[RT]X;0x([0-9A-Fa-f]{1,8});(\d);((?:0x[0-9A-Fa-f]{1,2};)*)\s*", re.ASCII
    )
    _note = re.compile(
        r"//.*|Microchip Technology Inc\.|CAN BUS Analyzer|.* Exporter"
        r"|Logging (?:Started|Stopped).*",
        re.ASCII,
    )

    def __init__(self) -> None:
        self.dated = False

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        return matches(cls._line, head)

    def parse(self, line: str) -> CanFrame | Aside:
        match = self._line.fullmatch(line)
        if match is None:
            return Aside.NOTE if self._note.fullmatch(line.strip()) else unfit(line)
        millis, digits, length, cells = match.groups()
        can_id = int(digits, 16)
        data = take_bytes(cells.split(";")[:-1], int(length))
        return CanFrame(can_id, data, int(millis) * 1_000_000, "can0", can_id > BASE_ID_MAX)


class CarBus:
    """`46,016 <tab> 1 <tab> 0004 <tab> 45A <tab> 8 <tab> 5A 04 ...`; seconds with a comma.

    The first line is `@ TEXT @ ... @`; lines end in a carriage return alone.
    """

    name: ClassVar[str] = "CarBusAnalyzer"
    _line = re.compile(
        r"(\d{1,10}),(\d{1,9})\t(\d{1,3})\t[0-9A-Fa-f]{4}\t([0-9A-Fa-f]{1,8})\t(\d)\t"
        r"([^\t]*)(?:\t.*)?",
        re.ASCII | re.DOTALL,
    )

    def __init__(self) -> None:
        self.dated = False

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        return head[0].startswith("@ TEXT @") or matches(cls._line, head)

    def parse(self, line: str) -> CanFrame | Aside:
        match = self._line.fullmatch(line)
        if match is None:
            return Aside.NOTE if line.startswith("@ ") else unfit(line)
        seconds, fraction, channel, digits, length, rest = match.groups()
        if int(length) > FD_LENGTHS[8]:
            raise MalformedInputError(f"length {length} is above 8")
        data = take_bytes(rest.split(), int(length))
        extended = len(digits) > BASE_ID_DIGITS
        return CanFrame(int(digits, 16), data, ns(seconds, fraction), f"can{channel}", extended)

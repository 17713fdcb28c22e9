"""BUSMASTER log: a header between asterisks, then `22:20:14:992 Rx 0 0000021A s 8 FE 36 12 ...`."""

import re
from collections.abc import Sequence
from typing import ClassVar

from agent.errors import MalformedInputError
from agent.obd.dates import DAY_NS, clock_ns, date_ns
from agent.obd.frame import CLASSIC_BYTES_MAX, CanFrame
from agent.obd.lines import Aside, take_bytes, unfit

_HALF_DAY_NS = DAY_NS // 2
_MS_DIGITS = 3


class BusMaster:
    """The mode line says what the times mean.

    SYSTEM MODE: the time of day (a step back by half a day or more is midnight);
    ABSOLUTE MODE: since the start of the session; RELATIVE MODE: since the line before.
    """

    name: ClassVar[str] = "BUSMASTER"
    _line = re.compile(
        r"(\d{1,4}):(\d\d):(\d\d):(\d{1,6})\s+(?:Rx|Tx|R|T)\s+(\d{1,3})\s+(?:0x)?([0-9A-Fa-f]+)\s+"
        r"(s|x|sr|xr|S|X|SR|XR)\s+(\d{1,2})\b(.*)",
        re.ASCII | re.DOTALL,
    )
    _start = re.compile(
        r"\*\*\*START DATE AND TIME (\d{1,2}):(\d{1,2}):(\d{4}) (\d{1,2}):(\d\d):(\d\d):(\d{1,6})"
        r"(?:\*\*\*)?\s*",
        re.ASCII,
    )
    _error = re.compile(r"(?:\d{1,4}:\d\d:\d\d:\d{1,6}\s.*)?\bERR\w*\b.*", re.ASCII | re.DOTALL)

    def __init__(self) -> None:
        self.dated = False
        self._base = 16
        self._mode = "SYSTEM"
        self._start_ns = 0
        self._day_ns = 0
        self._last_ns = 0

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        return any(line.startswith("***BUSMASTER") or cls._line.fullmatch(line) for line in head)

    def parse(self, line: str) -> CanFrame | Aside:
        if line.startswith("***"):
            self._read_header(line)
            return Aside.NOTE
        match = self._line.fullmatch(line)
        if match is None:
            return Aside.ERROR if self._error.fullmatch(line) else unfit(line)
        *clock, channel, digits, kind, length, rest = match.groups()
        t_ns = self._time(_clock_ns(*clock))
        if kind.lower().endswith("r"):
            return Aside.REMOTE
        if len(digits) > len("4294967295"):
            raise MalformedInputError("the CAN id has too many digits")
        data = take_bytes(rest.split(), int(length), self._base)
        can_id = int(digits, self._base)
        fd = int(length) > CLASSIC_BYTES_MAX
        return CanFrame(can_id, data, t_ns, f"can{channel}", kind.lower() == "x", fd)

    def _read_header(self, line: str) -> None:
        if start := self._start.fullmatch(line):
            day, month, year, *clock = start.groups()
            midnight = date_ns(int(year), int(month), int(day), 0)
            self._day_ns, self._start_ns = midnight, midnight + _clock_ns(*clock)
            self.dated = True
        elif line.startswith("***DEC***"):
            self._base = 10
        elif " MODE***" in line:
            self._mode = line.strip("* \r\n").partition(" ")[0]

    def _time(self, offset_ns: int) -> int:
        if self._mode == "ABSOLUTE":
            return self._start_ns + offset_ns
        if self._mode == "RELATIVE":
            self._start_ns += offset_ns
            return self._start_ns
        if offset_ns < self._last_ns - _HALF_DAY_NS:
            self._day_ns += DAY_NS
        self._last_ns = offset_ns
        return self._day_ns + offset_ns


def _clock_ns(hours: str, minutes: str, seconds: str, fraction: str) -> int:
    """Up to three digits are whole milliseconds, not padded; four and more are decimals."""
    return clock_ns(hours, minutes, seconds, fraction.rjust(_MS_DIGITS, "0"))

"""Vector ASC: a header with date, number base and kind of time stamps, then one event a line.

date Sam Sep 30 15:06:13.191 2017
base hex  timestamps absolute
2.5010 2   C8             Tx   d 8 09 08 07 06 05 04 03 02
30.0050 CANFD   1 Rx        300          1 0 8  8 11 c2 03 04 05 06 07 08   102203 ...
"""

import re
from collections.abc import Sequence
from typing import ClassVar

from agent.errors import MalformedInputError
from agent.obd.dates import spoken_date
from agent.obd.frame import FD_LENGTHS, CanFrame
from agent.obd.lines import Aside, matches, ns, take_bytes, unfit

_FDF_FLAG = 0x1000
_FD_FLAGS_AT = 2
"""Place of the flags among the columns after the data: duration, length, flags."""


class Asc:
    """Times count from the start of the measurement, or from the line before ("relative").

    The first "Begin Triggerblock" before any event carries the date again; it stands nearer to
    the times, so it is the one that is believed.
    """

    name: ClassVar[str] = "Vector ASC"
    _header = re.compile(
        r"base\s+(hex|dec)\s+timestamps\s+(absolute|relative).*", re.IGNORECASE | re.DOTALL
    )
    _block = re.compile(r"begin\s+triggerblock\b(.*)", re.IGNORECASE | re.DOTALL)
    _note = re.compile(
        r"(?://|internal events logged|no internal events|end\s+triggerblock).*",
        re.IGNORECASE | re.DOTALL,
    )
    _event = re.compile(r"\s*(\d{1,10})\.(\d{1,9})\s+(\S.*)", re.ASCII | re.DOTALL)
    _frame = re.compile(
        r"(\d{1,3})\s+(\S+)\s+(?:Rx|Tx|TxRq)\s+(?:(r)\b|d\s+([0-9A-Fa-f])\b)(.*)",
        re.ASCII | re.DOTALL,
    )
    _fd_frame = re.compile(
        r"CANFD\s+(\d{1,3})\s+(?:Rx|Tx|TxRq)\s+(\S+)\s+(?:\S+\s+)??[01]\s+[01]\s+"
        r"([0-9A-Fa-f]{1,2})\s+(\d{1,2})\b(.*)",
        re.ASCII | re.DOTALL,
    )
    _error = re.compile(
        r"(?:CANFD\s+)?\d{1,3}\s+(?:(?:Rx|Tx)\s+)?ErrorFrame\b.*", re.ASCII | re.DOTALL
    )
    _named_id = re.compile(r"\bID = (\d{1,10})(x?)", re.ASCII)
    _cut = re.compile(
        r"\d{1,3}\s+[0-9A-Fa-f]{1,8}x?\s+(?:Rx|Tx|TxRq)\b.*|CANFD\b.*", re.ASCII | re.DOTALL
    )

    def __init__(self) -> None:
        self.dated = False
        self._base = 16
        self._relative = False
        self._start_ns = 0
        self._elapsed_ns = 0
        self._begun = False

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        if any(cls._header.match(line) for line in head):
            return True
        events = [event[3] for line in head if (event := cls._event.fullmatch(line))]
        return matches(cls._frame, events) or matches(cls._fd_frame, events)

    def parse(self, line: str) -> CanFrame | Aside:
        event = self._event.fullmatch(line)
        if event is None:
            return self._read_header(line.strip())
        self._begun = True
        offset_ns = ns(event[1], event[2])
        self._elapsed_ns = self._elapsed_ns + offset_ns if self._relative else offset_ns
        text = event[3]
        if frame := self._frame.fullmatch(text):
            return self._classic(frame, text)
        if self._error.fullmatch(text):
            return Aside.ERROR
        if fd_frame := self._fd_frame.fullmatch(text):
            return self._fd(fd_frame)
        if self._cut.fullmatch(text):
            raise MalformedInputError("a frame that is cut short")
        return Aside.NOTE  # statistics, bus states, other networks

    def _read_header(self, line: str) -> Aside:
        if header := self._header.fullmatch(line):
            self._base = 16 if header[1].lower() == "hex" else 10
            self._relative = header[2].lower() == "relative"
        elif line[:5].lower() == "date ":
            self._start_ns, self.dated = spoken_date(line[5:]), True
        elif block := self._block.fullmatch(line):
            if block[1].strip() and not self._begun:
                self._start_ns, self.dated = spoken_date(block[1]), True
        elif not self._note.fullmatch(line):
            return unfit(line)
        return Aside.NOTE

    def _classic(self, match: re.Match[str], text: str) -> CanFrame | Aside:
        channel, name, remote, dlc, rest = match.groups()
        if remote:
            return Aside.REMOTE
        can_id, extended = self._id(name, text)
        # a data length code above 8 means 8 bytes on classic CAN (ISO 11898-1)
        data = take_bytes(rest.split(), min(int(dlc, 16), FD_LENGTHS[8]), self._base)
        return CanFrame(can_id, data, self._start_ns + self._elapsed_ns, f"can{channel}", extended)

    def _fd(self, match: re.Match[str]) -> CanFrame | Aside:
        channel, name, dlc, count, rest = match.groups()
        length = int(count)
        if length == 0 and int(dlc, 16) > 0:
            return Aside.REMOTE
        columns = rest.split()
        data = take_bytes(columns, length, self._base)
        can_id, extended = self._id(name, "")
        flags = columns[length + _FD_FLAGS_AT : length + _FD_FLAGS_AT + 1]
        fd = not flags or bool(int(flags[0], 16) & _FDF_FLAG) or length > FD_LENGTHS[8]
        t_ns = self._start_ns + self._elapsed_ns
        return CanFrame(can_id, data, t_ns, f"can{channel}", extended, fd)

    def _id(self, name: str, text: str) -> tuple[int, bool]:
        """An identifier, or the number behind "ID =" where a symbolic name stands instead."""
        digits = name.removesuffix("x")
        if digits.isalnum() and digits.isascii():
            try:
                return int(digits, self._base), name.endswith("x")
            except ValueError:
                pass
        if behind := self._named_id.search(text):
            return int(behind[1]), behind[2] == "x"
        raise MalformedInputError("the CAN id is no number")

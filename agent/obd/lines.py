"""Text logs with one frame a line, and nothing to remember between two lines.

candump (can-utils), GVRET CSV (SavvyCAN), CRTD, Microchip CAN Bus Analyzer, CarBusAnalyzer.
Each form knows its lines by a pattern; a line that does not fit raises MalformedInputError
or ValueError and costs that line only. Data never appear in an error: they may be personal.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import Enum
from typing import ClassVar, Final, Protocol

from agent.errors import MalformedInputError
from agent.obd.buserror import ERROR_FLAG, ErrorFrame
from agent.obd.frame import FD_LENGTHS, CanFrame

DATED_SINCE_NS = 946_684_800 * 10**9
"""Times after the year 2000 are dates; earlier ones count from some start."""
BASE_ID_DIGITS = 3

_FRACTION_NS: Final[dict[int, int]] = {digits: 10 ** (9 - digits) for digits in range(10)}


class Aside(Enum):
    """What a line may hold instead of a data frame."""

    NOTE = "header, comment, blank line or event of the tool"
    REMOTE = "remote frame"
    ERROR = "error frame that does not say what was wrong"


class LineForm(Protocol):
    """One text form. An instance reads one file from its first line.

    name:  what people call the form
    dated: whether the times read so far are dates; else they are offsets from 1970
    """

    name: ClassVar[str]
    dated: bool

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        """Whether a file that begins with these lines is of this form."""

    def parse(self, line: str) -> CanFrame | ErrorFrame | Aside:
        """Raises MalformedInputError or ValueError for a line that does not fit the form."""


def ns(seconds: str, fraction: str) -> int:
    """Decimal seconds, cut into the digits before and after the point, to nanoseconds."""
    return int(seconds) * 10**9 + int(fraction) * _FRACTION_NS[len(fraction)]


def take_bytes(tokens: Sequence[str], count: int, base: int = 16) -> bytes:
    """The first `count` tokens as bytes. What follows them is a remark of the tool."""
    if len(tokens) < count:
        raise MalformedInputError(f"{len(tokens)} data bytes where {count} are announced")
    taken = tokens[:count]
    if any("_" in token for token in taken):  # int() would read 1_0 as 10
        raise MalformedInputError("a data byte is no number")
    return bytes([int(token, base) for token in taken])


def fd_length(dlc: int) -> int:
    if not 0 <= dlc < len(FD_LENGTHS):
        raise MalformedInputError(f"data length code {dlc} is outside 0..15")
    return FD_LENGTHS[dlc]


def matches(pattern: re.Pattern[str], head: Iterable[str]) -> bool:
    return any(pattern.fullmatch(line) for line in head)


def unfit(line: str) -> Aside:
    """A line without a frame: nothing if it is blank, else broken."""
    if line.isspace() or not line:
        return Aside.NOTE
    raise MalformedInputError("not a line of this form")


class CandumpLog:
    """candump -L and -l: `(1533226488.230547) can0 260#08FFFB0000001884`."""

    name: ClassVar[str] = "candump"
    _line = re.compile(
        r"\((\d{1,10})(?:\.(\d{1,9}))?\) +(\S{1,64}) +([0-9A-Fa-f]{8}|[0-9A-Fa-f]{3})#"
        r"(?:([0-9A-Fa-f]*)(?:_[0-9A-Fa-f])?|(R)[0-9A-Fa-f]{0,2}(?:_[0-9A-Fa-f])?"
        r"|#[0-9A-Fa-f]([0-9A-Fa-f]*))(?:\s+[RT])?\s*",
        re.ASCII,
    )

    def __init__(self) -> None:
        self.dated = False

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        return matches(cls._line, head)

    def parse(self, line: str) -> CanFrame | ErrorFrame | Aside:
        match = self._line.fullmatch(line)
        if match is None:
            return unfit(line)
        seconds, fraction, channel, digits, data, remote, fd_data = match.groups()
        can_id = int(digits, 16)
        extended = len(digits) > BASE_ID_DIGITS
        if remote:
            return Aside.REMOTE
        t_ns = int(seconds) * 1_000_000_000
        if fraction:  # some loggers write whole seconds
            t_ns += int(fraction) * _FRACTION_NS[len(fraction)]
        self.dated = t_ns > DATED_SINCE_NS
        if extended and can_id & ERROR_FLAG:
            return ErrorFrame(can_id, bytes.fromhex(data or ""), t_ns, channel)
        if data is None:
            return CanFrame(can_id, bytes.fromhex(fd_data), t_ns, channel, extended, fd=True)
        return CanFrame(can_id, bytes.fromhex(data), t_ns, channel, extended)


class CandumpConsole:
    """candump -ta, -tA, -tz: `(1533226488.230547)  can0  260   [8]  08 FF FB 00 ...`."""

    name: ClassVar[str] = "candump console"
    _line = re.compile(
        r"\s*\((?:(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d)|(\d{1,10}))(?:\.(\d{1,9}))?\)\s+(\S{1,64})\s+"
        r"(?:[RT]X\s+\S+\s+\S+\s+)?([0-9A-Fa-f]{8}|[0-9A-Fa-f]{3})\s+\[(\d{1,2})\](.*)",
        re.ASCII | re.DOTALL,
    )

    def __init__(self) -> None:
        self.dated = False

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        return matches(cls._line, head)

    def parse(self, line: str) -> CanFrame | ErrorFrame | Aside:
        match = self._line.fullmatch(line)
        if match is None:
            return unfit(line)
        date, seconds, fraction, channel, digits, length, rest = match.groups()
        can_id = int(digits, 16)
        if "remote request" in rest:
            return Aside.REMOTE
        if date:
            seconds = str(int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp()))
        t_ns = ns(seconds, fraction or "0")
        self.dated = t_ns > DATED_SINCE_NS
        data = take_bytes(rest.split(), int(length))
        if "ERRORFRAME" in rest or can_id & ERROR_FLAG:
            return ErrorFrame(can_id, data, t_ns, channel)
        fd = len(length) > 1  # candump writes the length of an FD frame with two digits
        return CanFrame(can_id, data, t_ns, channel, len(digits) > BASE_ID_DIGITS, fd)


class Crtd:
    """CRTD of the Open Vehicles project: `166.064000 R11 0000021A FE 36 12`; bus first: `1R11`."""

    name: ClassVar[str] = "CRTD"
    _frame = re.compile(
        r"\s*(\d{1,10})\.(\d{1,9})\s+(\d{0,2})[RT](11|29)\s+([0-9A-Fa-f]{1,8})\b(.*)",
        re.ASCII | re.DOTALL,
    )
    _note = re.compile(r"\s*\d{1,10}\.\d{1,9}\s+\d{0,2}(?:C|E)\w\w\b.*", re.ASCII | re.DOTALL)

    def __init__(self) -> None:
        self.dated = False

    @classmethod
    def fits(cls, head: Sequence[str]) -> bool:
        return matches(cls._frame, head)

    def parse(self, line: str) -> CanFrame | Aside:
        match = self._frame.fullmatch(line)
        if match is None:
            return Aside.NOTE if self._note.fullmatch(line) else unfit(line)
        seconds, fraction, bus, width, digits, rest = match.groups()
        tokens = rest.split()
        t_ns = ns(seconds, fraction)
        self.dated = t_ns > DATED_SINCE_NS
        data = take_bytes(tokens, len(tokens))
        return CanFrame(int(digits, 16), data, t_ns, f"can{bus or 0}", width == "29")

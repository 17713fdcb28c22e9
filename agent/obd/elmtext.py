"""What an ELM327 prints between a command and its prompt, as CAN frames and remarks. No I/O.

Told to, it prints a frame as hexadecimal digits: identifier (3 digits, or 8), length (1 digit,
where the adapter prints it) and data (ELM327 data sheet, AT H1, S0, D1). All else is a remark of
its own, or broken. A line is a frame only if its length is right: one that lost digits is none.
"""

import re
from typing import Final

import msgspec

PROMPT: Final = b">"
LONGEST_FRAME: Final = 8

_ANSWERS: Final = re.compile(r"(7E[89A-F]|18DAF1[0-9A-F]{2})(.*)")  # ISO 15765-4, both widths
_DIGITS: Final = re.compile(r"[0-9A-F]+")
_PROGRESS: Final = re.compile(r"SEARCHING\.*|BUS INIT: ?\.*(?:OK)?(?!.*ERR)")
_REMARKS: Final = (
    "NO DATA",
    "UNABLE TO CONNECT",
    "BUS INIT",
    "BUS BUSY",
    "BUS ERROR",
    "CAN ERROR",
    "FB ERROR",
    "BUFFER FULL",
    "STOPPED",
    "DATA ERROR",
    "RX ERROR",
    "LV RESET",
    "LP ALERT",
    "ACT ALERT",
    "ELM327",
)
_FAULT: Final = re.compile(r"ERR\d\d")
UNKNOWN_COMMAND: Final = "?"
RESETS: Final = frozenset({"LV RESET", "LP ALERT", "ACT ALERT", "ERRxx", "ELM327"})
"""After these the adapter has forgotten what it was told, or is about to sleep."""
GARBAGE: Final = "garbage"
TORN: Final = "torn line"


class Line(msgspec.Struct, frozen=True):
    """A frame as it was printed.

    ecu: its answer identifier; data: 1 to 8 bytes; counted: whether its length stood before it
    """

    ecu: str
    data: bytes
    counted: bool

    def __repr__(self) -> str:
        """Without the data, which may be a VIN."""
        return f"Line({self.ecu}, {len(self.data)} bytes, counted={self.counted})"


class Printed(msgspec.Struct, frozen=True):
    """
    frames:  in the order of the lines
    torn:    answer identifiers of lines that are no whole frame
    remarks: what the adapter said itself; "garbage" for a line that nothing explains
    """

    frames: list[Line]
    torn: frozenset[str]
    remarks: list[str]


def printed(octets: bytes, ecu: str | None = None) -> Printed:
    """What an adapter said. Lines that do not end in CR or LF are broken off.

    octets: all that came after the command; ecu: the one that was asked, None for everybody
    """
    answers = _ANSWERS if ecu is None else re.compile(f"({ecu})(.*)")
    frames: list[Line] = []
    torn: set[str] = set()
    remarks: list[str] = []
    for line in _lines(octets):
        answer = answers.fullmatch(line.replace(" ", ""))
        frame = None if answer is None else _frame(answer[1], answer[2])
        if answer is None:
            remarks.append(_remark(line))
        elif frame is None:
            torn.add(answer[1])
            remarks.append(TORN)
        else:
            frames.append(frame)
    return Printed(frames, frozenset(torn), remarks)


def searching(octets: bytes) -> bool:
    """Whether the adapter says that it looks for the bus, which may take it half a minute."""
    return b"SEARCHING" in octets or b"BUS INIT" in octets


def _lines(octets: bytes) -> list[str]:
    """NUL is to be ignored (data sheet, "Talking to the ELM327"); any other byte breaks a line."""
    text = octets.replace(b"\0", b"").replace(PROMPT, b"\r").decode("ascii", "replace")
    lines = re.split(r"[\r\n]", text)
    whole = [_PROGRESS.sub("", line).strip() for line in lines[:-1]]
    return [line for line in whole if line]


def _frame(ecu: str, digits: str) -> Line | None:
    """An odd number of digits begins with the length; it must be that of the rest."""
    if not _DIGITS.fullmatch(digits):
        return None
    told = digits[: len(digits) % 2]
    data = bytes.fromhex(digits[len(told) :])
    right = not told or int(told, 16) == len(data)
    return Line(ecu, data, bool(told)) if right and 0 < len(data) <= LONGEST_FRAME else None


def _remark(line: str) -> str:
    if line == UNKNOWN_COMMAND:
        return line
    if _FAULT.fullmatch(line):
        return "ERRxx"
    return next((known for known in _REMARKS if known in line.upper()), GARBAGE)

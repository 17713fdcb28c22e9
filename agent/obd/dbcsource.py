"""A DBC file cut into its statements, and the forms of those that are understood.

The format has no end mark that every statement shares, and files found in the field have
strings that are never closed, so the cut is made where a line begins with a keyword.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Final

from agent.errors import MalformedInputError

EXPONENT_MAX = 300
"""Our choice: what a float can hold."""

_KEYWORD: Final = re.compile(r"\s*([A-Z][A-Z_]*_|VERSION|FILTER)(?=[\s:\"]|$)", re.ASCII)
_HEAD: Final = re.compile(r"\s*BO_\s+\d{1,10}\s+[^\s:]+\s*:\s*\d{1,5}\b", re.ASCII)
_NUMBER: Final = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d{1,4})?"
MESSAGE: Final = re.compile(
    r"BO_\s+(\d{1,10})\s+([^\s:]+)\s*:\s*(\d{1,5})(?:\s+\S+)?\s*(?:;\s*)?", re.ASCII
)
SIGNAL: Final = re.compile(
    r"SG_\s+([^\s:]+)(?:\s+(M|m(?:\d{1,10}M?)?))?\s*:\s*(\d{1,5})\s*\|\s*(\d{1,5})\s*@\s*([01])"
    rf"\s*([-+])\s*\(\s*({_NUMBER})\s*,\s*({_NUMBER})\s*\)\s*\[[^\]]*\]\s*(?:\"([^\"]*)\")?.*",
    re.ASCII | re.DOTALL,
)
MULTIPLEX: Final = re.compile(
    r"SG_MUL_VAL_\s+(\d{1,10})\s+(\S+)\s+(\S+)\s+(\d{1,10}\s*-\s*\d{1,10}"
    r"(?:[\s,]+\d{1,10}\s*-\s*\d{1,10})*)\s*;\s*",
    re.ASCII,
)
FLOAT: Final = re.compile(
    r"SIG_VALTYPE_\s+(\d{1,10})\s+([^\s:]+)\s*(?::\s*)?([0-3])\s*;\s*", re.ASCII
)
LONG_NAME: Final = re.compile(
    r'BA_\s+"System(?:Message|Signal)LongSymbol"\s+(BO_|SG_)\s+(\d{1,10})\s+(?:([^\s"]+)\s+)?'
    r'"([^"\s]{1,256})"\s*;\s*',
    re.ASCII,
)
COMMENT: Final = re.compile(
    r'CM_\s*(?:"|BU_\s+\S+\s+"|BO_\s+\d+\s+"|SG_\s+\d+\s+[^\s"]+\s+"|EV_\s+\S+\s+")', re.ASCII
)
OWNER: Final = re.compile(
    r'(?:VAL_|SG_MUL_VAL_|SIG_VALTYPE_|(?:CM_|BA_\s+"[^"]*")\s+(?:BO_|SG_))\s+(\d{1,10})\s',
    re.ASCII,
)
"""The message that a statement outside of it speaks of."""
VALUES: Final = re.compile(r'VAL_\s+(?:(\d{1,10})\s+)?([^\s"]+)(?=\s|;)', re.ASCII)


@dataclass(frozen=True, slots=True)
class Statement:
    """text: with its keyword, lines joined as they stand; line: where it begins, from 1."""

    line: int
    keyword: str
    text: str


def statements(text: str) -> list[Statement]:
    """Strings may run over lines; one that is never closed ends at the head of a message."""
    found: list[tuple[int, str, list[str]]] = []
    in_string = False
    for number, line in enumerate(text.split("\n"), start=1):
        keyword = _KEYWORD.match(line)
        if keyword and (not in_string or _HEAD.match(line)):
            found.append((number, keyword[1], [line.strip()]))
            in_string = False
        elif found and line.strip():
            found[-1][2].append(line)
        if (line.count('"') - line.count('\\"')) % 2:
            in_string = not in_string
    return [Statement(number, keyword, "\n".join(lines)) for number, keyword, lines in found]


def identifier(name: str) -> str:
    """Letters, digits and underscores, the first one no digit."""
    clean = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{clean}" if clean[:1].isdigit() else clean


def plain_number(text: str) -> str:
    """Writes .25 and 1e-3 as plain decimals."""
    value = Decimal(text)
    if value and abs(value.adjusted()) > EXPONENT_MAX:
        raise MalformedInputError(f"number {text[:32]} is out of range")
    return f"{value:f}"

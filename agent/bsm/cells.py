"""One cell of a table: what it says, and how to write it so that a spreadsheet leaves it alone."""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from agent.errors import MalformedInputError

_TIME_FORMATS: Final = ("%m/%d/%Y %I:%M:%S %p", "%m/%d/%Y %H:%M:%S")
_NOTHING: Final = frozenset({"", "None", "null", "NULL", "nan", "NaN", "n/a", "N/A"})
"""Not "none", which is a type of vehicle."""
_LONGEST: Final = 1 << 16  # our choice: 23 points have 4000 characters
_DIGITS: Final = 18  # of a whole number in the metadata

_PYTHON: Final = re.compile(r"'([^'\"\\]*)'|\b(True|False|None)\b")
_JSON: Final = {"True": "true", "False": "false", "None": "null"}
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_NUMBER: Final = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")


def meaning(column: str, cell: str) -> Any:
    """An object or a list, a figure or a truth of the metadata, text, or None.

    Raises MalformedInputError that names the column.
    """
    cell = unescaped(cell).strip()
    if cell in _NOTHING:
        return None
    if len(cell) > _LONGEST:
        raise MalformedInputError(f"{column} has over {_LONGEST} characters")
    if cell[0] in "{[":
        return _literal(column, cell)
    if column.startswith("metadata_"):
        if len(cell) <= _DIGITS and cell.isdecimal() and str(int(cell)) == cell:
            return int(cell)
        if cell.casefold() in {"true", "false"}:
            return cell.casefold() == "true"
    return cell


def _literal(column: str, cell: str) -> Any:
    """JSON, or the same as Python prints it."""
    try:
        return json.loads(cell)
    except (ValueError, RecursionError):
        text = _PYTHON.sub(lambda m: _JSON[m[2]] if m[2] else f'"{m[1]}"', cell)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise MalformedInputError(
            f"{column} is neither JSON nor text that Python printed"
        ) from error


def instant(text: Any) -> Any:
    """The instant as the ODE writes it, in UTC; what is no known form stays as it is."""
    bare = str(text).removesuffix("[UTC]").removesuffix("Z")
    for form in _TIME_FORMATS:
        try:
            return datetime.strptime(bare, form).replace(tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except ValueError:
            continue
    try:
        parsed = datetime.fromisoformat(bare)
    except ValueError:
        return text
    parsed = parsed if parsed.tzinfo is None else parsed.astimezone(UTC).replace(tzinfo=None)
    return parsed.isoformat(timespec="milliseconds" if parsed.microsecond else "seconds") + "Z"


def shown(value: Any) -> str:
    """The text of a value, not yet escaped; empty for None and for nothing in it."""
    if isinstance(value, Mapping | list):
        return json.dumps(value) if value else ""
    return "" if value is None else str(value).encode("utf-8", "replace").decode("utf-8")


def escaped(cell: str) -> str:
    """With an apostrophe in front of what a spreadsheet would calculate."""
    dangerous = cell.lstrip("'").startswith(_FORMULA) and not _NUMBER.fullmatch(cell)
    return f"'{cell}" if dangerous else cell


def unescaped(cell: str) -> str:
    return cell[1:] if cell[:1] == "'" and cell.lstrip("'").startswith(_FORMULA) else cell

"""Dates as the writers of log files put them down. None of them names a time zone: read as UTC."""

import re
from datetime import UTC, datetime
from typing import Final

from agent.errors import MalformedInputError
from agent.obd.lines import ns

SECOND_NS = 10**9
DAY_NS = 86_400 * SECOND_NS
_OLE_EPOCH_DAYS = 25_569  # 1970-01-01 counted from 1899-12-30

_MONTHS: Final = {
    name: number
    for number, names in enumerate(
        (
            "jan jän",
            "feb",
            "mar mär mrz",
            "apr",
            "may mai",
            "jun",
            "jul",
            "aug",
            "sep",
            "oct okt",
            "nov",
            "dec dez",
        ),
        start=1,
    )
    for name in names.split()
}
"""English and German short names: those are the languages the tools are found in."""

_CLOCK: Final = re.compile(r"(\d{1,2}):(\d{2}):(\d{2})(?:[.:](\d{1,9}))?", re.ASCII)


def date_ns(year: int, month: int, day: int, of_day_ns: int) -> int:
    try:
        start = datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise MalformedInputError(f"no such date: {year}-{month}-{day}") from error
    return int(start.timestamp()) * SECOND_NS + of_day_ns


def clock_ns(hours: str, minutes: str, seconds: str, fraction: str | None) -> int:
    """Nanoseconds since midnight."""
    whole = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
    return ns(str(whole), fraction or "0")


def spoken_date(text: str) -> int:
    """Vector's and others': "Sat Sep 30 10:06:13.191 PM 2017", "Thu, 09 Nov 2023 20:36:33 GMT".

    UTC nanoseconds. Raises MalformedInputError when a part is missing.
    """
    clock = _CLOCK.search(text)
    words = re.findall(r"[^\W\d_]+|\d+", _CLOCK.sub(" ", text).lower())
    months = [_MONTHS[word[:3]] for word in words if word[:3] in _MONTHS]
    years = [int(word) for word in words if re.fullmatch(r"(?:19|20)\d\d", word, re.ASCII)]
    days = [int(word) for word in words if re.fullmatch(r"\d{1,2}", word, re.ASCII)]
    if clock is None or not (months and years and days):
        raise MalformedInputError("a date without day, month, year or time")
    hours = int(clock[1])
    if "pm" in words or "am" in words:
        hours = hours % 12 + (12 if "pm" in words else 0)
    of_day = clock_ns(str(hours), clock[2], clock[3], clock[4])
    return date_ns(years[0], months[-1], days[0], of_day)


def ole_date(text: str) -> int:
    """PEAK's $STARTTIME: days since 1899-12-30 with a fraction, "44548.6028595139"."""
    days, _, fraction = text.partition(".")
    digits = fraction[:15] or "0"
    of_day = int(digits) * DAY_NS // int(10 ** len(digits))
    return (int(days[:6]) - _OLE_EPOCH_DAYS) * DAY_NS + of_day

"""Times of the chain: UTC nanoseconds in Python, RFC 3339 text in JSON, two varints in amino."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from agent.amo.tendermint import amino
from agent.clock import SECOND
from agent.errors import MalformedInputError

NEVER_NS: Final = -62135596800 * SECOND
"""0001-01-01T00:00:00Z: what Tendermint writes where there is no time."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_SECONDS_LENGTH: Final = len("1970-01-01T00:00:00")
_FORM: Final = re.compile(
    r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d)", re.ASCII
)


def encode(time_ns: int) -> bytes:
    """{1: seconds, 2: nanoseconds}; parts that are zero are left out."""
    seconds, nanoseconds = divmod(time_ns, SECOND)
    return amino.varint_field(1, seconds) + amino.varint_field(2, nanoseconds)


def to_text(time_ns: int) -> str:
    """RFC 3339 in UTC with as many decimals as are needed, up to nine."""
    seconds, nanoseconds = divmod(time_ns, SECOND)
    whole = (_EPOCH + timedelta(seconds=seconds)).isoformat()[:_SECONDS_LENGTH]
    decimals = f"{nanoseconds:09d}".rstrip("0")
    return f"{whole}.{decimals}Z" if decimals else f"{whole}Z"


def from_text(text: str) -> int:
    """Raises MalformedInputError for what is not RFC 3339."""
    form = _FORM.fullmatch(text)
    if form is None:
        raise MalformedInputError(f"time {text[:40]!r} is not of the form 2021-01-01T00:00:00Z")
    zone = "+00:00" if form[3] == "Z" else form[3]
    try:
        whole = datetime.fromisoformat(form[1] + zone)
    except ValueError as error:
        raise MalformedInputError(f"time {text[:40]!r} does not exist") from error
    return (whole - _EPOCH) // timedelta(seconds=1) * SECOND + int((form[2] or "0").ljust(9, "0"))

"""One NMEA 0183 sentence: is it whole, which one is it, what does it say of its epoch.

pynmeagps takes the fields apart. A sentence is never quoted in an error: it holds a position.
"""

import math
import re
from datetime import date, datetime, time
from typing import Any, Final

from pynmeagps import NMEAReader
from pynmeagps.exceptions import (
    NMEAMessageError,
    NMEAParseError,
    NMEAStreamError,
    NMEATypeError,
)

from agent.errors import MalformedInputError

LONGEST: Final = 255  # characters; NMEA 0183 has 82, some receivers exceed it
KNOT_MPS: Final = 1852 / 3600

_SENTENCE: Final = re.compile(rb"\$([A-Z]{2})([A-Z]{3}),([ -~]*)\*([0-9A-Fa-f]{2})")
_ANGLE: Final = re.compile(r"\d{2,3}[0-5]\d\.\d*")
_NO_MODE: Final = "N"


class Epoch:
    """What the sentences of one UTC time said so far; None where none did."""

    def __init__(self, at: time) -> None:
        self.at = at
        self.day: date | None = None
        self.place: tuple[float, float] | None = None
        self.denied = False
        self.modes: list[int] = []
        self.kinds: list[str] = []
        self.elevation_m: float | None = None
        self.speed_mps: float | None = None
        self.course_deg: float | None = None
        self.ellipse: tuple[float, float, float] | None = None
        self.done = False


def kind_of(line: bytes) -> str:
    """The sentence formatter of a whole line; "" for one that no standard defines."""
    if len(line) > LONGEST:
        raise MalformedInputError(f"over {LONGEST} characters")
    if line.startswith((b"$P", b"!")) and b"*" in line:
        _check(line)
        return ""
    found = _SENTENCE.fullmatch(line)
    if found is None:
        raise MalformedInputError("not a sentence with a checksum")
    _check(line)
    return found[2].decode("ascii")


def _check(line: bytes) -> None:
    content, _, digits = line[1:].rpartition(b"*")
    total = 0
    for octet in content:
        total ^= octet
    if digits.upper() != b"%02X" % total:
        raise MalformedInputError("the checksum does not fit")


def parse(line: bytes) -> Any:
    try:
        return NMEAReader.parse(line)
    except (NMEAMessageError, NMEAParseError, NMEAStreamError, NMEATypeError):
        reason = "a field is not what its place asks for"
    raise MalformedInputError(reason)


def time_of(sentence: Any) -> time:
    at = getattr(sentence, "time", "")
    if not isinstance(at, time):
        raise MalformedInputError("no time of day")
    return at


def day_of(sentence: Any) -> date:
    """Of ZDA, whose day, month and year stand apart."""
    try:
        return date(sentence.year, sentence.month, sentence.day)
    except (AttributeError, TypeError, ValueError):
        reason = "no date"
    raise MalformedInputError(reason)


def _number(sentence: Any, name: str) -> float | None:
    value = getattr(sentence, name, "")
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _place(sentence: Any, first: int) -> tuple[float, float]:
    """Latitude and longitude in degrees. first: index of the latitude among the fields."""
    fields = sentence.payload[first : first + 4]
    latitude, north, longitude, east = [*fields, "", "", "", ""][:4]
    fits = _ANGLE.fullmatch(latitude) and _ANGLE.fullmatch(longitude)
    if not fits or north not in ("N", "S") or east not in ("E", "W"):
        raise MalformedInputError("a fix without a position")
    if not (abs(sentence.lat) <= 90 and abs(sentence.lon) <= 180):  # noqa: PLR2004 - degrees
        raise MalformedInputError("a position off the globe")
    return sentence.lat, sentence.lon


def _rmc(epoch: Epoch, sentence: Any) -> None:
    day = getattr(sentence, "date", "")
    epoch.day = day if isinstance(day, date) and not isinstance(day, datetime) else None
    if getattr(sentence, "status", "") != "A" or getattr(sentence, "posMode", "") == _NO_MODE:
        epoch.denied = True
        return
    epoch.place = _place(sentence, 2)
    knots, course = _number(sentence, "spd"), _number(sentence, "cog")
    if knots is not None and knots >= 0:
        epoch.speed_mps = knots * KNOT_MPS
    if course is not None:
        epoch.course_deg = course % 360.0


def _gga(epoch: Epoch, sentence: Any) -> None:
    if not _number(sentence, "quality"):
        epoch.denied = True
        return
    _solid(epoch, sentence)


def _gns(epoch: Epoch, sentence: Any) -> None:
    modes = getattr(sentence, "posMode", "")
    if not modes:
        return  # of one constellation, beside the sentence of them all
    if not modes.strip(_NO_MODE):
        epoch.denied = True
        return
    _solid(epoch, sentence)


def _solid(epoch: Epoch, sentence: Any) -> None:
    """Place and height, as GGA and GNS have them."""
    epoch.place = _place(sentence, 1)
    altitude, separation = _number(sentence, "alt"), _number(sentence, "sep")
    if altitude is not None and separation is not None:
        epoch.elevation_m = altitude + separation


def _gst(epoch: Epoch, sentence: Any) -> None:
    """A receiver that does not know leaves it empty, or says 0; none is right to the nothing."""
    major, minor, orientation, north, east = (
        _number(sentence, name) for name in ("stdMajor", "stdMinor", "orient", "stdLat", "stdLong")
    )
    if major is None or minor is None or orientation is None:
        if north is None or east is None:
            return
        major, minor, orientation = (
            max(north, east),
            min(north, east),
            0.0 if north >= east else 90.0,
        )
    if major > 0 and minor >= 0:
        epoch.ellipse = (major, minor, orientation % 360.0)


def _vtg(epoch: Epoch, sentence: Any) -> None:
    knots, course = _number(sentence, "sogn"), _number(sentence, "cogt")
    if epoch.speed_mps is None and knots is not None and knots >= 0:
        epoch.speed_mps = knots * KNOT_MPS
    if epoch.course_deg is None and course is not None:
        epoch.course_deg = course % 360.0


def _gsa(epoch: Epoch, sentence: Any) -> None:
    mode = _number(sentence, "navMode")
    if mode is not None:
        epoch.modes.append(round(mode))


TIMED: Final = {"RMC": _rmc, "GGA": _gga, "GNS": _gns, "GST": _gst}
"""Sentences that carry the UTC time of their epoch -> what adds them to it."""
UNTIMED: Final = {"VTG": _vtg, "GSA": _gsa}
"""Sentences that belong to the epoch they come in -> what adds them to it."""

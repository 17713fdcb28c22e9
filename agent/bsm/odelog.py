"""Log records of pilot on-board units, as the US DOT's Operational Data Environment takes them.

One record after the other, little-endian, 26 octets and the payload; some units put a line feed
between two. The header is about the unit that kept the log: where it was, and when.

| octets | holds |
|---|---|
| 1 | source: 0 host vehicle or road-side unit, 1 remote vehicle, ... |
| 3 x 4, signed | latitude and longitude, 1e-7 degree; elevation, 0.1 m |
| 2 x 2 | speed, 0.02 m/s; heading, 0.0125 degree |
| 4, 2 | UTC seconds since 1970, milliseconds |
| 1 | result of the security check, 0 success |
| 2 | octets of the payload: a message frame or IEEE 1609.2 data |
"""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from struct import Struct
from typing import Any, BinaryIO, Final

import msgspec

from agent.bsm import units
from agent.errors import MalformedInputError

HEADER: Final = Struct("<BiiiHHIHBH")
LARGEST: Final = HEADER.size + 0xFFFF
SOURCES: Final = 8  # our choice: six are known
SOURCE_NAMES: Final = {0: "EV", 1: "RV"}
SEPARATORS: Final = b"\r\n"

_LIKELY: Final = re.compile(
    rb"(?s)(?=[\x00-\x08].{21}[\x00-\x03].{3}(?:\x00\x14|\x03[\x00-\x3f\x80\x81]|\x0b))"
)
"""Where a record may begin: source, milliseconds, and the first octets of a payload."""
_LOOK: Final = HEADER.size + 2  # what _LIKELY looks at


class LogRecord(msgspec.Struct, frozen=True, kw_only=True):
    """
    source, security: as in the table
    latitude_deg .. heading_deg: of the unit that kept the log; None where it did not know
    t_ms:   UTC, milliseconds since 1970
    """

    source: int = 0
    latitude_deg: float | None = None
    longitude_deg: float | None = None
    elevation_m: float | None = None
    speed_mps: float | None = None
    heading_deg: float | None = None
    t_ms: int = 0
    security: int = 0
    payload: bytes

    def __repr__(self) -> str:
        """Without the position, which no log line may carry."""
        return f"LogRecord({len(self.payload)} octets)"


class Damaged(msgspec.Struct, frozen=True):
    """Octets between two records, or after the last, that are none. at: of the first of them."""

    at: int
    octets: int


def pack(record: LogRecord) -> bytes:
    """The record as octets. Raises MalformedInputError for a value that has no room."""
    header = (
        record.source,
        units.latitude_to_j2735(record.latitude_deg),
        units.longitude_to_j2735(record.longitude_deg),
        units.elevation_to_j2735(record.elevation_m),
        units.speed_to_j2735(record.speed_mps),
        units.heading_to_j2735(record.heading_deg),
        record.t_ms // 1000,
        record.t_ms % 1000,
        record.security,
        len(record.payload),
    )
    octets = HEADER.pack(*header) + record.payload if _fits(record) else b""
    if not plausible(octets):
        raise MalformedInputError(
            f"a log record of source {record.source}, security {record.security}, "
            f"{record.t_ms} ms and {len(record.payload)} octets"
        )
    return octets


def _fits(record: LogRecord) -> bool:
    """Whether each value has room in its octets."""
    return (
        record.source in range(1 << 8)
        and record.t_ms // 1000 in range(1 << 32)
        and record.security in range(1 << 8)
        and len(record.payload) in range(1 << 16)
    )


def unpack(octets: bytes) -> LogRecord | None:
    """The record that these octets are, wholly; None where they are not one."""
    if not plausible(octets) or _size(octets, 0) != len(octets):
        return None
    return _record(octets)


def plausible(octets: bytes, at: int = 0) -> bool:
    """Whether a header stands there whose every value is possible."""
    if len(octets) - at < HEADER.size:
        return False
    source, lat, lon, elev, speed, heading, _, ms, _, length = HEADER.unpack_from(octets, at)
    return bool(
        source <= SOURCES
        and abs(lat) <= units.LATITUDE_UNAVAILABLE
        and abs(lon) <= units.LONGITUDE_UNAVAILABLE
        and units.ELEVATION_UNAVAILABLE <= elev <= 61439  # noqa: PLR2004 - DE_Elevation
        and speed <= units.SPEED_UNAVAILABLE
        and heading <= units.HEADING_UNAVAILABLE
        and ms < 1000  # noqa: PLR2004 - of a second
        and length
    )


def metadata(record: LogRecord) -> dict[str, Any]:
    """What the ODE's JSON says about such a record; without what it does not know."""
    location = {
        "latitude": record.latitude_deg,
        "longitude": record.longitude_deg,
        "elevation": record.elevation_m,
        "speed": record.speed_mps,
        "heading": record.heading_deg,
    }
    when = datetime.fromtimestamp(record.t_ms // 1000, UTC).replace(tzinfo=None)
    found = {
        "recordGeneratedAt": f"{when.isoformat()}.{record.t_ms % 1000:03}Z",
        "securityResultCode": "success" if record.security == 0 else str(record.security),
        "receivedMessageDetails": {
            "locationData": {name: str(v) for name, v in location.items() if v is not None}
        },
    }
    source = SOURCE_NAMES.get(record.source)
    return found if source is None else {"bsmSource": source, **found}


def records(stream: BinaryIO) -> Iterator[LogRecord | Damaged]:
    """Each record of a stream; what is none is skipped up to the next that may be one."""
    octets, at, before, lost = b"", 0, 0, 0
    while True:
        if len(octets) - at < LARGEST and (more := stream.read(LARGEST)):
            octets, at, before = octets[at:] + more, 0, before + at
        if at >= len(octets):
            break
        end = at + _size(octets, at) if plausible(octets, at) else 0
        if octets[at] in SEPARATORS and not lost:
            at += 1
        elif not end or end > len(octets):
            step = _next(octets, at) - at
            lost, at = lost + step, at + step
        else:
            if lost:
                yield Damaged(before + at - lost, lost)
            yield _record(octets[at:end])
            at, lost = end, 0
    if lost:
        yield Damaged(before + at - lost, lost)


def _size(octets: bytes, at: int) -> int:
    return HEADER.size + int.from_bytes(octets[at + HEADER.size - 2 : at + HEADER.size], "little")


def _next(octets: bytes, at: int) -> int:
    """Where the next record may begin; near the end where that cannot be told yet."""
    found = _LIKELY.search(octets, at + 1)
    if found is not None:
        return found.start()
    undecided = len(octets) - _LOOK
    return undecided if undecided > at else len(octets)


def _record(octets: bytes) -> LogRecord:
    source, lat, lon, elev, speed, heading, seconds, ms, security, _ = HEADER.unpack_from(octets)
    return LogRecord(
        source=source,
        latitude_deg=units.latitude_from_j2735(lat),
        longitude_deg=units.longitude_from_j2735(lon),
        elevation_m=units.elevation_from_j2735(elev),
        speed_mps=units.speed_from_j2735(speed),
        heading_deg=units.heading_from_j2735(heading),
        t_ms=seconds * 1000 + ms,
        security=security,
        payload=octets[HEADER.size :],
    )

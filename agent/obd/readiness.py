"""What an ECU says of its own checks and of its software (SAE J1979, 01 01 and 09 04)."""

from typing import Final

from agent.errors import MalformedInputError
from agent.events import CalibrationRead, MonitorsRead

CONTINUOUS: Final = ("misfire", "fuel system", "components")
"""By bit of byte B; four bits higher, that it is not through."""
SPARK: Final = (
    "catalyst",
    "heated catalyst",
    "evaporative system",
    "secondary air",
    "air conditioning or particulate filter",
    "oxygen sensors",
    "oxygen sensor heaters",
    "exhaust gas recirculation or valve timing",
)
"""By bit of byte C; byte D has those that are not through."""
COMPRESSION: Final = (
    "hydrocarbon catalyst",
    "nitrogen oxide treatment",
    "",
    "boost pressure",
    "",
    "exhaust gas sensors",
    "particulate filter",
    "exhaust gas recirculation or valve timing",
)
_COMPRESSION_BIT, _LAMP_BIT, _STATUS_BYTES, _ID_BYTES = 0x08, 0x80, 4, 16


def monitors(ecu: str, data: bytes) -> MonitorsRead:
    """data: what follows 41 01. Raises MalformedInputError for less than four bytes."""
    if len(data) < _STATUS_BYTES:
        raise MalformedInputError(f"readiness has {_STATUS_BYTES} bytes, {len(data)} arrived")
    a, b, c, d = data[:_STATUS_BYTES]
    others = COMPRESSION if b & _COMPRESSION_BIT else SPARK
    names = [*_named(CONTINUOUS, b), *_named(others, c)]
    open_ = {*_named(CONTINUOUS, b >> 4), *_named(others, d)}
    ready = [name for name in names if name not in open_]
    incomplete = [name for name in names if name in open_]
    return MonitorsRead(ecu, bool(a & _LAMP_BIT), a & ~_LAMP_BIT, ready, incomplete)


def _named(names: tuple[str, ...], bits: int) -> list[str]:
    return [name for bit, name in enumerate(names) if name and bits >> bit & 1]


def calibration(ecu: str, data: bytes) -> CalibrationRead:
    """data: what follows 49 04: a count, then 16 characters each, filled up with zeros.

    Raises MalformedInputError where fewer arrived than were announced.
    """
    count = data[0] if data else 0
    if not count or len(data) - 1 < count * _ID_BYTES:
        raise MalformedInputError(f"{count} calibration ids announced, {len(data)} bytes arrived")
    places = range(1, 1 + count * _ID_BYTES, _ID_BYTES)
    return CalibrationRead(ecu, [_text(data[place : place + _ID_BYTES]) for place in places])


def _text(characters: bytes) -> str:
    text = characters.strip(b"\0 ").decode("ascii", "replace")
    if not text.isprintable():
        raise MalformedInputError(f"a calibration id of {_ID_BYTES} bytes is no text")
    return text

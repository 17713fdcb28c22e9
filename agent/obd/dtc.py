"""Trouble codes: two bytes of the wire, or the text of SAE J2012 ("P0A80")."""

import re
from typing import Final

from udsoncan.exceptions import InvalidResponseException
from udsoncan.Response import Response
from udsoncan.services.ReadDTCInformation import ReadDTCInformation

from agent.errors import MalformedInputError

SYSTEMS: Final = "PCBU"
"""Powertrain, chassis, body, network: the two highest bits (SAE J2012, 6.2)."""
_CODE: Final = re.compile(r"([PCBU])([0-3])([0-9A-F]{3})")


def code_text(two_bytes: bytes) -> str:
    """Raises MalformedInputError when they are not two."""
    if len(two_bytes) != 2:  # noqa: PLR2004  the format's own number
        raise MalformedInputError(f"a trouble code has 2 bytes, not {len(two_bytes)}")
    high, low = two_bytes
    return f"{SYSTEMS[high >> 6]}{high >> 4 & 3}{high & 15:X}{low:02X}"


def code_bytes(code: str) -> bytes:
    """The reverse. Raises MalformedInputError for a text that is no code."""
    match = _CODE.fullmatch(code)
    if match is None:
        raise MalformedInputError(f"{code[:16]!r} is not a trouble code such as 'P0A80'")
    system, first, rest = match.groups()
    number = SYSTEMS.index(system) << 14 | int(first) << 12 | int(rest, 16)
    return number.to_bytes(2, "big")


def codes(data: bytes) -> frozenset[str]:
    """Codes of an answer to service 03 or 07 on CAN: a count, then two bytes each.

    What follows the counted ones is padding, and so is 00 00 among them (SAE J1979, 6.3).
    Raises MalformedInputError when fewer codes arrived than were announced.
    """
    if not data:
        raise MalformedInputError("an answer with trouble codes lacks their count")
    count = data[0]
    if len(data) - 1 < 2 * count:
        raise MalformedInputError(f"{count} trouble codes announced, {len(data) - 1} bytes arrived")
    pairs = (data[place : place + 2] for place in range(1, 1 + 2 * count, 2))
    return frozenset(code_text(pair) for pair in pairs if any(pair))


def codes_by_status(data: bytes) -> frozenset[str]:
    """Codes of an answer to service 19, report 02, with their failure types: "P0A80-07".

    data: what follows service and report. Raises MalformedInputError.
    """
    report = ReadDTCInformation.Subfunction.reportDTCByStatusMask
    whole = bytes([report]) + data
    response = Response(ReadDTCInformation, Response.Code.PositiveResponse, whole)
    try:
        found = ReadDTCInformation.interpret_response(response, report).service_data.dtcs
    except InvalidResponseException as error:
        raise MalformedInputError(f"an answer with UDS trouble codes: {error}") from error
    numbers = [dtc.id.to_bytes(3, "big") for dtc in found]
    return frozenset(f"{code_text(number[:2])}-{number[2]:02X}" for number in numbers)


def changes(before: frozenset[str], after: frozenset[str]) -> tuple[frozenset[str], frozenset[str]]:
    """Codes that are new, and codes that are gone."""
    return after - before, before - after

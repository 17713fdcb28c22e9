"""The VIN as text and as an answer to service 09; no message of ours repeats it (ISO 3779)."""

import re
from typing import Final

from agent.errors import MalformedInputError

LENGTH: Final = 17
_VIN: Final = re.compile(r"[A-HJ-NPR-Z0-9]{17}")


def checked_vin(text: str) -> str:
    """The text itself. Raises MalformedInputError when it cannot be a VIN."""
    if not _VIN.fullmatch(text):
        raise MalformedInputError(
            f"{len(text)} characters are no VIN; it has {LENGTH} of 0-9, A-Z without I, O and Q"
        )
    return text


def vin_of(data: bytes) -> str:
    """From an answer to service 09, PID 02 on CAN: a count of items, then the characters.

    Some ECUs fill up with zero bytes on the left, as on the older buses (SAE J1979, 6.9).
    Raises MalformedInputError.
    """
    return checked_vin(data[1:].strip(b"\0").decode("ascii", "replace"))

"""The payload in a datagram of a V2X unit: bare octets, or an "immediate forward" text.

The text is that of the US DOT's V2X Hub: lines "Name=value", of which Payload holds the
message as hexadecimal digits.
"""

import re
from typing import Final

from agent.errors import MalformedInputError

_TEXT: Final = re.compile(rb"\s*Version\s*=")
_PAYLOAD: Final = re.compile(rb"^[ \t]*Payload[ \t]*=[ \t]*([0-9A-Fa-f]+)[ \t\r]*$", re.MULTILINE)


def payload(datagram: bytes) -> bytes:
    """The message. Raises MalformedInputError for an empty one, and for a text without any."""
    if not datagram:
        raise MalformedInputError("a datagram without octets")
    if not (_TEXT.match(datagram) and datagram.isascii()):
        return datagram
    found = _PAYLOAD.search(datagram)
    if found is None or len(found[1]) % 2:
        raise MalformedInputError("an immediate-forward text without a payload in whole octets")
    return bytes.fromhex(found[1].decode("ascii"))

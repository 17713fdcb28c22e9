"""How the chain's reader takes each kind of field from its raw JSON, quotes included.

Every reader raises MalformedInputError in the chain's own words where they are known;
they become the log of a refused transaction.
"""

import json
import re
from typing import Final

from agent.amo.p256 import public_from_hex
from agent.errors import MalformedInputError

MAX_MOTE: Final = 2**256 - 2
"""The largest amount the chain reads: it wants less than 2^256-1."""

_MIN_INT64, _MAX_INT64 = -(2**63), 2**63 - 1
_DIGITS_OF_INT64: Final = 19
_WHOLE: Final = re.compile(rb"([+-]?)0*([0-9]*)", re.ASCII)
_PUBLIC_JSON_CHARACTERS: Final = 132
_MAX_DIGITS: Final = 78  # of 2^256
_KINDS: Final = {b"{": "object", b"[": "array", b"t": "bool", b"f": "bool", b"n": "null"}


def read_hex(value: bytes) -> bytes:
    """Hex digits of either case, an even number of them."""
    inner = _between_quotes(value)
    if inner is None:
        raise MalformedInputError(f"invalid hex string: {_shown(value)}")
    odd_one = re.search(rb"[^0-9A-Fa-f]", inner)
    if odd_one:
        code = odd_one[0][0]
        raise MalformedInputError(f"encoding/hex: invalid byte: U+{code:04X} {chr(code)!r}")
    if len(inner) % 2:
        raise MalformedInputError("encoding/hex: odd length hex string")
    return bytes.fromhex(inner.decode("ascii"))


def read_public(value: bytes) -> bytes:
    """The 65 bytes of an uncompressed public key."""
    if len(value) != _PUBLIC_JSON_CHARACTERS or _between_quotes(value) is None:
        raise MalformedInputError("Invalid public key format")
    try:
        return public_from_hex(value[1:-1].decode("latin-1"))
    except MalformedInputError as error:
        raise MalformedInputError("Invalid public key format") from error


def read_mote(value: bytes) -> int:
    """An amount in mote: a decimal string, sign and leading zeros allowed, empty for 0."""
    inner = _between_quotes(value)
    if inner is None:
        raise MalformedInputError(
            "Currency should be represented as double-quoted string"
            f"(hex:{value[:64].hex()},str:{_shown(value)})."
        )
    match = _WHOLE.fullmatch(inner)
    if inner and (match is None or not inner[-1:].isdigit()):
        raise MalformedInputError(f"Fail to convert hex string({_shown(inner)})")
    sign, digits = match.groups() if match else (b"", b"")
    mote = int(digits[: _MAX_DIGITS + 1] or b"0") * (-1 if sign == b"-" else 1)
    if len(digits) > _MAX_DIGITS or mote > MAX_MOTE:
        raise MalformedInputError(f"Currency supports up to 32 bytes({_shown(inner)})")
    return mote


def read_text(value: bytes) -> str:
    """A JSON string; nothing else is turned into one."""
    if _between_quotes(value) is None:
        kind = _KINDS.get(value[:1], "number")
        raise MalformedInputError(f"json: cannot unmarshal {kind} into Go value of type string")
    return read_string(value)


def read_string(value: bytes) -> str:
    """Text of a raw JSON string; what is not Unicode becomes U+FFFD."""
    text: str = json.loads(value.decode("utf-8", "replace"))
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def whole_number(text: str) -> int:
    """A signed decimal held inside 64 bits; anything else counts as 0."""
    raw = text.encode("utf-8", "replace")
    match = _WHOLE.fullmatch(raw)
    if match is None or not raw[-1:].isdigit():
        return 0
    digits = match[2][:_DIGITS_OF_INT64]
    size = int(digits or b"0") if digits == match[2] else _MAX_INT64 + 1
    return max(_MIN_INT64, min(_MAX_INT64, -size if match[1] == b"-" else size))


def _between_quotes(value: bytes) -> bytes | None:
    quoted = len(value) > 1 and value[:1] == value[-1:] == b'"'
    return value[1:-1] if quoted else None


def _shown(value: bytes) -> str:
    return value[:64].decode("ascii", "backslashreplace")

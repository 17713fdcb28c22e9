"""Fields of a transaction's payload, read with the types and the texts of the node's parser.

Names are matched without regard to case and the last duplicate wins; unknown fields are passed
over. The texts are those of Go's encoding/json where the field's type does not fit.
"""

import json
import re
from typing import Final

from agent.amo import rawjson
from agent.amo.codes import ResultCode
from agent.amo.devnode.outcome import TxFailedError
from agent.errors import MalformedInputError

MAX_AMOUNT: Final = (1 << 256) - 1
"""Amounts are below this; a sum that would pass it is held at it."""
MAX_UINT32: Final = (1 << 32) - 1

_DECIMAL: Final = re.compile(rb"[+-]?[0-9]+")
_WHOLE: Final = re.compile(rb"0|[1-9][0-9]{0,9}")
_HEX: Final = frozenset(b"0123456789abcdefABCDEF")
_DIGITS: Final = 90  # more than any amount within the limit has, leading zeros aside
_LOG_CHARACTERS: Final = 256
_ESCAPE: Final = re.compile(r"\\.")
_LONG: Final = {"\\b": "\\u0008", "\\f": "\\u000c"}  # no short form in the node's JSON


class Payload:
    """name: of the structure in the node's texts, such as "TransferParam".

    Every reader raises TxFailedError with BAD_PARAM, and gives the zero value for a missing field.
    """

    def __init__(self, raw: bytes, name: str) -> None:
        self._name = name
        self._fields = fields(raw, name)

    def hex(self, field: str) -> bytes:
        """Bytes from a string of hex digits: addresses, parcel ids, custody."""
        raw = self._fields.get(field.lower())
        return b"" if raw is None else read_hex(raw)

    def amount(self, field: str) -> int:
        raw = self._fields.get(field.lower())
        return 0 if raw is None else read_amount(raw)

    def uint32(self, field: str) -> int:
        raw = self._fields.get(field.lower(), b"null")
        if raw == b"null":
            return 0
        if not _WHOLE.fullmatch(raw) or int(raw) > MAX_UINT32:
            raise self._misfit(raw, field, "uint32")
        return int(raw)

    def flag(self, field: str) -> bool:
        raw = self._fields.get(field.lower(), b"null")
        if raw not in (b"true", b"false", b"null"):
            raise self._misfit(raw, field, "bool")
        return raw == b"true"

    def text(self, field: str) -> str:
        raw = self._fields.get(field.lower(), b"null")
        if raw == b"null":
            return ""
        if raw[:1] != b'"':
            raise self._misfit(raw, field, "string")
        return unquote(raw)

    def raw(self, field: str) -> bytes:
        """Any JSON value as the node stores it; empty when the field is missing."""
        raw = self._fields.get(field.lower())
        return b"" if raw is None else rawjson.compact(raw)

    def hex_list(self, field: str) -> list[bytes] | None:
        """None for a missing list and for null, which the node tells apart from an empty one."""
        raw = self._fields.get(field.lower(), b"null")
        if raw == b"null":
            return None
        if raw[:1] != b"[":
            raise self._misfit(raw, field, "[]crypto.Address")
        return [read_hex(element) for element in elements(raw)]

    def _misfit(self, raw: bytes, field: str, kind: str) -> TxFailedError:
        place = f"Go struct field {self._name}.{field} of type {kind}"
        return bad_param(f"json: cannot unmarshal {json_kind(raw)} into {place}")


def fields(raw: bytes, name: str) -> dict[str, bytes]:
    """Lower-case name -> raw value of the last member of that name. null has no fields."""
    if raw == b"null":
        return {}
    if raw[:1] != b"{":
        kind = f"Go value of type types.{name}"
        raise bad_param(f"json: cannot unmarshal {json_kind(raw)} into {kind}")
    try:
        return {unquote(key).lower(): value for key, value in rawjson.members(raw)}
    except MalformedInputError as error:
        raise bad_param(str(error)) from error


def elements(raw: bytes) -> list[bytes]:
    """Raw values of a JSON list."""
    values: list[bytes] = []
    start = 1
    for token in rawjson.tokens(raw):
        if (token.depth, token.kind) in ((1, b","), (0, b"]")):
            values.append(raw[start : token.start].strip(b" \t\r\n"))
            start = token.end
    return [] if values == [b""] else values


def unquote(raw: bytes) -> str:
    """A JSON string as text; what is no character becomes U+FFFD, as in the node."""
    text = raw.decode("utf-8", "replace")
    value = json.loads(text, strict=False)
    return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def quote(text: str) -> bytes:
    """Text as a JSON string of the node: raw UTF-8, and five characters always escaped."""
    plain = _ESCAPE.sub(
        lambda found: _LONG.get(found[0], found[0]), json.dumps(text, ensure_ascii=False)
    )
    return rawjson.escape(plain.encode("utf-8", "replace"))


def json_kind(raw: bytes) -> str:
    """The word for a value's type in the node's texts; a number is shown with its digits."""
    words = {b'"': "string", b"{": "object", b"[": "array", b"t": "bool", b"f": "bool"}
    return words.get(raw[:1]) or f"number {_shown(raw)}"


def read_amount(raw: bytes) -> int:
    """A quoted decimal number; the empty string is 0. Raises TxFailedError."""
    if raw[:1] != b'"':
        hex_text = _shown(raw.hex().encode())
        form = f"double-quoted string(hex:{hex_text},str:{_shown(raw)})"
        raise bad_param(f"Currency should be represented as {form}.")
    digits = raw[1:-1]
    if digits and not _DECIMAL.fullmatch(digits):
        raise bad_param(f"Fail to convert hex string({_shown(digits)})")
    return _bounded(digits)


def stored_amount(raw: bytes) -> int:
    """An amount of the state, which may stand at the limit itself."""
    return int(raw[1:-1])


def _bounded(digits: bytes) -> int:
    sign = -1 if digits[:1] == b"-" else 1
    significant = digits.lstrip(b"+-").lstrip(b"0")
    if len(significant) > _DIGITS or int(significant or b"0") >= MAX_AMOUNT:
        raise bad_param(f"Currency supports up to 32 bytes({_shown(digits)})")
    return sign * int(significant or b"0")


def read_hex(raw: bytes) -> bytes:
    """A quoted string of hex digits of either case. Raises TxFailedError."""
    if raw[:1] != b'"':
        raise bad_param(f"invalid hex string: {_shown(raw)}")
    return unhex(raw[1:-1])


def unhex(digits: bytes) -> bytes:
    """Raises TxFailedError with the text of Go's encoding/hex."""
    for byte in digits:
        if byte not in _HEX:
            raise bad_param(f"encoding/hex: invalid byte: U+{byte:04X} {_character(byte)}")
    if len(digits) % 2:
        raise bad_param("encoding/hex: odd length hex string")
    return bytes.fromhex(digits.decode())


def bad_param(log: str) -> TxFailedError:
    return TxFailedError(ResultCode.BAD_PARAM, log)


def _character(byte: int) -> str:
    return f"'{chr(byte)}'" if chr(byte).isprintable() else f"'\\x{byte:02x}'"


def _shown(raw: bytes) -> str:
    return raw[:_LOG_CHARACTERS].decode("utf-8", "replace")

"""JSON text taken apart without being rewritten.

What the chain signs is a payload as its sender spelt it: order of keys, spelling of
numbers, escapes and duplicates stay. So members are cut out as raw slices, and white
space and a few characters are all that is ever changed. Grammar: RFC 8259; bytes above
7F are not looked at, so text that is not UTF-8 passes unharmed.
"""

import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from agent.errors import MalformedInputError

MAX_DEPTH: Final = 10_000
"""Brackets inside brackets; the limit of the chain's own JSON reader."""

WHITE: Final = b" \t\r\n"
_STRING = rb'"[^"\\\x00-\x1F]*+(?:\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4})[^"\\\x00-\x1F]*+)*+"'
_NUMBER = rb"-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?(?:[eE][+-]?[0-9]++)?"
_TOKEN: Final = re.compile(
    rb"[ \t\r\n]*+(?:([{}\[\]:,])|(" + _STRING + rb")|(" + _NUMBER + rb"|true|false|null))"
)

_ESCAPED: Final = re.compile(rb"[<>&]|\xE2\x80[\xA8\xA9]")
_ESCAPES: Final = {
    b"<": rb"\u003c",
    b">": rb"\u003e",
    b"&": rb"\u0026",
    b"\xe2\x80\xa8": rb"\u2028",
    b"\xe2\x80\xa9": rb"\u2029",
}
"""Characters that never stand raw in what the chain signs or stores."""


class _Due(Enum):
    """What may come next; the value is what is said when something else comes."""

    VALUE = "looking for beginning of value"
    FIRST_VALUE = "looking for a value or ]"
    KEY = "looking for beginning of object key string"
    FIRST_KEY = "looking for a key or }"
    COLON = "after object key"
    MORE = "after a member"
    NOTHING = "after top-level value"


_FIXED: Final = {
    (_Due.KEY, b"s"): _Due.COLON,
    (_Due.FIRST_KEY, b"s"): _Due.COLON,
    (_Due.COLON, b":"): _Due.VALUE,
}


class Token(NamedTuple):
    """kind: one of `{ } [ ] : ,`, `s` for a string, `v` for any other value.

    depth: how many brackets are open around it.
    """

    kind: bytes
    start: int
    end: int
    depth: int


def escape(text: bytes) -> bytes:
    r"""Write < > & U+2028 U+2029 as \uXXXX; whole JSON text or a string of it."""
    return _ESCAPED.sub(lambda found: _ESCAPES[found[0]], text)


def compact(text: bytes) -> bytes:
    """One JSON value without white space outside strings, `escape` applied.

    Raises MalformedInputError.
    """
    return escape(b"".join([text[token.start : token.end] for token in tokens(text)]))


def members(text: bytes) -> list[tuple[bytes, bytes]]:
    """Raw names (with their quotes) and raw values of an object, as sent, duplicates kept.

    Raises MalformedInputError where the text is not JSON or not an object.
    """
    marks = [t for t in tokens(text) if t.depth == 0 or (t.depth == 1 and t.kind in (b":", b","))]
    if marks[0].kind != b"{":
        raise MalformedInputError("JSON text is not an object")
    return [
        (
            text[before.end : colon.start].strip(WHITE),
            text[colon.end : after.start].strip(WHITE),
        )
        for before, colon, after in zip(marks[::2], marks[1::2], marks[2::2], strict=False)
    ]


def decode(text: bytes) -> object:
    """The value of one JSON text, the last of equal names winning.

    A number of more digits than Python reads, and nesting deeper than its stack, raise
    MalformedInputError as text that is not JSON does.
    """
    try:
        value: object = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise MalformedInputError(f"not JSON: {_brief(error)}") from error
    return value


def tokens(text: bytes) -> Iterator[Token]:
    """The tokens of exactly one JSON value. Raises MalformedInputError at the first error."""
    due, at = _Due.VALUE, 0
    opened = bytearray()
    while due is not _Due.NOTHING:
        match = _TOKEN.match(text, at)
        if match is None:
            raise _complaint(text, at, due)
        group = match.lastindex or 0
        kind = (b"", match[1], b"s", b"v")[group]
        after = _follow(due, kind, opened)
        if after is None:
            raise _complaint(text, at, due)
        due, at = after, match.end()
        yield Token(kind, match.start(group), at, len(opened) - (kind in b"{["))
    if text[at:].strip(WHITE):
        raise _complaint(text, at, due)


def _follow(due: _Due, kind: bytes, opened: bytearray) -> _Due | None:
    """What may come after this token; None where the token itself may not stand here."""
    fixed = _FIXED.get((due, kind))
    if fixed is not None:
        return fixed
    if due is _Due.MORE and kind == b",":
        return _Due.KEY if opened.endswith(b"{") else _Due.VALUE
    if due in (_Due.VALUE, _Due.FIRST_VALUE) and kind in b"{[":
        return _open(kind, opened)
    scalar = due in (_Due.VALUE, _Due.FIRST_VALUE) and kind in b"sv"
    return _end(opened) if scalar or _closes(due, kind, opened) else None


def _open(kind: bytes, opened: bytearray) -> _Due:
    opened += kind
    if len(opened) > MAX_DEPTH:
        raise MalformedInputError(f"exceeded max depth of {MAX_DEPTH} brackets")
    return _Due.FIRST_KEY if kind == b"{" else _Due.FIRST_VALUE


def _closes(due: _Due, kind: bytes, opened: bytearray) -> bool:
    """Whether this bracket ends the innermost open one; it is taken off then."""
    for closing, opening, empty in ((b"}", b"{", _Due.FIRST_KEY), (b"]", b"[", _Due.FIRST_VALUE)):
        if kind == closing and due in (_Due.MORE, empty) and opened.endswith(opening):
            opened.pop()
            return True
    return False


def _end(opened: bytearray) -> _Due:
    return _Due.MORE if opened else _Due.NOTHING


def _complaint(text: bytes, at: int, due: _Due) -> MalformedInputError:
    rest = text[at:].lstrip(WHITE)
    if not rest:
        return MalformedInputError("unexpected end of JSON input")
    shown = rest[:1].decode("latin-1")
    return MalformedInputError(f"invalid character {shown!r} {due.value}")


def _refuse_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _brief(error: Exception) -> str:
    """The kind of error only: a parser's own message may carry the text it read."""
    return type(error).__name__

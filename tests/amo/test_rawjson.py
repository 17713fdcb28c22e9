import json
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.amo.rawjson import MAX_DEPTH, compact, decode, escape, members, tokens
from agent.errors import MalformedInputError

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=15,
)


def spread(value: Any, white: str) -> bytes:
    """JSON text with white space wherever it may stand."""
    text = json.dumps(value, separators=(f"{white},{white}", f"{white}:{white}"), indent=1)
    return f"{white}{text}{white}".encode()


@given(JSON, st.text(" \t\r\n", max_size=2), st.booleans())
def test_compact_keeps_the_value_and_drops_the_white_space(
    value: Any, white: str, ascii_only: bool
) -> None:
    plain = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii_only).encode()
    sent = json.dumps(value, indent=1, ensure_ascii=ascii_only).encode()
    assert compact(white.encode() + sent + white.encode()) == escape(plain)
    assert decode(compact(sent)) == value


@given(st.dictionaries(TEXT, JSON, max_size=5), st.text(" \t\r\n", max_size=3))
def test_members_are_the_slices_that_were_sent(value: dict[str, Any], white: str) -> None:
    sent = spread(value, white)
    found = members(sent)
    assert [json.loads(name) for name, _ in found] == list(value)
    assert [json.loads(raw) for _, raw in found] == list(value.values())
    assert all(name in sent and raw in sent for name, raw in found)


REFUSED = object()


def no_constant(name: str) -> object:
    raise ValueError(f"{name} is no JSON")


def by_a_parser(raw: bytes) -> object:
    """What Python's own parser makes of UTF-8 text that is JSON and nothing more."""
    try:
        return json.loads(raw.decode("utf-8"), parse_constant=no_constant)
    except ValueError:
        return REFUSED


def by_ours(raw: bytes) -> object:
    try:
        return decode(compact(raw))
    except MalformedInputError:
        return REFUSED


@given(
    st.binary(max_size=40) | st.text('[]{}:,"\\u01e-+. \ttruefalsn', max_size=20).map(str.encode)
)
def test_what_is_json_is_decided_as_a_parser_decides_it(raw: bytes) -> None:
    assert by_ours(raw) == by_a_parser(raw)


@given(JSON, st.data())
def test_text_cut_short_is_refused(value: Any, data: st.DataObject) -> None:
    sent = json.dumps([value]).encode()
    cut = sent[: data.draw(st.integers(0, len(sent) - 1))]
    with pytest.raises(MalformedInputError):
        list(tokens(cut))


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b" ",
        b"hello",
        b"tru",
        b"01",
        b"1.",
        b".5",
        b"+1",
        b"1e",
        b"--1",
        b"NaN",
        b"Infinity",
        b"'a'",
        b'"a',
        b'"\\x"',
        b'"\\u12g4"',
        b'"\n"',
        b'"\x00"',
        b"[1,]",
        b"[,1]",
        b"[1 2]",
        b"[",
        b"]",
        b"[}",
        b"{]",
        b'{"a":1,}',
        b'{"a"}',
        b'{"a":}',
        b'{"a" 1}',
        b"{1:2}",
        b"{,}",
        b'{"a":1]',
        b"[1}",
        b"{}{}",
        b"{} x",
        b"1,2",
        b"\xef\xbb\xbf{}",
        b"{}\x0b",
        b"\x0c{}",
        b"/**/{}",
        b'{"a":1 "b":2}',
    ],
)
def test_broken_text_is_refused(text: bytes) -> None:
    with pytest.raises(MalformedInputError):
        list(tokens(text))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b" ", "unexpected end of JSON input"),
        (b'{"a":1', "unexpected end of JSON input"),
        (b"{} x", "invalid character 'x' after top-level value"),
    ],
)
def test_complaint_is_worded_as_the_chain_words_it(text: bytes, says: str) -> None:
    with pytest.raises(MalformedInputError) as caught:
        list(tokens(text))
    assert str(caught.value) == says


def test_brackets_colons_and_quotes_inside_strings_are_no_structure() -> None:
    text = rb'{"a\"}:{":"[,]\\","b":{"c":"}"}}'
    assert members(text) == [(rb'"a\"}:{"', rb'"[,]\\"'), (b'"b"', b'{"c":"}"}')]


def test_duplicates_and_their_order_are_kept() -> None:
    assert members(b'{"a":1, "a" : 2 ,"A":3}') == [(b'"a"', b"1"), (b'"a"', b"2"), (b'"A"', b"3")]


def test_spelling_of_numbers_and_escapes_is_kept() -> None:
    text = b'{"n": 1.50E+2, "m": -0, "u": "\\u00FC\\/"}'
    assert compact(text) == b'{"n":1.50E+2,"m":-0,"u":"\\u00FC\\/"}'


def test_five_characters_are_written_as_escapes_and_no_others() -> None:
    text = '["<a>&\u2028\u2029\u2027\u202aü\u007f"]'.encode()
    wanted = '["\\u003ca\\u003e\\u0026\\u2028\\u2029\u2027\u202aü\u007f"]'.encode()
    assert compact(text) == wanted


def test_bytes_that_are_not_utf_8_pass_unharmed() -> None:
    assert compact(b'[ "\xff\xe2\x80" ]') == b'["\xff\xe2\x80"]'


@pytest.mark.parametrize("text", [b"[]", b"1", b'"a"', b"null", b"[{}]"])
def test_members_wants_an_object(text: bytes) -> None:
    with pytest.raises(MalformedInputError, match="not an object"):
        members(text)


def test_deep_nesting_is_read_to_the_limit_and_refused_above() -> None:
    assert compact(b"[" * MAX_DEPTH + b"]" * MAX_DEPTH).startswith(b"[[")
    with pytest.raises(MalformedInputError, match="max depth of 10000"):
        compact(b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1))


@pytest.mark.parametrize(
    "text", [b"[" * 200_000, b"9" * 5_000, b"NaN", b"-Infinity", b"\xff", b'"\x01"', b"{'a':1}"]
)
def test_decode_has_one_error_for_all_that_it_cannot_read(text: bytes) -> None:
    with pytest.raises(MalformedInputError):
        decode(text)


def test_error_of_decode_does_not_repeat_what_was_read() -> None:
    with pytest.raises(MalformedInputError) as caught:
        decode(b'{"vin": "' + string.ascii_letters.encode())
    assert "abc" not in str(caught.value)


def test_token_depth_counts_the_brackets_around_it() -> None:
    kinds = [(token.kind, token.depth) for token in tokens(b'{"a":[1]}')]
    assert kinds == [
        (b"{", 0),
        (b"s", 1),
        (b":", 1),
        (b"[", 1),
        (b"v", 2),
        (b"]", 1),
        (b"}", 0),
    ]

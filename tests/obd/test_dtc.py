import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.obd.dtc import changes, code_bytes, code_text, codes, codes_by_status


@pytest.mark.parametrize(
    ("two_bytes", "code"),
    [
        ("0A80", "P0A80"),
        ("0301", "P0301"),
        ("4123", "C0123"),
        ("9234", "B1234"),
        ("C100", "U0100"),
        ("3FFF", "P3FFF"),
    ],
)
def test_two_bytes_are_the_text_of_j2012(two_bytes: str, code: str) -> None:
    assert code_text(bytes.fromhex(two_bytes)) == code
    assert code_bytes(code) == bytes.fromhex(two_bytes)


@given(st.binary(min_size=2, max_size=2))
def test_any_two_bytes_survive_the_way_there_and_back(two_bytes: bytes) -> None:
    assert code_bytes(code_text(two_bytes)) == two_bytes


@pytest.mark.parametrize("text", ["", "P0A8", "P0A800", "X0A80", "P4A80", "p0a80", "P0A8G"])
def test_text_that_is_no_code_is_refused(text: str) -> None:
    with pytest.raises(MalformedInputError, match="not a trouble code"):
        code_bytes(text)


def test_one_byte_is_no_code() -> None:
    with pytest.raises(MalformedInputError, match="not 1"):
        code_text(b"\x0a")


def test_counted_codes_are_read_and_padding_is_not() -> None:
    assert codes(bytes.fromhex("02 0A80 C100 5555")) == {"P0A80", "U0100"}


def test_no_codes_is_an_answer() -> None:
    assert codes(b"\x00") == frozenset()


def test_zero_pairs_among_the_counted_are_padding() -> None:
    assert codes(bytes.fromhex("02 0A80 0000")) == {"P0A80"}


@pytest.mark.parametrize("data", ["", "01", "010A", "02 0A80", "FF 0A80"])
def test_fewer_codes_than_announced_are_refused(data: str) -> None:
    with pytest.raises(MalformedInputError):
        codes(bytes.fromhex(data))


@given(st.binary(max_size=600))
def test_any_bytes_are_codes_or_malformed(data: bytes) -> None:
    try:
        assert len(codes(data)) <= 255
    except MalformedInputError:
        assert not data or len(data) - 1 < 2 * data[0]


def test_changes_are_what_is_new_and_what_is_gone() -> None:
    before, after = frozenset({"P0A80", "P0301"}), frozenset({"P0301", "U0100"})
    assert changes(before, after) == (frozenset({"U0100"}), frozenset({"P0A80"}))


def test_codes_of_uds_have_their_failure_type() -> None:
    found = codes_by_status(bytes.fromhex("FF 0A8007 2F C10000 08"))
    assert found == {"P0A80-07", "U0100-00"}
    assert codes_by_status(b"\xff") == frozenset()


@pytest.mark.parametrize("data", ["", "FF0A80", "FF0A80072F01"])
def test_half_an_answer_of_uds_is_refused(data: str) -> None:
    with pytest.raises(MalformedInputError, match="UDS"):
        codes_by_status(bytes.fromhex(data))


@given(st.binary(max_size=40))
def test_any_answer_of_uds_is_codes_or_refused(data: bytes) -> None:
    try:
        assert len(codes_by_status(data)) <= len(data) // 4
    except MalformedInputError:
        assert len(data) % 4 != 1

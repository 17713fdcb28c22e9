import codecs
import gzip
import io
import tracemalloc
from contextlib import suppress
from itertools import islice
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.bsm.codec import Codec, UndecodableError
from agent.bsm.input import LONGEST_LINE, Broken, Line, Logged, items, octets, understood
from agent.bsm.item import tree_of_json, tree_of_octets
from agent.bsm.odelog import LogRecord, pack
from agent.errors import MalformedInputError
from tests.bsm.layout import framed, packed

FRAME = framed(packed())
SIGNED = b"\x03\x81\x00\x40\x03\x80" + bytes([len(FRAME)]) + FRAME + b"\x40\x01\x20" + bytes(80)
WSMP = bytes.fromhex("0B040F01AC10010C0401941907010020") + bytes([len(SIGNED)])
UDP = bytes.fromhex("4500004B000100004011000009090909080808080400B6D00037ABCD")


def read(data: bytes) -> list[Line | Logged | Broken]:
    return list(items(io.BufferedReader(io.BytesIO(data))))


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "0x{}",
        "0X{}",
        "  {}\t",
        "\ufeff{}",
        "{} # heard at the crossing",
        "{}\u00a0",
    ],
)
def test_digits_are_read_as_people_write_them(text: str) -> None:
    assert octets(text.format(FRAME.hex())) == FRAME
    assert octets(text.format(FRAME.hex().upper())) == FRAME
    assert octets(text.format(FRAME.hex(" "))) == FRAME
    assert octets(text.format(" ".join(f"0x{octet:02X}" for octet in FRAME))) == FRAME


@pytest.mark.parametrize(
    ("text", "offset"),
    [("001", 12), ("0", 4), ("00zz", 8), ("é0", 0), ("00 1g", 12), ("100x14", 12)],
)
def test_what_is_no_octets_is_refused_at_the_bit(text: str, offset: int) -> None:
    with pytest.raises(UndecodableError) as refused:
        octets(text)
    assert refused.value.offset == offset


def test_blank_lines_and_comments_are_no_messages() -> None:
    found = read(b"# heard\r\n\r\n  \r\n0014\r\n\t# more\n2500")
    assert found == [Line("line 4", "0014"), Line("line 6", "2500")]


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_byte_order_mark_is_no_digit(mark: bytes, encoding: str) -> None:
    assert read(mark + "0014\n25".encode(encoding)) == [
        Line("line 1", "0014"),
        Line("line 2", "25"),
    ]


def test_a_line_of_ten_megabytes_is_one_error_in_bounded_memory() -> None:
    class Source(io.RawIOBase):
        left = 10_000_000
        end = b"\n0014"

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            chunk = b"A" * min(len(buffer), self.left)
            if not chunk:
                chunk, self.end = self.end, b""
            self.left -= min(len(chunk), self.left)
            buffer[: len(chunk)] = chunk
            return len(chunk)

    tracemalloc.start()
    found = list(items(io.BufferedReader(Source())))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert found == [Broken("line 1", f"over {LONGEST_LINE} characters"), Line("line 2", "0014")]
    assert peak < 8_000_000


def test_a_log_is_told_from_text_by_its_first_record() -> None:
    record = LogRecord(payload=FRAME, t_ms=1_525_189_425_399)
    assert read(pack(record) * 2) == [Logged("record 1", record), Logged("record 2", record)]


def test_a_gzipped_log_and_gzipped_text_are_read() -> None:
    record = LogRecord(payload=FRAME)
    assert read(gzip.compress(pack(record))) == [Logged("record 1", record)]
    assert read(gzip.compress(b"0014\n")) == [Line("line 1", "0014")]


def test_gzip_cut_short_is_reported_after_what_could_be_read() -> None:
    data = gzip.compress(b"".join(f"{n:04X}\n".encode() for n in range(9_000)))
    found = read(data[: len(data) // 2])
    assert found[0] == Line("line 1", "0000")
    assert isinstance(found[-1], Broken)


@pytest.mark.parametrize(
    "header", [b"", WSMP, UDP, UDP + WSMP, pack(LogRecord(payload=b"\x01"))[:-3]], ids=len
)
def test_a_header_in_front_is_seen_through(codec: Codec, header: bytes) -> None:
    length = len(SIGNED).to_bytes(2, "little") if header and header[0] == 0 else b""
    assert understood(codec, header + length + SIGNED) == codec.decode_tree(FRAME)


def test_a_bare_frame_behind_a_header_is_found(codec: Codec) -> None:
    assert understood(codec, UDP + FRAME) == codec.decode_tree(FRAME)


def test_every_public_message_is_read_behind_a_header(
    codec: Codec, secured: list[dict[str, Any]]
) -> None:
    for vector in secured:
        tree = codec.decode_tree(bytes.fromhex(vector["bsm_messageframe"]))
        data = bytes.fromhex(vector["hex"])
        record = pack(LogRecord(payload=data, t_ms=1))
        for heard in (data, UDP + data, record):
            assert understood(codec, heard) == tree


def test_the_second_of_two_messages_is_not_taken_for_the_only_one(codec: Codec) -> None:
    with pytest.raises(UndecodableError):
        understood(codec, FRAME + FRAME)


def test_the_error_behind_a_header_counts_from_the_beginning(codec: Codec) -> None:
    broken = framed(packed({"heading": 28_801}))
    with pytest.raises(UndecodableError) as alone:
        understood(codec, broken)
    with pytest.raises(UndecodableError) as behind:
        understood(codec, UDP + broken)
    assert behind.value.offset == alone.value.offset + 8 * len(UDP)


def test_an_other_message_behind_a_header_is_named(codec: Codec) -> None:
    with pytest.raises(UndecodableError, match="message 31"):
        understood(codec, UDP + SIGNED.replace(FRAME, framed(packed(), 31)))


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.binary(max_size=400), st.text(max_size=400).map(str.encode)))
def test_nothing_that_is_read_raises_anything_else(codec: Codec, data: bytes) -> None:
    for item in islice(items(io.BufferedReader(io.BytesIO(data))), 400):
        for read_as in (tree_of_octets, tree_of_json):
            with suppress(MalformedInputError):
                assert read_as(codec, item)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=120), st.binary(max_size=200))
def test_noise_round_a_message_raises_nothing_else(
    codec: Codec, before: bytes, after: bytes
) -> None:
    with suppress(UndecodableError):
        assert understood(codec, before + FRAME + after)

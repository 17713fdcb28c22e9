import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.bsm.odelog import HEADER, Damaged, LogRecord, metadata, pack, records, unpack
from agent.errors import MalformedInputError
from tests.bsm.layout import framed, packed

FRAME = framed(packed())
RECORD = LogRecord(
    source=1,
    latitude_deg=52.5163,
    longitude_deg=13.3777,
    elevation_m=34.5,
    speed_mps=0.14,
    heading_deg=205.975,
    t_ms=1_525_190_663_694,
    security=0,
    payload=FRAME,
)


def read(data: bytes) -> list[LogRecord | Damaged]:
    return list(records(io.BytesIO(data)))


def test_a_record_is_laid_out_little_endian() -> None:
    fields = [
        (1, 1),
        (525_163_000, 4),
        (133_777_000, 4),
        (345, 4),
        (7, 2),
        (16_478, 2),
        (1_525_190_663, 4),
        (694, 2),
        (0, 1),
        (40, 2),
    ]
    header = b"".join(value.to_bytes(size, "little") for value, size in fields)
    assert pack(RECORD) == header + FRAME


@given(
    st.tuples(
        st.integers(0, 8),
        st.integers(-900_000_000, 900_000_001),
        st.integers(-1_799_999_999, 1_800_000_001),
        st.integers(-4096, 61_439),
        st.integers(0, 8191),
        st.integers(0, 28_800),
        st.integers(0, 0xFFFFFFFF),
        st.integers(0, 999),
        st.integers(0, 255),
    ),
    st.binary(min_size=1, max_size=300),
)
def test_every_record_is_written_as_it_was_read(header: tuple[int, ...], payload: bytes) -> None:
    octets = HEADER.pack(*header, len(payload)) + payload
    record = unpack(octets)
    assert record is not None
    assert pack(record) == octets


def test_what_the_unit_did_not_know_is_none() -> None:
    record = unpack(pack(LogRecord(payload=FRAME)))
    assert record == LogRecord(payload=FRAME)


def test_records_follow_each_other_with_and_without_line_feeds() -> None:
    octets = pack(RECORD)
    assert read(octets * 3) == [RECORD] * 3
    assert read((octets + b"\n") * 3) == [RECORD] * 3


def test_a_damaged_record_is_skipped_to_the_next() -> None:
    octets = pack(RECORD)
    assert read(octets + b"\xff" * 50 + octets) == [RECORD, Damaged(len(octets), 50), RECORD]


def test_a_length_that_leads_nowhere_costs_one_record() -> None:
    octets = bytearray(pack(RECORD))
    octets[24:26] = b"\xff\xff"
    assert read(bytes(octets) + pack(RECORD)) == [Damaged(0, len(octets)), RECORD]


@pytest.mark.parametrize("cut", [1, 20, 40, 50, 65])
def test_a_log_cut_short_says_how_much_is_no_record(cut: int) -> None:
    octets = pack(RECORD)
    assert read(octets + octets[:-cut]) == [RECORD, Damaged(len(octets), len(octets) - cut)]


def test_a_log_longer_than_the_buffer_loses_nothing() -> None:
    octets = pack(RECORD)
    assert read(octets * 3000) == [RECORD] * 3000


@given(st.binary(max_size=300))
def test_noise_is_counted_to_the_last_octet(noise: bytes) -> None:
    octets = pack(RECORD)
    found = read(noise + octets)
    lost = sum(item.octets for item in found if isinstance(item, Damaged))
    kept = sum(len(pack(item)) for item in found if isinstance(item, LogRecord))
    separators = noise.count(b"\n") + noise.count(b"\r")
    assert len(noise) + len(octets) - separators <= lost + kept <= len(noise) + len(octets)


@pytest.mark.parametrize(
    "wrong",
    [
        {"source": 9},
        {"source": -1},
        {"t_ms": -1},
        {"t_ms": 1 << 43},
        {"security": 256},
        {"payload": b""},
        {"payload": bytes(65_536)},
    ],
)
def test_a_value_without_room_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MalformedInputError):
        pack(LogRecord(**{"payload": FRAME, **wrong}))


def test_a_record_says_where_and_when_the_unit_was() -> None:
    assert metadata(RECORD) == {
        "bsmSource": "RV",
        "recordGeneratedAt": "2018-05-01T16:04:23.694Z",
        "securityResultCode": "success",
        "receivedMessageDetails": {
            "locationData": {
                "latitude": "52.5163",
                "longitude": "13.3777",
                "elevation": "34.5",
                "speed": "0.14",
                "heading": "205.975",
            }
        },
    }


def test_no_position_is_in_the_text_of_a_record() -> None:
    assert "52" not in repr(RECORD)

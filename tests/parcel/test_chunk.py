"""A parcel holds what the log held, and nothing that was changed on the way."""

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import MalformedInputError, SealError
from agent.events import BrakedHard, BsmMade, DtcSet, SignalsSampled, decode, encode
from agent.parcel import chunk
from agent.parcel.chunk import build, open_parcel
from agent.parcel.series import Row
from agent.privacy import Level

T0 = 1_700_000_000_000_000_000
DEVICE = bytes(range(16))
GOLDEN = Path(__file__).parent / "golden.parcel"
GOLDEN_ROOT = "16201957edcaa9bd8da42c524418b1cfe90da85ea5b9c0b03925b7275587f7f212de"


def sampled(seq: int, origin: str, **series: tuple[list[int], list[float]]) -> Row:
    named = {name.replace("_", "."): columns for name, columns in series.items()}
    event = SignalsSampled(origin=origin, t0_ns=T0 + seq, series=named)
    return seq, T0 + seq, SignalsSampled.kind, encode(event)


def a_drive() -> list[Row]:
    braked = encode(BrakedHard(t_ns=T0 + 9, peak_mps2=4.5, held_ms=300, onset_mps=13.0))
    return [
        sampled(3, "can0", speed_vehicle=([0, 10], [12.5, 12.75]), gear=([5], [4.0])),
        sampled(4, "obd", speed_vehicle=([7], [12.0])),
        (6, T0 + 9, BrakedHard.kind, braked),
        sampled(7, "can0", speed_vehicle=([0], [float("nan")])),
    ]


def packed(rows: list[Row], level: Level = Level.LV3, previous: bytes | None = None) -> bytes:
    return build(rows, device=DEVICE, level=level, first_seq=3, last_seq=9, previous=previous)


def test_every_sample_comes_back_with_metric_origin_seq_time_and_value() -> None:
    found = {
        (chunk.header.metric, chunk.header.origin, *record)
        for chunk in open_parcel(packed(a_drive()[:3])).chunks
        if chunk.header.form == "samples"
        for record in chunk.records()
    }
    assert found == {
        ("speed.vehicle", "can0", 3, T0 + 3, 12.5),
        ("speed.vehicle", "can0", 3, T0 + 13, 12.75),
        ("gear", "can0", 3, T0 + 8, 4.0),
        ("speed.vehicle", "obd", 4, T0 + 11, 12.0),
    }


def test_every_other_event_comes_back_byte_for_byte_under_its_kind() -> None:
    row = a_drive()[2]
    (found,) = [c for c in open_parcel(packed(a_drive())).chunks if c.header.form == "payloads"]
    assert found.header.metric == "braked-hard/1"
    assert list(found.records()) == [(row[0], row[1], row[3])]


def test_the_header_has_span_and_count_of_its_records() -> None:
    header = open_parcel(packed(a_drive())).chunks[2].header
    assert (header.metric, header.origin) == ("speed.vehicle", "can0")
    assert (header.start, header.end, header.records) == (T0 + 3, T0 + 13, 3)


def test_the_manifest_says_device_level_range_and_metadata() -> None:
    data = build(
        a_drive(),
        device=DEVICE,
        level=Level.LV3,
        first_seq=3,
        last_seq=9,
        previous=None,
        metadata={"trip": "to the sea"},
    )
    found = open_parcel(data).manifest
    assert (found.device, found.level) == (DEVICE, Level.LV3)
    assert (found.first_seq, found.last_seq) == (3, 9)
    assert found.metadata == {"trip": "to the sea"}


def test_a_parcel_links_to_the_one_before_by_its_root() -> None:
    first = open_parcel(packed(a_drive()))
    second = open_parcel(packed([], previous=first.root))
    assert second.manifest.previous == first.root


def test_the_same_rows_give_the_same_bytes() -> None:
    assert packed(a_drive()) == packed(a_drive())


def test_a_range_without_events_is_a_parcel_without_chunks() -> None:
    assert open_parcel(packed([])).chunks == ()


def test_each_changed_byte_of_a_parcel_is_found() -> None:
    good = packed(a_drive())
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x01
        try:
            found = open_parcel(bytes(bad))
        except MalformedInputError:
            continue
        # a change of the manifest that is still a manifest has another root
        assert found.root != open_parcel(good).root


def test_a_parcel_cut_anywhere_is_refused() -> None:
    good = packed(a_drive())
    for length in range(len(good)):
        with pytest.raises(MalformedInputError):
            open_parcel(good[:length])


def test_bytes_after_a_parcel_are_refused() -> None:
    with pytest.raises(MalformedInputError):
        open_parcel(packed(a_drive()) + b"\x00")


def test_two_bodies_in_the_wrong_order_are_refused() -> None:
    good = packed(a_drive())
    sizes = [chunk.header.size for chunk in open_parcel(good).chunks]
    start = len(good) - sum(sizes)
    first, second = good[start : start + sizes[0]], good[start + sizes[0] : start + sum(sizes[:2])]
    swapped = good[:start] + second + first + good[start + sum(sizes[:2]) :]
    with pytest.raises(MalformedInputError):
        open_parcel(swapped)


def test_a_parcel_that_unpacks_to_more_than_the_limit_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    good = packed(a_drive())
    monkeypatch.setattr(chunk, "MAX_RAW_BYTES", 100)
    with pytest.raises(MalformedInputError, match="limit 100"):
        open_parcel(good)


def test_a_body_that_contradicts_its_header_is_refused_when_it_is_read() -> None:
    good = packed([sampled(3, "can0", gear=([1, 2], [1.0, 2.0]))])
    (found,) = open_parcel(good).chunks
    header = good.index(struct.pack(">Q", T0 + 5))
    wrong = good[:header] + struct.pack(">Q", T0 + 6) + good[header + 8 :]
    assert found.header.end == T0 + 5
    (lying,) = open_parcel(wrong).chunks
    with pytest.raises(MalformedInputError, match="times"):
        list(lying.records())


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_garbage_after_a_good_beginning_is_refused(tail: bytes) -> None:
    with pytest.raises(MalformedInputError):
        open_parcel(chunk.MAGIC + tail)


@pytest.mark.parametrize("seqs", [(3, 3), (4, 3), (2, 3), (9, 10)])
def test_rows_out_of_order_or_out_of_range_are_refused(seqs: tuple[int, int]) -> None:
    with pytest.raises(MalformedInputError):
        packed([sampled(seq, "can0", gear=([0], [1.0])) for seq in seqs])


def test_samples_with_more_times_than_values_are_refused() -> None:
    with pytest.raises(MalformedInputError):
        packed([sampled(3, "can0", gear=([0, 1], [1.0]))])


def test_a_time_beyond_64_bits_is_refused() -> None:
    with pytest.raises(MalformedInputError):
        packed([sampled(3, "can0", gear=([(1 << 63) - 1], [1.0]))])


def test_a_payload_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(MalformedInputError):
        packed([(3, T0, SignalsSampled.kind, b"\xc1")])


def test_a_signal_more_personal_than_the_parcel_never_gets_in() -> None:
    with pytest.raises(SealError, match="Lv2"):
        packed([sampled(3, "gnss", position_latitude=([0], [37.5]))])


def test_an_event_more_personal_than_the_parcel_never_gets_in() -> None:
    row = (3, T0, BsmMade.kind, encode(BsmMade(message=b"\x00\x14", on_air=False)))
    with pytest.raises(SealError, match="Lv1"):
        packed([row])
    assert len(open_parcel(packed([row], Level.LV1)).chunks) == 1


def test_an_event_kind_nobody_knows_counts_as_lv1_and_travels_unread() -> None:
    row = (3, T0, "seat-adjusted/7", b"\x93\x01\x02\x03")
    with pytest.raises(SealError):
        packed([row])
    (found,) = open_parcel(packed([row], Level.LV1)).chunks
    assert list(found.records()) == [(3, T0, b"\x93\x01\x02\x03")]


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["can0", "can1"]),
            st.sampled_from(["gear", "odometer", "brake.pedal"]),
            st.lists(st.tuples(st.integers(0, 10**9), st.floats(allow_nan=False)), max_size=5),
        ),
        max_size=7,
    )
)
def test_nothing_is_lost_and_nothing_added(
    ticks: list[tuple[str, str, list[tuple[int, float]]]],
) -> None:
    rows: list[Row] = []
    expected: list[tuple[str, str, int, int, float]] = []
    for seq, (origin, name, samples) in enumerate(ticks, start=3):
        series = {name: ([t for t, _ in samples], [v for _, v in samples])}
        event = SignalsSampled(origin=origin, t0_ns=T0, series=series)
        rows.append((seq, T0, SignalsSampled.kind, encode(event)))
        expected += [(name, origin, seq, T0 + t, v) for t, v in samples]
    found = [
        (chunk.header.metric, chunk.header.origin, seq, t_ns, value)
        for chunk in open_parcel(packed(rows)).chunks
        for seq, t_ns, value in chunk.records()
    ]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))


CODE_SET = b"\x92\xa5P0301\xa37E8"
"""As it was when the parcel was made: without the field that came at the end later."""


def golden_rows() -> list[Row]:
    return [*a_drive()[:3], (8, T0 + 20, DtcSet.kind, CODE_SET)]


def test_a_parcel_written_before_is_still_read() -> None:
    """The file was made by `GOLDEN.write_bytes(packed(golden_rows()))` and is never made again."""
    found = open_parcel(GOLDEN.read_bytes())
    assert found.root.hex() == GOLDEN_ROOT
    names = ["braked-hard/1", "dtc-set/1", "gear", "speed.vehicle", "speed.vehicle"]
    assert [c.header.metric for c in found.chunks] == names
    records = [list(c.records()) for c in found.chunks]
    assert records[1] == [(8, T0 + 20, CODE_SET)]
    assert decode(DtcSet.kind, CODE_SET) == DtcSet("P0301", "7E8", "stored")
    assert records[3] == [(3, T0 + 3, 12.5), (3, T0 + 13, 12.75)]

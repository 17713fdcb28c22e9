import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.obd.elmtext import GARBAGE, RESETS, TORN, Line, printed, searching


def frames(text: str) -> list[tuple[str, str, bool]]:
    found = printed(text.encode("latin-1")).frames
    return [(line.ecu, line.data.hex(), line.counted) for line in found]


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("7E803410D32\r\r", ("7E8", "03410d32", False)),
        ("7E8 03 41 0D 32\r\r", ("7E8", "03410d32", False)),
        ("7E8803410D32AAAAAAAA\r\r", ("7E8", "03410d32aaaaaaaa", True)),
        ("7E8403410D32\r\r", ("7E8", "03410d32", True)),
        ("18DAF11003410D32\r\r", ("18DAF110", "03410d32", False)),
        ("18 DA F1 10 8 03 41 0D 32 00 00 00 00\r", ("18DAF110", "03410d3200000000", True)),
        ("SEARCHING...7E803410D32\r", ("7E8", "03410d32", False)),
        ("BUS INIT: OK\r7E803410D32\r", ("7E8", "03410d32", False)),
        ("BUS INIT: ...OK\r\n7E803410D32\r\n", ("7E8", "03410d32", False)),
        ("7E80341\x000D32\r", ("7E8", "03410d32", False)),
    ],
)
def test_frames_are_read_in_each_form_they_are_printed(
    text: str, frame: tuple[str, str, bool]
) -> None:
    assert frames(text) == [frame]
    assert printed(text.encode("latin-1")).remarks == []


@pytest.mark.parametrize(
    "line",
    [
        "7E8",
        "7E80",
        "7E8803410D32AAAAAA",  # one byte less than its length says
        "7E8203410D32",
        "7E803410D32AAAAAAAAAA",  # more than a frame holds
        "7E803410D3G",
        "7E803410D\xe432",
        "7E803410D32<RX ERROR",
        "7E803410D32<DATA ERROR",
        "7E803410D327E903410D32",  # the line end between two was lost
    ],
)
def test_a_line_that_is_no_whole_frame_is_told_by_its_ecu(line: str) -> None:
    found = printed(f"{line}\r\r".encode("latin-1"))
    assert not found.frames
    assert found.torn == {"7E8"}
    assert found.remarks == [TORN]


@pytest.mark.parametrize(
    ("line", "remark"),
    [
        ("NO DATA", "NO DATA"),
        ("UNABLE TO CONNECT", "UNABLE TO CONNECT"),
        ("SEARCHING...UNABLE TO CONNECT", "UNABLE TO CONNECT"),
        ("BUS INIT: ERROR", "BUS INIT"),
        ("BUS INIT: ...ERROR", "BUS INIT"),
        ("BUS BUSY", "BUS BUSY"),
        ("BUS ERROR", "BUS ERROR"),
        ("CAN ERROR", "CAN ERROR"),
        ("FB ERROR", "FB ERROR"),
        ("BUFFER FULL", "BUFFER FULL"),
        ("STOPPED", "STOPPED"),
        ("DATA ERROR", "DATA ERROR"),
        ("<RX ERROR", "RX ERROR"),
        ("LV RESET", "LV RESET"),
        ("LP ALERT", "LP ALERT"),
        ("ACT ALERT", "ACT ALERT"),
        ("!ACT ALERT", "ACT ALERT"),
        ("ERR94", "ERRxx"),
        ("ELM327 v1.5", "ELM327"),
        ("?", "?"),
        ("7D803410D32", GARBAGE),
        ("010D", GARBAGE),
        ("\xff\xfe\x81", GARBAGE),
        ("CN ERROR?", GARBAGE),
    ],
)
def test_each_remark_of_an_adapter_is_known(line: str, remark: str) -> None:
    found = printed(f"\r{line}\r\r".encode("latin-1"))
    assert (found.frames, found.torn, found.remarks) == ([], frozenset(), [remark])


def test_remarks_after_which_nothing_is_set_any_more() -> None:
    assert {"LV RESET", "LP ALERT", "ACT ALERT", "ERRxx", "ELM327"} == RESETS


def test_what_has_no_line_end_yet_is_not_taken() -> None:
    assert frames("7E803410D32\r7E903410D3") == [("7E8", "03410d32", False)]


def test_a_search_is_seen_while_it_goes_on() -> None:
    assert searching(b"\rSEARCHING...")
    assert searching(b"\rBUS INIT: ..")
    assert not searching(b"\r7E803410D32\r")


def test_a_line_shows_no_data() -> None:
    assert "4b4d48" not in repr(Line("7E8", b"KMH", counted=False)).lower()
    assert "KMH" not in repr(printed(b"7E8034B4D48\r"))


@given(st.binary(max_size=200))
def test_any_bytes_are_read_without_an_error(octets: bytes) -> None:
    found = printed(octets)
    assert all(0 < len(line.data) <= 8 for line in found.frames)


@given(st.binary(min_size=8, max_size=8), st.integers(3, 19))
def test_a_counted_frame_that_lost_a_digit_of_its_data_is_never_one(data: bytes, at: int) -> None:
    line = f"7E88{data.hex().upper()}"
    short = line[:at] + line[at + 1 :]
    assert not [f for f in printed(f"{short}\r".encode()).frames if f.counted]

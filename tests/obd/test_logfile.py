"""Whatever a recording is written in, the same frames come out; garbage costs itself."""

import gzip
import random
from collections.abc import Sequence
from pathlib import Path

import can
import pytest

from agent.errors import UsageError
from agent.obd.frame import CanFrame
from agent.obd.logfile import LogFile
from tests.obd.recordings import (
    CAN,
    KONA_LOG,
    PYTHON_CAN,
    RAV4_LOG,
    SAVVYCAN,
    SUBARU_LOG,
    log_files,
    needs_recordings,
)

CANDUMP = "(1533226488.230547) can0 260#08FFFB0000001884\n"
ASC_DEC = "date Thu Jan 1 00:00:10.5 1970\nbase dec timestamps relative\n"
ASC_HEX = "base hex timestamps absolute\n"
TRC_21 = ";$FILEVERSION=2.1\n;$STARTTIME=25569.5\n;$COLUMNS=N,O,T,B,I,d,R,L,D\n"


def log(tmp_path: Path, content: str | bytes, name: str = "drive") -> LogFile:
    path = tmp_path / name
    path.write_bytes(content.encode("utf-8") if isinstance(content, str) else content)
    return LogFile(path)


def content_of(frames: Sequence[CanFrame]) -> list[tuple[int, bytes]]:
    return [(frame.can_id, frame.data) for frame in frames]


# recorded drives


@needs_recordings
@pytest.mark.parametrize(
    ("path", "frames"),
    [
        (RAV4_LOG, 65_879),
        (SUBARU_LOG, 27_435),
        (KONA_LOG, 39_546),
        (CAN / "hyundai-kona-ev" / "221210-1-2021-dcan-car-scanner-elm327.csv.gz", 1_845),
    ],
)
def test_recorded_drive_has_as_many_frames_as_its_description_says(path: Path, frames: int) -> None:
    recording = LogFile(path)
    assert len(list(recording)) == frames
    assert recording.counts.taken == frames
    assert recording.counts.broken == 0


@needs_recordings
@pytest.mark.parametrize("path", log_files(), ids=lambda path: path.name)
def test_recording_is_read_without_a_broken_line(path: Path) -> None:
    recording = LogFile(path)
    frames = list(recording)
    assert recording.complaints == []
    assert recording.counts.taken == len(frames)
    assert len(frames) + recording.counts.other > 0


@needs_recordings
@pytest.mark.parametrize(
    "name", ["BusMasterLog.log.gz", "CRTD_Log.txt.gz", "GVRET_Log.csv.gz", "MicrochipLog.log.gz"]
)
def test_one_recording_in_five_forms_gives_the_same_frames(name: str) -> None:
    candump = list(LogFile(SAVVYCAN / "candump.log.gz"))
    other = list(LogFile(SAVVYCAN / name))
    assert content_of(other) == content_of(candump)
    whole_seconds = [frame.t_ns // 10**9 for frame in candump]
    start = other[0].t_ns - 166_064_000_000  # BUSMASTER writes the time of day
    assert [(frame.t_ns - start) // 10**9 for frame in other] == whole_seconds


@needs_recordings
@pytest.mark.parametrize("name", ["test_CanMessage.blf", "test_CanMessage2.blf", "issue_1256.asc"])
def test_frames_and_times_are_those_python_can_reads(name: str) -> None:
    peer = can.LogReader(
        PYTHON_CAN / name, **({"relative_timestamp": False} if "asc" in name else {})
    )
    theirs = [(m.arbitration_id, bytes(m.data), m.timestamp) for m in peer]
    ours = list(LogFile(PYTHON_CAN / name))
    assert [(i, d) for i, d, _ in theirs] == content_of(ours)
    assert [t for _, _, t in theirs] == pytest.approx([f.t_ns / 1e9 for f in ours], abs=1e-5)


@needs_recordings
def test_undated_forms_say_so() -> None:
    assert not LogFile(SAVVYCAN / "GVRET_Log.csv.gz").dated
    assert LogFile(SAVVYCAN / "BusMasterLog.log.gz").dated
    assert LogFile(RAV4_LOG).dated


@needs_recordings
def test_trace_of_one_recording_in_three_versions_gives_the_same_frames() -> None:
    one, three, two = (
        list(LogFile(PYTHON_CAN / f"test_CanMessage_V{version}.trc"))
        for version in ("1_0_BUS1", "1_3", "2_0_BUS1")
    )
    assert content_of(one) == content_of(three) == content_of(two)
    assert [frame.t_ns for frame in three] == [frame.t_ns for frame in two]
    assert all(abs(a.t_ns - b.t_ns) <= 1_000_000 for a, b in zip(one, two, strict=True))


# one line of each form


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("(1.5) can0 123#0102\n", CanFrame(0x123, b"\1\2", 1_500_000_000, "can0")),
        ("(1.000001) x 00000123#\n", CanFrame(0x123, b"", 1_000_001_000, "x", extended=True)),
        ("(1533226488) can0 123#01\n", CanFrame(0x123, b"\1", 1_533_226_488 * 10**9, "can0")),
        (" (7)  can1  123   [1]  01\n", CanFrame(0x123, b"\1", 7 * 10**9, "can1")),
        ("(1.0) c 123##1AABB T\n", CanFrame(0x123, b"\xaa\xbb", 10**9, "c", fd=True)),
        (
            " (1.25)  can1  123   [2]  01 02  '..'\n",
            CanFrame(0x123, b"\1\2", 1_250_000_000, "can1"),
        ),
        (
            " (2021-09-12 03:15:14.717133)  can0  12345678   [1]  FF\n",
            CanFrame(0x12345678, b"\xff", 1_631_416_514_717_133_000, "can0", extended=True),
        ),
        (
            ASC_DEC + " 1.0 1 Statistic: D 0\n 0.5 1 291 Rx d 2 17 255\n",
            CanFrame(0x123, b"\x11\xff", 12_000_000_000, "can1"),
        ),
        (
            ASC_HEX + " 0.5 1 EngineData Rx d 1 0A Length = 0 BitCount = 0 ID = 291\n",
            CanFrame(0x123, b"\x0a", 500_000_000, "can1"),
        ),
        (
            TRC_21 + " 1 1.5 FD 2 0123 Rx - 12 00 01 02 03 04 05 06 07 08 09 0A 0B\n",
            CanFrame(0x123, bytes(range(12)), 43_200_001_500_000, "can2", fd=True),
        ),
        (
            ";$FILEVERSION=1.1\n;$STARTTIME=25569\n 1) 1059.9 Rx 0300 2 00 01\n",
            CanFrame(0x300, b"\0\1", 1_059_900_000, "can1"),
        ),
        (
            "Time Stamp,ID,Extended,Dir,Bus,LEN,D1,D2\n7,00000123,true,Rx,3,1,AA,00\n",
            CanFrame(0x123, b"\xaa", 7_000, "can3", extended=True),
        ),
        (
            "1.5 2R29 18FF0102 01\n",
            CanFrame(0x18FF0102, b"\1", 1_500_000_000, "can2", extended=True),
        ),
    ],
)
def test_line_of_a_form_becomes_its_frame(tmp_path: Path, text: str, expected: CanFrame) -> None:
    assert list(log(tmp_path, text)) == [expected]


@pytest.mark.parametrize(
    "line", ["(1.0) can0 123#R\n", "(1.0) can0 123#R8\n", "(1.0) can0 20000004#0000000000000000\n"]
)
def test_remote_and_error_frames_are_counted_apart(tmp_path: Path, line: str) -> None:
    recording = log(tmp_path, CANDUMP + line)
    assert len(list(recording)) == 1
    assert (recording.counts.other, recording.counts.broken) == (1, 0)


def test_error_frames_are_counted_by_what_they_say(tmp_path: Path) -> None:
    lines = [
        "(1.0) can0 20000040#0000000000000000\n",
        "(2.0) can0 20000004#0020000000000000\n",
        "(3.0) can0 20000002#\n",
    ]
    recording = log(tmp_path, CANDUMP + "".join(lines))
    assert len(list(recording)) == 1
    assert recording.counts.errors == {"bus off": 1, "error passive": 1, "arbitration lost": 1}
    assert [state for _, _, state in recording.errors.take()] == ["bus off", "error passive"]


def test_error_frames_of_the_console_form_say_the_same(tmp_path: Path) -> None:
    line = " (1.25)  can1  20000040   [8]  00 00 00 00 00 00 00 00   ERRORFRAME\n"
    recording = log(tmp_path, " (1.0)  can1  123   [1]  01\n" + line)
    assert len(list(recording)) == 1
    assert recording.counts.errors == {"bus off": 1}


@pytest.mark.parametrize(
    "line",
    [
        "(1.0) can0 123#000102030405060708\n",
        "(1.0) can0 123#0\n",
        f"(1.0) can0 123##0{'00' * 65}\n",
        "(1.0) can0 20000040#0\n",
    ],
)
def test_wrong_length_costs_the_line(tmp_path: Path, line: str) -> None:
    recording = log(tmp_path, CANDUMP + line)
    assert len(list(recording)) == 1
    assert recording.counts.broken == 1


def test_time_of_day_goes_on_after_midnight(tmp_path: Path) -> None:
    header = "***BUSMASTER Ver 3.2.2***\n***HEX***\n***SYSTEM MODE***\n"
    start = "***START DATE AND TIME 31:12:2020 23:59:00:000***\n"
    lines = "23:59:59:999 Rx 1 0x10 s 1 AA\n0:00:00:0010 Tx 1 0x10 s 1 AB\n"
    before, after = log(tmp_path, header + start + lines)
    assert after.t_ns - before.t_ns == 2_000_000


# what is not as it should be


def test_broken_line_costs_that_line_and_is_named(tmp_path: Path) -> None:
    recording = log(tmp_path, CANDUMP + "(1533226488.3) can0 260#08F\n" + CANDUMP)
    assert len(list(recording)) == 2
    assert recording.counts.broken == 1
    assert recording.complaints == ["line 2: not a line of candump"]


def test_complaints_do_not_quote_data(tmp_path: Path) -> None:
    recording = log(tmp_path, CANDUMP + "(1.0) can0 580#3254334446524556FF\n(x) 325433\n")
    list(recording)
    assert recording.counts.broken == 2
    assert not any("3254" in complaint for complaint in recording.complaints)


def test_at_most_twenty_complaints_are_kept_but_all_are_counted(tmp_path: Path) -> None:
    recording = log(tmp_path, CANDUMP + "nonsense\n" * 50)
    list(recording)
    assert (len(recording.complaints), recording.counts.broken) == (20, 50)


def test_reading_again_counts_anew(tmp_path: Path) -> None:
    recording = log(tmp_path, CANDUMP + "nonsense\n")
    list(recording)
    list(recording)
    assert (recording.counts.taken, recording.counts.broken) == (1, 1)


def test_carriage_returns_end_lines_too(tmp_path: Path) -> None:
    assert len(list(log(tmp_path, CANDUMP.replace("\n", "\r") * 3))) == 3
    assert len(list(log(tmp_path, CANDUMP.replace("\n", "\r\n") * 20_000))) == 20_000


def test_last_line_needs_no_line_end(tmp_path: Path) -> None:
    assert len(list(log(tmp_path, CANDUMP + CANDUMP.strip()))) == 2


def test_huge_line_is_one_broken_line(tmp_path: Path) -> None:
    recording = log(tmp_path, CANDUMP + "A" * 3_000_000 + "\n" + CANDUMP)
    assert len(list(recording)) == 2
    assert recording.counts.broken == 1


def test_zero_bytes_and_binary_lines_are_broken_lines(tmp_path: Path) -> None:
    recording = log(tmp_path, CANDUMP.encode() + b"\0\0\xff\xfe\n" + CANDUMP.encode())
    assert len(list(recording)) == 2
    assert recording.counts.broken == 1


def test_frame_outside_the_limits_is_a_broken_line(tmp_path: Path) -> None:
    recording = log(tmp_path, CANDUMP + "(1.0) can0 FFF#00\n(9999999999.0) can0 123#00\n")
    assert len(list(recording)) == 1
    assert "CAN id 0xfff" in recording.complaints[0]
    assert "time" in recording.complaints[1]


def test_gzip_cut_short_keeps_what_was_read(tmp_path: Path) -> None:
    rng = random.Random(1)
    text = "".join(f"(1.0) can0 123#{rng.randbytes(8).hex()}\n" for _ in range(2000))
    whole = gzip.compress(text.encode())
    recording = log(tmp_path, whole[: len(whole) // 2])
    assert 500 < len(list(recording)) < 2000
    assert "compressed" in recording.complaints[-1]


def test_form_is_found_by_content_not_by_name(tmp_path: Path) -> None:
    assert log(tmp_path, gzip.compress(CANDUMP.encode()), "drive.asc").form == "candump"


def test_start_is_the_time_of_the_first_frame(tmp_path: Path) -> None:
    assert log(tmp_path, CANDUMP).start_ns == 1_533_226_488_230_547_000


def test_complaints_about_the_search_for_the_start_are_not_kept(tmp_path: Path) -> None:
    assert log(tmp_path, "nonsense\n" + CANDUMP).complaints == []


@pytest.mark.parametrize(
    "content",
    [
        b"\x00" * 5000,
        random.Random(2).randbytes(100_000),
        b"t,speed_mps\n1533226488.2,7.9\n",
        CANDUMP.encode("utf-16"),
        b"\x1f\x8b" + b"no gzip at all",
        b"A" * 1_000_000,
        b"\n\n\n",
    ],
)
def test_what_is_no_recording_is_refused_with_its_path(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(UsageError, match="drive"):
        log(tmp_path, content)


def test_empty_missing_and_directory_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="empty"):
        log(tmp_path, b"")
    with pytest.raises(UsageError, match="no such file"):
        LogFile(tmp_path / "absent.log")
    with pytest.raises(UsageError, match="a directory"):
        LogFile(tmp_path)


def blf(tmp_path: Path, frames: int) -> bytes:
    path = tmp_path / "written.blf"
    with can.BLFWriter(path) as writer:
        for number in range(frames):
            writer(
                can.Message(
                    timestamp=1_600_000_000 + number / 1000,
                    arbitration_id=number & 0x7FF,
                    is_extended_id=False,
                    data=bytes([number & 255] * 8),
                    channel=1,
                )
            )
    return path.read_bytes()


def test_blf_gives_back_what_was_written(tmp_path: Path) -> None:
    recording = log(tmp_path, blf(tmp_path, 10_000))
    frames = list(recording)
    assert (recording.form, len(frames), recording.complaints) == ("Vector BLF", 10_000, [])
    assert frames[1234].can_id == 1234
    assert abs(frames[1234].t_ns - 1_600_000_001_234_000_000) < 1_000  # the writer rounds
    assert recording.dated


@pytest.mark.parametrize("cut", [100, 200, 5_000, -30, -100])
def test_truncated_blf_keeps_what_was_read(tmp_path: Path, cut: int) -> None:
    whole = blf(tmp_path, 10_000)
    recording = log(tmp_path, whole[:cut])
    assert len(list(recording)) < 10_000
    assert recording.complaints


def test_blf_whose_lengths_lie_ends(tmp_path: Path) -> None:
    whole = bytearray(blf(tmp_path, 100))
    for place in range(144, len(whole)):
        damaged = whole.copy()
        damaged[place] ^= 0xFF
        recording = log(tmp_path, bytes(damaged))
        assert len(list(recording)) <= 100


@needs_recordings
def test_damaged_recordings_never_raise_anything_else(tmp_path: Path) -> None:
    rng = random.Random(3)
    small = [path for path in log_files() if path.stat().st_size < 20_000]
    for path in small:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
        content = content[:6_000]
        for _ in range(15):
            damaged = bytearray(content)
            for _ in range(rng.randrange(1, 30)):
                damaged[rng.randrange(len(damaged))] = rng.randrange(256)
            try:
                list(log(tmp_path, bytes(damaged)))
            except UsageError:
                continue

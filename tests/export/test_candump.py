"""candump lines that the project's own log reader and python-can's read back frame for frame."""

import io
from collections.abc import Sequence
from pathlib import Path

import can
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.events import CapturedFrame, FramesCaptured
from agent.export.candump import write
from agent.obd.frame import FD_LENGTHS, CanFrame
from agent.obd.logfile import LogFile
from agent.privacy import Level
from tests.export.made import T0_NS, made, sampled

EXTENDED, REMOTE, ERROR = 0x8000_0000, 0x4000_0000, 0x2000_0000
FD, BRS = 0x04, 0x01
BUS_ERROR = 0x80


def lines(frames: Sequence[CapturedFrame], origin: str = "can0") -> str:
    out = io.BytesIO()
    write([made(FramesCaptured(origin, T0_NS, list(frames)), level=Level.LV4)], out)
    return out.getvalue().decode()


@st.composite
def data_frames(draw: st.DrawFn) -> CapturedFrame:
    fd = draw(st.booleans())
    extended = draw(st.booleans())
    can_id = draw(st.integers(0, 0x1FFF_FFFF if extended else 0x7FF))
    length = draw(st.sampled_from(FD_LENGTHS if fd else FD_LENGTHS[:9]))
    data = draw(st.binary(min_size=length, max_size=length))
    flags = FD | draw(st.integers(0, 3)) if fd else 0
    offset_ns = draw(st.integers(0, 2**32 - 1))
    return CapturedFrame(offset_ns, can_id | EXTENDED * extended, flags, data)


@given(st.lists(data_frames(), min_size=1, max_size=20))
def test_data_frames_come_back_frame_for_frame(
    tmp_path_factory: pytest.TempPathFactory, frames: list[CapturedFrame]
) -> None:
    path = tmp_path_factory.getbasetemp() / "frames.log"
    path.write_text(lines(frames))

    log = LogFile(path)

    assert list(log) == [
        CanFrame(
            frame.can_id & 0x1FFF_FFFF,
            frame.data,
            (T0_NS + frame.offset_ns) // 1000 * 1000,
            "can0",
            bool(frame.can_id & EXTENDED),
            bool(frame.flags & FD),
        )
        for frame in frames
    ]
    assert (log.form, log.counts.broken, log.counts.other) == ("candump", 0, 0)


def test_remote_and_error_frames_are_told_apart_by_another_reader(tmp_path: Path) -> None:
    text = lines(
        [
            CapturedFrame(0, 0x123 | REMOTE, 0, bytes(8)),
            CapturedFrame(1000, 0x12345678 | EXTENDED | REMOTE, 0, b""),
            CapturedFrame(2000, BUS_ERROR | ERROR, 0, bytes((0, 0, 8, 0, 0, 0, 0, 0))),
            CapturedFrame(3000, 0x001 | EXTENDED, FD | BRS, bytes(range(64))),
            CapturedFrame(4000, 0x7FF, 0, b"\x01"),
        ]
    )
    remote, long_remote, error, fd, plain = can.CanutilsLogReader(io.StringIO(text))

    assert (remote.is_remote_frame, remote.arbitration_id, remote.dlc) == (True, 0x123, 8)
    assert (long_remote.is_remote_frame, long_remote.is_extended_id) == (True, True)
    assert (long_remote.arbitration_id, long_remote.dlc) == (0x12345678, 0)
    assert error.is_error_frame
    assert (fd.is_fd, fd.bitrate_switch, fd.is_extended_id) == (True, True, True)
    assert (fd.arbitration_id, bytes(fd.data)) == (1, bytes(range(64)))
    assert (plain.is_extended_id, plain.arbitration_id, bytes(plain.data)) == (False, 0x7FF, b"\1")

    path = tmp_path / "frames.log"
    path.write_text(text)
    log = LogFile(path)
    assert [frame.can_id for frame in log] == [1, 0x7FF]
    assert (log.counts.other, log.counts.broken) == (3, 0)


@pytest.mark.parametrize(
    ("origin", "bus"),
    [("can0", "can0"), ("a b\nc\t", "a_b_c_"), ("", "_"), ("x" * 100, "x" * 64)],
)
def test_a_bus_name_never_ends_the_line(origin: str, bus: str) -> None:
    assert lines([CapturedFrame(0, 0x10, 0, b"\xff")], origin) == (
        f"(1700000000.123456) {bus} 010#FF\n"
    )


def test_events_without_frames_leave_no_line() -> None:
    out = io.BytesIO()
    write([sampled("can0", gear=([0], [1.0]))], out)
    assert out.getvalue() == b""

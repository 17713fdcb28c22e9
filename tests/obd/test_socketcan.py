"""Frames as the kernel writes them become frames of ours; filters are what the kernel expects.

The octets are those of linux/can.h; UDP on loopback carries them where the kernel has no CAN. The
tests in hil/ read real interfaces.
"""

import errno
import socket
import struct
from collections.abc import Iterator

import can
import pytest
from can.interfaces.socketcan.socketcan import build_can_frame

from agent.errors import ConfigError, SourceLostError
from agent.obd.bus import open_bus
from agent.obd.frame import CanFrame, Counts
from agent.obd.socketcan import FILTERS_MAX, LEFT_UNREAD, QUEUE_FULL, SocketCan, filters

DATA = bytes(range(8))
FILTER_SIZE = 8


def classic(key: int, data: bytes = DATA) -> bytes:
    return struct.pack("=IB3x8s", key, len(data), data)


def fd(key: int, data: bytes) -> bytes:
    return struct.pack("=IBB2x64s", key, len(data), 0x04, data)


class Wire:
    """A reader and somebody who sends to it."""

    def __init__(self) -> None:
        self.reader = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.reader.bind(("127.0.0.1", 0))
        self.sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sender.connect(self.reader.getsockname())
        self.counts = Counts()
        self.bus = SocketCan(self.reader, "can7", self.counts)

    def read(self, *raw: bytes) -> list[CanFrame]:
        for one in raw:
            self.sender.send(one)
        return self.bus.read()


@pytest.fixture
def wire() -> Iterator[Wire]:
    made = Wire()
    yield made
    made.bus.close()
    made.sender.close()


def test_kinds_of_frames_keep_their_marks(wire: Wire) -> None:
    frames = wire.read(
        classic(0x123), classic(0x8000_0123, b"\1"), fd(0x9ABC_DEF0, bytes(64)), fd(0x7FF, b"")
    )
    assert [(f.can_id, f.data, f.extended, f.fd, f.channel) for f in frames] == [
        (0x123, DATA, False, False, "can7"),
        (0x123, b"\1", True, False, "can7"),
        (0x1ABC_DEF0, bytes(64), True, True, "can7"),
        (0x7FF, b"", False, True, "can7"),
    ]


def test_octets_that_python_can_sends_are_read(wire: Wire) -> None:
    plain = can.Message(arbitration_id=0x123, is_extended_id=False, data=DATA)
    wide = can.Message(arbitration_id=0x1234567, data=DATA * 2, is_fd=True)
    remote = can.Message(arbitration_id=0x55, is_remote_frame=True)
    frames = wire.read(*map(build_can_frame, (plain, wide, remote)))
    assert [(f.can_id, f.data, f.extended, f.fd) for f in frames] == [
        (0x123, DATA, False, False),
        (0x1234567, DATA * 2, True, True),
    ]
    assert wire.counts.remote == 1


def test_frames_without_data_are_counted_by_what_they_are(wire: Wire) -> None:
    error = struct.pack("=IB3x8s", 0x2000_0004, 8, b"\0\x10" + bytes(6))
    assert wire.read(classic(0x4000_0123, b""), error, classic(0x2000_0040)) == []
    assert wire.counts.remote == 1
    assert wire.counts.errors == {"error passive": 1, "bus off": 1}
    assert [state for _, _, state in wire.bus.errors.take()] == ["error passive", "bus off"]


@pytest.mark.parametrize("raw", [b"", bytes(15), bytes(17), bytes(71)])
def test_what_is_no_frame_is_counted_and_costs_itself(wire: Wire, raw: bytes) -> None:
    assert [frame.can_id for frame in wire.read(raw, classic(0x55))] == [0x55]
    assert wire.counts.broken == 1


def test_length_above_the_frames_own_is_broken(wire: Wire) -> None:
    assert wire.read(struct.pack("=IB3x64s", 0x12, 65, b"")) == []
    assert wire.counts.broken == 1


def test_reader_knows_whether_it_is_behind(wire: Wire) -> None:
    assert len(wire.read(*[classic(1)] * 700)) == 500
    assert wire.bus.behind
    assert len(wire.bus.read()) == 200
    assert not wire.bus.behind


def test_waiting_ends_when_a_frame_is_there(wire: Wire) -> None:
    assert not wire.bus.wait(0.01)
    wire.sender.send(classic(1))
    assert wire.bus.wait(1)


def test_every_frame_of_a_flood_is_taken_dropped_or_left(wire: Wire) -> None:
    flood = 60_000
    for _ in range(flood):
        wire.sender.send(classic(1))
    taken = sum(len(wire.bus.read()) for _ in range(10))
    wire.bus.close()
    losses = wire.counts.losses
    assert losses[QUEUE_FULL] > 0
    assert losses[LEFT_UNREAD] > 0
    assert taken + losses.total() == flood


def test_closing_twice_counts_once(wire: Wire) -> None:
    wire.sender.send(classic(1))
    wire.bus.close()
    wire.bus.close()
    assert wire.counts.losses[LEFT_UNREAD] == 1


def test_filters_are_exact_in_identifier_and_kind() -> None:
    packed = filters({0x123, 0x8000_0123})
    pairs = [struct.unpack_from("=II", packed, at) for at in range(0, len(packed), FILTER_SIZE)]
    assert pairs == [(0x123, 0xC000_07FF), (0x8000_0123, 0xDFFF_FFFF)]
    for frame, passes in [(0x123, 1), (0x8000_0123, 1), (0x4000_0123, 0), (0x124, 0)]:
        # as the kernel has it: frame & mask == id & mask
        assert sum(frame & mask == key & mask for key, mask in pairs) == passes


def test_more_filters_than_the_kernel_takes_are_refused() -> None:
    assert len(filters(range(FILTERS_MAX))) == FILTERS_MAX * FILTER_SIZE
    with pytest.raises(ConfigError, match="513 ids are described; at most 512"):
        filters(range(FILTERS_MAX + 1))


def test_interface_that_is_not_there_is_a_lost_source() -> None:
    with pytest.raises(SourceLostError, match="can:absent7: cannot be opened") as caught:
        open_bus("can:absent7", only={1})
    assert isinstance(caught.value.__cause__, OSError)
    assert caught.value.__cause__.errno in {errno.EAFNOSUPPORT, errno.ENODEV}

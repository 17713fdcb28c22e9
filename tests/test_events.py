"""What an event says comes back as it was said, to the last bit."""

import struct
from pathlib import Path

from agent.clock import ClockQuality
from agent.events import SignalsSampled, decode, encode
from agent.eventstore.log import Draft
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.verify import verify
from agent.parcel.chunk import build, open_parcel
from agent.privacy import Level

PATTERNS = (
    0x8000000000000000,  # -0.0
    0x0000000000000001,  # the smallest there is
    0x7FEFFFFFFFFFFFFF,  # the largest
    0x7FF0000000000000,
    0xFFF0000000000000,  # both infinities
    0x7FF8000000000000,
    0x7FF8DEADBEEF0001,
    0xFFF8000000000001,  # no numbers, with something in them
    0x43E0000000000000,  # 2^63
    0x43F0000000000000,  # 2^64
    0x4340000000000001,  # 2^53 + 2
)
LATEST_NS = 2**63 - 1
OFFSETS = [0, 1, -1, 2**53 + 1, 2**62, -(2**62), 0, 0, 0, 0, 0]


def value(bits: int) -> float:
    (number,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    assert isinstance(number, float)
    return number


def bits(numbers: list[float]) -> tuple[int, ...]:
    return tuple(int.from_bytes(struct.pack(">d", number), "big") for number in numbers)


SAMPLED = SignalsSampled("can0", 0, {"speed.vehicle": (OFFSETS, [value(b) for b in PATTERNS])})


def test_rt_60_odd_numbers_have_the_bytes_of_messagepack() -> None:
    event = SignalsSampled("can0", LATEST_NS, {"gear": ([-1], [value(PATTERNS[6])])})
    assert encode(event) == bytes.fromhex(
        "93"  # array of three
        "a463616e30"  # "can0"
        "cf7fffffffffffffff"  # u64
        "81a467656172"  # map of one: "gear"
        "92" "91ff" "91cb7ff8deadbeef0001"  # offsets, values
    )  # fmt: skip


def test_rt_60_odd_numbers_come_back_from_the_log_to_the_last_bit(tmp_path: Path) -> None:
    edges = [(-(2**63), 0), (LATEST_NS, 2**64 - 1), (-1, 2**63), (0, 2**63 - 1)]
    with SqliteLog.open(tmp_path, create=True) as log:
        log.append(
            [
                Draft(SAMPLED.kind, Level.LV3, t_ns, mono_ns, ClockQuality.GNSS, encode(SAMPLED))
                for t_ns, mono_ns in edges
            ]
        )
        found = list(log.read())
    assert [(event.t_ns, event.mono_ns) for event in found] == edges
    for event in found:
        read = decode(event.kind, event.payload)
        assert isinstance(read, SignalsSampled)
        offsets, values = read.series["speed.vehicle"]
        assert (offsets, bits(values)) == (OFFSETS, PATTERNS)
    assert verify(tmp_path / "events.db").verdict == "intact"


def test_rt_60_odd_numbers_come_back_from_a_parcel_to_the_last_bit() -> None:
    rows = [(7, 0, SAMPLED.kind, encode(SAMPLED))]
    packed = build(rows, device=bytes(32), level=Level.LV3, first_seq=7, last_seq=7, previous=None)
    [chunk] = open_parcel(packed).chunks
    records = list(chunk.records())
    assert [t_ns for _, t_ns, _ in records] == OFFSETS
    values = [number for _, _, number in records if isinstance(number, float)]
    assert bits(values) == PATTERNS

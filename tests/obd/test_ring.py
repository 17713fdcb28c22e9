from random import Random

from hypothesis import given
from hypothesis import strategies as st

from agent.clock import MS, SECOND
from agent.obd.frame import CanFrame
from agent.obd.ring import Ring

START_NS = 1_700_000_000 * SECOND
MIB = 1 << 20


def frame(at_ns: int, can_id: int = 0x130, data: bytes = bytes(8)) -> CanFrame:
    return CanFrame(can_id, data, START_NS + at_ns, "can0")


def taken(ring: Ring) -> list[CanFrame]:
    pieces = iter(ring.take, None)
    return [frame for piece in pieces for frame in piece.unpacked()]


def filled(seconds: int, span_s: int, bytes_max: int = 32 * MIB, rate: int = 100) -> Ring:
    ring = Ring("can0", span_s * SECOND, bytes_max)
    step_ns = SECOND // rate
    for number in range(seconds * rate):
        data = number.to_bytes(8, "big")
        ring.add([frame(number * step_ns, data=data)], number * step_ns)
    return ring


@st.composite
def frames(draw: st.DrawFn) -> CanFrame:
    extended, fd = draw(st.booleans()), draw(st.booleans())
    can_id = draw(st.integers(0, 0x1FFF_FFFF if extended else 0x7FF))
    data = draw(st.binary(max_size=64 if fd else 8))
    return CanFrame(can_id, data, draw(st.integers(0, 2**62)), "can0", extended, fd)


@given(st.lists(frames(), max_size=50))
def test_every_frame_comes_out_as_it_went_in(given_: list[CanFrame]) -> None:
    ring = Ring("can0", SECOND, MIB)
    if given_:
        ring.add(given_, 0)
    ring.freeze(0, 0)
    assert taken(ring) == given_


def test_what_is_frozen_begins_and_ends_where_it_should() -> None:
    ring = filled(60, span_s=30)
    now = 60 * SECOND
    ring.freeze(now - 10 * SECOND, now + 5 * SECOND)
    for number in range(6000, 8000):
        ring.add([frame(number * 10 * MS, data=number.to_bytes(8, "big"))], number * 10 * MS)
    numbers = [int.from_bytes(frame.data, "big") for frame in taken(ring)]
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert 4900 <= numbers[0] <= 5000
    assert 6500 <= numbers[-1] <= 6600


def test_a_frame_is_handed_out_once_however_often_it_is_frozen() -> None:
    ring = filled(20, span_s=30)
    for _ in range(3):
        ring.freeze(0, 20 * SECOND)
    assert len(taken(ring)) == 2000
    ring.freeze(0, 20 * SECOND)
    assert taken(ring) == []


def test_what_is_older_than_the_ring_is_long_is_forgotten() -> None:
    ring = filled(100, span_s=10)
    ring.freeze(0, 0)
    assert 1000 <= len(taken(ring)) <= 1100


def test_memory_is_bounded_and_the_newest_stay() -> None:
    random, limit = Random(1), 200_000
    ring = Ring("can0", 600 * SECOND, limit)
    for number in range(50_000):
        at_ns = number * MS
        ring.add([frame(at_ns, data=random.randbytes(8))], at_ns)
    ring.freeze(0, 0)
    pieces = list(iter(ring.take, None))
    assert 0.8 * limit < sum(len(piece.packed) for piece in pieces) <= limit + 10_000
    assert list(pieces[-1].unpacked())[-1].t_ns == START_NS + 49_999 * MS
    assert ring.lost == 0


def test_frozen_frames_that_nobody_takes_are_bounded_and_counted() -> None:
    random = Random(1)
    ring = Ring("can0", 0, 100_000)
    ring.freeze(0, 10**18)
    for number in range(50_000):
        ring.add([frame(number * MS, data=random.randbytes(8))], number * MS)
    ring.close()
    assert ring.lost > 0
    assert len(taken(ring)) + ring.lost == 50_000


def test_a_clock_that_is_set_back_begins_a_new_piece() -> None:
    ring = Ring("can0", SECOND, MIB)
    ring.add([frame(5 * SECOND), frame(0), frame(1)], 0)
    ring.freeze(0, 0)
    assert [piece.frames for piece in iter(ring.take, None)] == [1, 2]

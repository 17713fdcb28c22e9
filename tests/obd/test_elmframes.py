import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.obd.elmframes import messages

FIRST, SECOND, THIRD = (
    bytes.fromhex(frame) for frame in ("10144902014B4D48", "2154455354303030", "2230303030303137")
)
VIN = b"\x49\x02\x01KMHTEST0000000017"


def whole(frames: list[bytes], *, padded: bool = True) -> list[bytes]:
    return messages(frames, padded=padded)[0]


def test_an_answer_of_one_frame_has_the_length_it_tells() -> None:
    assert whole([bytes.fromhex("03410D32AAAAAAAA")]) == [bytes.fromhex("410D32")]
    assert whole([bytes.fromhex("03410D32")], padded=False) == [bytes.fromhex("410D32")]


@pytest.mark.parametrize(
    ("frame", "padded"),
    [
        ("03410D32AAAAAA", True),  # one byte was lost
        ("03410D32", True),
        ("064100BE3FA813", True),
        ("03410D", False),
        ("03410D32AAAAAAAA", False),
        ("00410D32AAAAAAAA", True),
        ("08410D32AAAAAAAA", True),
        ("300000AAAAAAAAAA", True),
        ("F3410D32AAAAAAAA", True),
    ],
)
def test_a_frame_of_another_length_is_refused_with_a_reason(frame: str, *, padded: bool) -> None:
    found, reasons = messages([bytes.fromhex(frame)], padded=padded)
    assert found == []
    assert len(reasons) == 1


@pytest.mark.parametrize(
    "order",
    [
        [FIRST, SECOND, THIRD],
        [FIRST, THIRD, SECOND],
        [SECOND, THIRD, FIRST],
        [FIRST, SECOND, SECOND, THIRD],
        [FIRST, FIRST, SECOND, THIRD],
    ],
)
def test_frames_out_of_order_or_printed_twice_are_put_right(order: list[bytes]) -> None:
    assert whole(order) == [VIN]


@pytest.mark.parametrize(
    "frames",
    [
        [FIRST, SECOND],
        [FIRST, THIRD],
        [SECOND, THIRD],
        [FIRST],
        [FIRST, SECOND, b"\x21OTHER00", THIRD],  # two that claim the same place
        [FIRST, SECOND, THIRD, b"\x23more000"],
        [FIRST, b"\x10\x0c" + FIRST[2:], SECOND, THIRD],
        [FIRST[:7], SECOND, THIRD],
        [FIRST, SECOND[:7], THIRD],
        [FIRST, SECOND, THIRD[:7]],
        [b"\x10\x05\x49\x02\x01KMH"],
    ],
)
def test_a_message_that_is_not_whole_is_refused(frames: list[bytes]) -> None:
    found, reasons = messages(frames, padded=True)
    assert found == []
    assert reasons


def test_refusals_and_answers_of_one_ecu_stand_beside_each_other() -> None:
    pending = bytes.fromhex("037F0178AAAAAAAA")
    assert whole([pending, FIRST, SECOND, THIRD]) == [bytes.fromhex("7F0178"), VIN]


def cut(message: bytes) -> list[bytes]:
    """Frames of a message that needs several, none padded."""
    parts = [message[at : at + 7] for at in range(6, len(message), 7)]
    first = bytes([0x10 | len(message) >> 8, len(message) & 0xFF]) + message[:6]
    return [first, *(bytes([0x20 | (n + 1) % 16]) + part for n, part in enumerate(parts))]


@given(st.binary(min_size=8, max_size=1500), st.booleans())
def test_every_length_of_message_comes_back_as_it_was(message: bytes, padded: bool) -> None:
    frames = [frame.ljust(8, b"\x55") if padded else frame for frame in cut(message)]
    assert whole(frames, padded=padded) == [message]


@given(st.binary(min_size=130, max_size=300), st.data())
def test_of_more_frames_than_numbers_none_may_be_missing(
    message: bytes, data: st.DataObject
) -> None:
    frames = cut(message)
    del frames[data.draw(st.integers(1, len(frames) - 1))]
    assert whole(frames, padded=False) == []

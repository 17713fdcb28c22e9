"""What exists as a frame is a valid CAN frame."""

import pytest

from agent.errors import MalformedInputError
from agent.obd.frame import CanFrame


@pytest.mark.parametrize(
    ("can_id", "extended"), [(0, False), (0x7FF, False), (0, True), (0x1FFF_FFFF, True)]
)
def test_identifiers_up_to_the_limit_are_taken(can_id: int, extended: bool) -> None:
    assert CanFrame(can_id, b"", 0, "can0", extended).can_id == can_id


@pytest.mark.parametrize(
    ("can_id", "extended"), [(-1, False), (0x800, False), (-1, True), (0x2000_0000, True)]
)
def test_identifier_outside_the_limit_is_refused(can_id: int, extended: bool) -> None:
    with pytest.raises(MalformedInputError, match="CAN id"):
        CanFrame(can_id, b"", 0, "can0", extended)


def test_classic_frame_has_at_most_8_bytes() -> None:
    assert len(CanFrame(1, bytes(8), 0, "can0").data) == 8
    with pytest.raises(MalformedInputError, match="9 data bytes; at most 8"):
        CanFrame(1, bytes(9), 0, "can0")


def test_fd_frame_has_at_most_64_bytes() -> None:
    assert len(CanFrame(1, bytes(64), 0, "can0", fd=True).data) == 64
    with pytest.raises(MalformedInputError, match="65 data bytes; at most 64"):
        CanFrame(1, bytes(65), 0, "can0", fd=True)


@pytest.mark.parametrize("t_ns", [-1, 2**62 + 1, 2**63])
def test_time_must_fit_64_bits(t_ns: int) -> None:
    with pytest.raises(MalformedInputError, match="time"):
        CanFrame(1, b"", t_ns, "can0")


def test_text_form_does_not_show_the_data() -> None:
    assert repr(CanFrame(0x580, b"SECRET", 0, "can0")) == "CanFrame(0x580, 6 bytes, can0)"

from typing import Any

import pytest

from agent.bsm.unwrap import opened, unwrap
from tests.bsm.layout import framed, packed

FRAME = framed(packed())


def unsecured(payload: bytes) -> bytes:
    length = len(payload)
    return b"\x03\x80" + (bytes([length]) if length < 128 else b"\x81" + bytes([length])) + payload


def signed(payload: bytes) -> bytes:
    return b"\x03\x81\x00\x40" + unsecured(payload) + b"\x40\x01\x20" + bytes(80)


def test_every_public_wrapping_is_opened(secured: list[dict[str, Any]]) -> None:
    for vector in secured:
        assert unwrap(bytes.fromhex(vector["hex"])).hex().upper() == vector["bsm_messageframe"]


@pytest.mark.parametrize("wrap", [unsecured, signed, bytes])
def test_the_frame_inside_comes_out(wrap: Any) -> None:
    assert unwrap(wrap(FRAME)) == FRAME


def test_a_length_of_two_octets_is_read() -> None:
    frame = framed(bytes(300))
    assert unwrap(b"\x03\x80\x82" + len(frame).to_bytes(2) + frame) == frame


@pytest.mark.parametrize("cut", range(1, 44))
def test_a_wrapping_cut_short_is_not_opened(cut: int) -> None:
    wrapped = unsecured(FRAME)[:-cut]
    assert unwrap(wrapped) == wrapped


def test_a_wrapping_with_octets_left_over_is_not_opened() -> None:
    assert unwrap(unsecured(FRAME) + b"\0") == unsecured(FRAME) + b"\0"


def test_a_signed_message_without_header_and_signature_is_not_opened() -> None:
    wrapped = b"\x03\x81\x00\x40" + unsecured(FRAME)
    assert unwrap(wrapped) == wrapped


def test_a_bare_message_that_begins_like_a_wrapping_stays_as_it_is() -> None:
    # message count 14 and an id of zeros give 03 80 after the preamble
    body = packed(msgCnt=14, id=0)
    assert body.startswith(b"\x03\x80")
    assert unwrap(body) == body


@pytest.mark.parametrize(
    "data", [b"", b"\x00", b"\x00\x14", b"\x00\x14\x00", FRAME[:-1], FRAME + b"\0", b"\x00\x14\x80"]
)
def test_what_does_not_fit_its_length_is_no_frame(data: bytes) -> None:
    assert opened(data) is None

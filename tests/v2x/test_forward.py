import pytest

from agent.errors import MalformedInputError
from agent.v2x.forward import payload

TEXT = (
    b"Version=0.7\nType=BSM\nPSID=0020\nPriority=7\nTxMode=CONT\nTxChannel=172\nTxInterval=0\n"
    b"DeliveryStart=\nDeliveryStop=\nSignature=False\nEncryption=False\nPayload=00142500ab\n"
)


def test_the_payload_of_a_text_comes_out() -> None:
    assert payload(TEXT) == bytes.fromhex("00142500AB")


def test_lines_may_end_in_both_ways() -> None:
    assert payload(TEXT.replace(b"\n", b"\r\n")) == bytes.fromhex("00142500AB")


def test_bare_octets_stay_as_they_are() -> None:
    assert payload(b"\x00\x14\x25\xff") == b"\x00\x14\x25\xff"


def test_octets_that_begin_like_a_text_stay_as_they_are() -> None:
    assert payload(b"Version=\xff\x00") == b"Version=\xff\x00"


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"Version=0.7\nType=BSM\n",
        b"Version=0.7\nPayload=\n",
        b"Version=0.7\nPayload=001\n",
        b"Version=0.7\nPayload=00zz\n",
    ],
)
def test_a_text_without_a_whole_payload_is_refused(datagram: bytes) -> None:
    with pytest.raises(MalformedInputError):
        payload(datagram)

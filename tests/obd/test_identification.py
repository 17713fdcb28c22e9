from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import MalformedInputError
from agent.obd.identification import checked_vin, vin_of

VIN = "KMHTEST0000000017"


def test_vin_is_read_behind_the_count_and_the_padding() -> None:
    assert vin_of(b"\x01" + VIN.encode()) == VIN
    assert vin_of(b"\x01\x00\x00\x00" + VIN.encode()) == VIN


@pytest.mark.parametrize("vin", ["", VIN[:-1], VIN + "0", VIN.lower(), VIN.replace("K", "Q")])
def test_what_cannot_be_a_vin_is_refused_and_not_repeated(vin: str) -> None:
    with pytest.raises(MalformedInputError) as refused:
        checked_vin(vin)
    assert not vin or vin not in str(refused.value)


@given(st.binary(max_size=40))
def test_any_bytes_are_a_vin_or_malformed(data: bytes) -> None:
    with suppress(MalformedInputError):
        assert len(vin_of(data)) == 17

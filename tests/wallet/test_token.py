"""What a token answers is held to what our signatures are."""

import pytest

from agent.errors import ConfigError, SealError
from agent.wallet import curve
from agent.wallet.token import create_key, open_key, while_running


@pytest.mark.parametrize("uri", ["file:/keys/device.key", "dev:1", "", "pkcs12:object=a"])
def test_what_is_no_token_is_refused(uri: str) -> None:
    for door in (create_key, open_key):
        with pytest.raises(ConfigError, match="not the scheme of a token"):
            door(uri)


def test_what_needs_a_person_at_the_start_is_no_reason_to_end_a_run() -> None:
    with pytest.raises(SealError, match="PIN refused"), while_running():
        raise ConfigError("PIN refused")


@pytest.mark.parametrize(("r", "s"), [(0, 1), (1, 0), (curve.ORDER, 1), (1, curve.ORDER), (-1, 1)])
def test_numbers_that_are_no_signature_are_refused(r: int, s: int) -> None:
    with pytest.raises(SealError, match="signature"):
        curve.fixed_width(r, s)


def test_the_lower_s_is_taken() -> None:
    high, low = curve.fixed_width(7, curve.ORDER - 3), curve.fixed_width(7, 3)
    assert high == low == (7).to_bytes(32, "big") + (3).to_bytes(32, "big")

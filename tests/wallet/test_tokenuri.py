"""A URI says where a key and its PIN are; what is wrong in it is named, never shown."""

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.errors import ConfigError, SealError
from agent.wallet.tokenuri import Pin, parse
from tests.tokens import all_that_shows, pin_file

PATH = ("token", "object", "id")
QUERY = ("pin-source", "module-path")


def test_attributes_are_decoded_as_rfc_7512_says() -> None:
    found = parse("pkcs11:token=My%20car;id=%00%ff=?module-path=/lib/a%3Bb.so", PATH, QUERY)
    assert found.text("token") == "My car"
    assert found.octets("id") == b"\x00\xff="
    assert found.text("module-path") == "/lib/a;b.so"
    assert (found.text("object"), found.octets("object"), found.pin()) == (None, None, None)


def test_the_name_of_a_key_does_not_say_where_its_pin_is() -> None:
    found = parse("pkcs11:token=car?pin-source=/etc/pin", PATH, QUERY)
    assert found.name == "pkcs11:token=car"


@pytest.mark.parametrize(
    "uri",
    [
        "pkcs11:token=car;token=4711",
        "pkcs11:pin=4711",
        "pkcs11:pin-value=4711",
        "pkcs11:token=car?pin-value=4711",
        "pkcs11:token=car?pin-source=/a&4711",
        "pkcs11:4711",
        "pkcs11:token=car?token=4711",
        "pkcs11:token=",
    ],
)
def test_what_does_not_belong_there_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(uri, PATH, QUERY)
    assert "4711" not in str(caught.value)


@given(st.text("tokenid=%0f;?&:/\n\u00e4-", max_size=60))
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(ConfigError):
        found = parse(f"pkcs11:token={text}", PATH, QUERY)
        assert "\n" not in found.name
        for name in (*PATH, *QUERY):
            found.text(name)
        found.pin()


@pytest.mark.parametrize("form", ["{}", "file:{}", "file://{}"])
def test_a_pin_is_read_from_the_file_without_the_end_of_its_line(tmp_path: Path, form: str) -> None:
    source = form.format(pin_file(tmp_path, "47 11\n"))
    pin = parse(f"tpm:?pin-source={source}", PATH, QUERY).pin()
    assert pin is not None
    assert pin.read() == "47 11"


@pytest.mark.parametrize("source", ["pin", "|/bin/pin", "https://host/pin", "~/pin", "file:pin"])
def test_a_pin_comes_from_a_file_alone(source: str) -> None:
    with pytest.raises(ConfigError, match="absolute path of a file"):
        parse(f"tpm:?pin-source={source}", PATH, QUERY).pin()


@pytest.mark.parametrize(
    ("content", "why"),
    [(b"", "0 characters"), (b"\n", "0 characters"), (b"4" * 256, "256"), (b"4711\xff", "UTF-8")],
)
def test_a_file_that_holds_no_pin_is_refused_without_showing_it(
    tmp_path: Path, content: bytes, why: str
) -> None:
    path = pin_file(tmp_path)
    path.write_bytes(content)
    with pytest.raises(SealError, match=why) as caught:
        Pin(path).read()
    assert "4711" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o622])
def test_a_pin_that_others_can_reach_is_refused_by_the_mode_of_its_file(
    tmp_path: Path, mode: int
) -> None:
    path = pin_file(tmp_path)
    path.chmod(mode)
    with pytest.raises(SealError, match=f"mode {mode:04o}"):
        Pin(path).read()


def test_a_pin_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SealError, match="nothing: No such file"):
        Pin(tmp_path / "nothing").read()


def test_a_refused_pin_is_not_read_again(tmp_path: Path) -> None:
    pin = Pin(pin_file(tmp_path, "4711"))
    pin.read()
    pin.refuse()
    with pytest.raises(SealError, match="was refused") as caught:
        pin.read()
    assert "4711" not in all_that_shows(caught.value) + repr(pin)

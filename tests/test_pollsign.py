"""The signature of a file of polls: what it keeps others from, and how that is said."""

from pathlib import Path

import pytest

from agent.archive import Archive, archive
from agent.clock import ManualClock
from agent.compose import configured
from agent.config import BusConfig, Config
from agent.errors import ConfigError
from agent.events import PollsUsed
from agent.pollsign import sign_polls, signature_file, signed_polls
from agent.wallet import curve
from agent.wallet.address import address
from agent.wallet.keys import FileKey
from tests.opened import opened

KEY = FileKey(curve.new_scalar(), protected=False)


def polls(place: Path, serial: int = 1, period_s: float = 5.0) -> Path:
    file = place / "polls.toml"
    file.write_text(
        f'version = 1\nserial = {serial}\n[[signal]]\nname = "fuel.level"\nperiod_s = {period_s}\n'
    )
    return file


def start(parts: Archive, file: Path, key: str | None = None) -> list[PollsUsed]:
    """The agent up to the point where it would begin to ask; what its log then says."""
    bus = BusConfig(uri="virtual:polls", queries=True)
    configured(Config(bus=(bus,), polls=str(file), polls_key=key), parts, None)
    return [event for event in opened(parts) if isinstance(event, PollsUsed)]


def refusal(parts: Archive, file: Path, key: str | None = None) -> str:
    with pytest.raises(ConfigError) as caught:
        start(parts, file, key)
    said = str(caught.value)
    assert "\n" not in said
    return said


def test_a_signed_file_is_used_and_the_log_says_which_one(parts: Archive, tmp_path: Path) -> None:
    file = polls(tmp_path, serial=7)
    sign_polls(file, parts.keys.device)
    used = signed_polls(file, parts.keys.device.public)
    assert start(parts, file) == [PollsUsed(7, used.digest, address(parts.keys.device.public))]


def test_one_changed_octet_anywhere_is_refused(tmp_path: Path) -> None:
    file = polls(tmp_path)
    sign_polls(file, KEY)
    good = file.read_bytes()
    for place in range(len(good)):
        file.write_bytes(good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :])
        with pytest.raises(ConfigError, match=r"polls.toml.sig: not a signature of polls.toml by"):
            signed_polls(file, KEY.public)


def test_nothing_is_read_of_a_file_before_its_signature_held(tmp_path: Path) -> None:
    file = polls(tmp_path)
    sign_polls(file, KEY)
    file.write_text("this is = = no TOML")
    with pytest.raises(ConfigError, match="not a signature"):
        signed_polls(file, KEY.public)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (None, "polls.toml: not signed, polls.toml.sig is missing"),
        ("", "not a signature"),
        ("zz" * 64, "not 128 hexadecimal digits"),
        ("ä" * 30, "not 128 hexadecimal digits"),
        ("00" * 64, "not a signature"),
        ("ab" * 63, "not a signature"),
        ("ab" * 4096, "more than 130 bytes"),
    ],
)
def test_what_is_no_signature_is_refused_with_what_to_do(
    tmp_path: Path, line: str | None, said: str
) -> None:
    file = polls(tmp_path)
    if line is not None:
        signature_file(file).write_text(line, encoding="utf-8")
    with pytest.raises(ConfigError, match=said) as caught:
        signed_polls(file, KEY.public)
    assert "\n" not in str(caught.value)


def test_a_high_s_is_no_signature(tmp_path: Path) -> None:
    file = polls(tmp_path)
    sign_polls(file, KEY)
    digits = signature_file(file).read_text().strip()
    twin = curve.ORDER - int(digits[64:], 16)
    signature_file(file).write_text(digits[:64] + twin.to_bytes(32, "big").hex())
    with pytest.raises(ConfigError, match="not a signature"):
        signed_polls(file, KEY.public)


def test_an_older_file_is_refused_at_the_next_start(tmp_path: Path, clock: ManualClock) -> None:
    for serial in (3, 3, 4):
        with archive(tmp_path / "state", clock, wait=True) as parts:
            file = polls(tmp_path, serial)
            sign_polls(file, parts.keys.device)
            assert start(parts, file)[-1].serial == serial
    with archive(tmp_path / "state", clock, wait=True) as parts:
        file = polls(tmp_path, 3)
        sign_polls(file, parts.keys.device)
        assert "serial = 3: it is older; above 4" in refusal(parts, file)


def test_one_serial_is_one_file(parts: Archive, tmp_path: Path) -> None:
    file = polls(tmp_path, serial=3)
    sign_polls(file, parts.keys.device)
    start(parts, file)
    parts.writer.flush()
    sign_polls(polls(tmp_path, serial=3, period_s=0.05), parts.keys.device)
    assert "serial = 3: it was used before with another content" in refusal(parts, file)


def test_with_a_key_of_the_owner_the_device_cannot_sign_for_itself(
    parts: Archive, tmp_path: Path
) -> None:
    file, digits = polls(tmp_path), curve.compressed(KEY.public).hex()
    sign_polls(file, parts.keys.device)
    assert "not a signature" in refusal(parts, file, digits)
    sign_polls(file, KEY)
    for form in (digits, KEY.public.hex()):
        assert start(parts, file, form)[-1].signer == address(KEY.public)


def test_the_serials_of_two_signers_are_counted_apart(parts: Archive, tmp_path: Path) -> None:
    file = polls(tmp_path, serial=9)
    sign_polls(file, parts.keys.device)
    start(parts, file)
    sign_polls(polls(tmp_path, serial=1), KEY)
    assert [one.serial for one in start(parts, file, KEY.public.hex())] == [9, 1]


@pytest.mark.parametrize("digits", ["02", "02" + "ff" * 32, "no point"])
def test_a_key_that_is_none_is_named(parts: Archive, tmp_path: Path, digits: str) -> None:
    assert f"polls_key = {digits!r}" in refusal(parts, polls(tmp_path), digits)

"""A key and a counter in a TPM, tried on swtpm: made there, lost, found again, and refused."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.errors import ConfigError, SealError
from agent.wallet import curve
from agent.wallet.token import Counter, TokenKey, create_key, open_key
from tests.tokens import SwTpm, all_that_shows, pin_file


@pytest.fixture
def tpm(swtpm: SwTpm) -> Iterator[SwTpm]:
    yield swtpm
    swtpm.plug()
    swtpm.tool("tpm2_flushcontext", "-t")


@pytest.fixture
def lockable(tmp_path: Path) -> Iterator[SwTpm]:
    """A TPM of its own for a test that gets itself locked out."""
    tpm = SwTpm(tmp_path)
    yield tpm
    tpm.unplug()


def foreign_key(tpm: SwTpm, folder: Path, kind: str, attributes: str) -> str:
    """The handle of a key that somebody else put into the TPM."""
    handle, context = tpm.handle(), str(folder / "context")
    tpm.tool("tpm2_createprimary", "-C", "o", "-G", kind, "-a", attributes, "-c", context)
    tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", context, handle)
    return handle


def counter_of(key: TokenKey) -> Counter:
    assert key.counter is not None
    return key.counter


def failures(tpm: SwTpm) -> int:
    """How many wrong PINs the TPM has counted."""
    told = tpm.tool("tpm2_getcap", "properties-variable")
    found = re.search(r"TPM2_PT_LOCKOUT_COUNTER: (0x\w+)", told)
    assert found
    return int(found[1], 16)


def test_a_key_is_made_inside_and_cannot_leave(tpm: SwTpm) -> None:
    handle = tpm.handle()
    create_key(tpm.uri(handle))
    told = tpm.tool("tpm2_readpublic", "-c", handle)
    assert "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign\n" in told


def test_two_keys_made_one_after_the_other_are_not_the_same(tpm: SwTpm) -> None:
    one, two = (create_key(tpm.uri(tpm.handle())) for _ in range(2))
    assert one.public != two.public


def test_a_key_is_never_replaced(tpm: SwTpm) -> None:
    uri = tpm.uri(tpm.handle())
    before = create_key(uri).public
    with pytest.raises(SealError, match="already defined"):
        create_key(uri)
    assert open_key(uri).public == before


def test_a_tpm_lost_in_mid_work_is_an_error_and_signs_again_when_it_is_back(tpm: SwTpm) -> None:
    uri = tpm.uri(tpm.handle())
    key = create_key(uri)
    tpm.unplug()
    for _ in range(2):
        with pytest.raises(SealError, match="Could not load tcti") as caught:
            key.sign(b"message")
        assert "\n" not in str(caught.value)
    with pytest.raises(SealError, match="Could not load tcti"):
        open_key(uri)
    tpm.plug()
    assert curve.verify(key.public, b"message", key.sign(b"message"))


def test_a_wrong_pin_is_refused_and_sent_once(lockable: SwTpm) -> None:
    uri = lockable.uri(lockable.handle())
    key = create_key(uri)
    lockable.pin.write_text("0815-wrong")
    with pytest.raises(ConfigError, match="refuses the PIN") as caught:
        open_key(uri)
    assert "0815" not in all_that_shows(caught.value)
    assert failures(lockable) == 1
    for _ in range(5):  # a seal a minute must not lock the TPM
        with pytest.raises(SealError, match="PIN"):
            key.sign(b"message")
    assert failures(lockable) == 2


def test_a_tpm_that_is_locked_says_so(lockable: SwTpm, tmp_path: Path) -> None:
    uri = lockable.uri(lockable.handle())
    key = create_key(uri)
    (tmp_path / "wrong").mkdir()
    wrong = uri.replace(str(lockable.pin), str(pin_file(tmp_path / "wrong", "0815-wrong")))
    for _ in range(3):
        with pytest.raises(ConfigError, match="refuses the PIN"):
            open_key(wrong)
    with pytest.raises(SealError, match="lockout mode"):
        key.sign(b"message")
    lockable.tool("tpm2_dictionarylockout", "-c")
    assert curve.verify(key.public, b"message", key.sign(b"message"))


def test_a_key_with_a_pin_is_refused_where_none_is_given(lockable: SwTpm) -> None:
    uri = lockable.uri(lockable.handle())
    create_key(uri)
    with pytest.raises(ConfigError, match="asks for a PIN"):
        open_key(uri.partition("&pin-source")[0])


def test_a_key_that_is_not_there_is_refused(tpm: SwTpm) -> None:
    with pytest.raises(ConfigError, match="has no such key"):
        open_key(tpm.uri("0x81010fff"))


@pytest.mark.parametrize("kind", ["ecc384:ecdsa-sha384", "rsa2048"])
def test_a_key_of_another_kind_is_refused(tpm: SwTpm, tmp_path: Path, kind: str) -> None:
    made_here = "fixedtpm|fixedparent|sensitivedataorigin|userwithauth|sign"
    handle = foreign_key(tpm, tmp_path, kind, made_here)
    with pytest.raises(ConfigError, match="not on P-256"):
        open_key(tpm.uri(handle))


def test_a_key_that_may_leave_its_tpm_is_refused(tpm: SwTpm, tmp_path: Path) -> None:
    handle = foreign_key(tpm, tmp_path, "ecc256", "sensitivedataorigin|userwithauth|sign")
    with pytest.raises(ConfigError, match="may leave it"):
        open_key(tpm.uri(handle))


def test_another_key_under_the_same_handle_does_not_sign_for_the_first(tpm: SwTpm) -> None:
    handle = tpm.handle()
    key = create_key(tpm.uri(handle))
    tpm.tool("tpm2_evictcontrol", "-C", "o", "-c", handle)
    create_key(tpm.uri(handle))
    with pytest.raises(SealError, match="another key than at the start"):
        key.sign(b"message")


def test_a_counter_rises_by_one_and_is_the_same_for_all(tpm: SwTpm) -> None:
    uri = tpm.uri(tpm.handle(), counter="0x01500001")
    counter = counter_of(create_key(uri))
    before = counter.value()
    assert [counter.rise() for _ in range(3)] == [before + 1, before + 2, before + 3]
    assert counter_of(open_key(uri)).value() == before + 3


def test_a_counter_never_falls_through_power_cuts(tpm: SwTpm) -> None:
    counter = counter_of(create_key(tpm.uri(tpm.handle(), counter="0x01500002")))
    seen = [counter.value()]
    for _ in range(3):
        seen.append(counter.rise())
        tpm.unplug()
        with pytest.raises(SealError):
            counter.rise()
        tpm.plug()
        seen.append(counter.value())
    assert seen == sorted(seen)
    assert counter.rise() > max(seen)


def test_rt_12_a_counter_made_anew_does_not_begin_below_the_old_one(tpm: SwTpm) -> None:
    counter = counter_of(create_key(tpm.uri(tpm.handle(), counter="0x01500003")))
    before = counter.rise()
    tpm.tool("tpm2_nvundefine", "-C", "o", "0x01500003")
    with pytest.raises(SealError, match="no such key or counter"):
        counter.rise()
    again = counter_of(create_key(tpm.uri(tpm.handle(), counter="0x01500003")))
    assert again.value() > before


def test_a_counter_that_is_not_there_is_refused_at_the_start(tpm: SwTpm) -> None:
    handle = tpm.handle()
    create_key(tpm.uri(handle))
    with pytest.raises(ConfigError, match="no such key or counter"):
        open_key(tpm.uri(handle, counter="0x01500fff"))


@pytest.mark.parametrize(
    ("uri", "why"),
    [
        ("tpm:", "handle is None"),
        ("tpm:handle=0x80000000", "0x81 and six more digits"),
        ("tpm:handle=0x8101000g", "0x81 and six more digits"),
        ("tpm:handle=0x81010001\n", "not of a URI"),
        ("tpm:handle=0x81010001%0a", "0x81 and six more digits"),
        ("tpm:handle=0x81010001?counter=0x81500001", "0x01 and six more digits"),
        ("tpm:handle=0x81010001?tcti=cmd:id", "begins with none of"),
        ("tpm:handle=0x81010001;handle=0x81010002", "there twice"),
        ("tpm:handle=0x81010001?pin-value=4711", "pin-value is refused"),
        ("tpm:handle=0x81010001?pin-source=pin", "absolute path"),
    ],
)
def test_a_uri_that_cannot_be_used_is_refused(uri: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        open_key(uri)
    assert "4711" not in str(caught.value)

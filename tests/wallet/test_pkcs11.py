"""A key in a PKCS#11 token, tried on SoftHSM2: made there, lost, found again, and refused."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pkcs11
import pytest
from pkcs11 import Attribute, KeyType, ObjectClass
from pkcs11.util.ec import encode_named_curve_parameters

from agent.errors import ConfigError, SealError
from agent.wallet import curve
from agent.wallet.token import create_key, open_key
from tests.tokens import PIN, SoftHsm, all_that_shows, pin_file


@pytest.fixture
def hsm(softhsm: SoftHsm) -> Iterator[SoftHsm]:
    yield softhsm
    softhsm.plug()
    pkcs11.lib(softhsm.module).reinitialize()


def opened(hsm: SoftHsm) -> pkcs11.Session:
    """A session of somebody else in this process, who logs everybody out before and after it."""
    library = pkcs11.lib(hsm.module)
    library.reinitialize()
    return library.get_token(token_label="car").open(rw=True, user_pin=PIN)


def foreign_key(hsm: SoftHsm, label: str, name: str, **private: bool) -> None:
    """A key that somebody else made in the token."""
    curve_of = {Attribute.EC_PARAMS: encode_named_curve_parameters(name)}
    template = {Attribute[attribute]: value for attribute, value in private.items()}
    with opened(hsm) as session:
        parameters = session.create_domain_parameters(KeyType.EC, curve_of, local=True)
        parameters.generate_keypair(store=True, label=label, private_template=template)


def one_line(caught: pytest.ExceptionInfo[Exception]) -> str:
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_key_is_made_inside_and_cannot_be_taken_out(hsm: SoftHsm) -> None:
    create_key(hsm.uri("made"))
    is_so = {"EXTRACTABLE": False, "SENSITIVE": True, "LOCAL": True, "DERIVE": False, "SIGN": True}
    with opened(hsm) as session:
        key = session.get_key(object_class=ObjectClass.PRIVATE_KEY, label="made")
        assert {name: key[Attribute[name]] for name in is_so} == is_so
        with pytest.raises(pkcs11.AttributeSensitive):
            key[Attribute.VALUE]


def test_a_key_is_never_replaced(hsm: SoftHsm) -> None:
    before = create_key(hsm.uri("kept")).public
    with pytest.raises(ConfigError, match="never replaced"):
        create_key(hsm.uri("kept"))
    assert open_key(hsm.uri("kept")).public == before


def test_a_token_unplugged_in_mid_work_is_an_error_and_signs_again_when_it_is_back(
    hsm: SoftHsm,
) -> None:
    key = create_key(hsm.uri("unplugged"))
    for _ in range(2):
        hsm.unplug()
        for _ in range(2):
            with pytest.raises(SealError, match="the token is not there") as caught:
                key.sign(b"message")
            assert "object=unplugged" in one_line(caught)
        hsm.plug()
        assert curve.verify(key.public, b"message", key.sign(b"message"))


def test_a_token_that_is_away_at_the_start_is_an_error_that_may_pass(hsm: SoftHsm) -> None:
    create_key(hsm.uri("away"))
    hsm.unplug()
    with pytest.raises(SealError, match="the token is not there"):
        open_key(hsm.uri("away"))
    hsm.plug()
    assert len(open_key(hsm.uri("away")).sign(b"message")) == 64


def test_somebody_who_logs_us_out_costs_nothing_but_a_login(hsm: SoftHsm) -> None:
    key = create_key(hsm.uri("logged-out"))
    opened(hsm).close()
    assert curve.verify(key.public, b"message", key.sign(b"message"))


def test_two_keys_of_one_token_are_used_side_by_side(hsm: SoftHsm) -> None:
    uris = [hsm.uri("one"), hsm.uri("two")]
    for uri in uris:
        create_key(uri)
    one, two = (open_key(uri) for uri in uris)
    assert one.public != two.public
    for _ in range(3):
        assert curve.verify(one.public, b"message", one.sign(b"message"))
        assert curve.verify(two.public, b"message", two.sign(b"message"))


def test_a_wrong_pin_is_refused_and_shown_nowhere(hsm: SoftHsm, tmp_path: Path) -> None:
    create_key(hsm.uri("locked"))
    opened(hsm).close()
    wrong = pin_file(tmp_path, "0815-wrong")
    with pytest.raises(ConfigError, match="PinIncorrect") as caught:
        open_key(hsm.uri("locked", pin=wrong))
    one_line(caught)
    assert "0815" not in all_that_shows(caught.value)


def test_a_pin_that_was_refused_is_not_sent_again(hsm: SoftHsm, tmp_path: Path) -> None:
    pin = pin_file(tmp_path)
    key = create_key(hsm.uri("pin-changed", pin=pin))
    opened(hsm).close()
    pin.write_text("0815-wrong")
    with pytest.raises(SealError, match="PinIncorrect"):
        key.sign(b"message")
    pin.write_text(PIN)  # even a right one: the token was asked once, and only once
    with pytest.raises(SealError, match="was refused"):
        key.sign(b"message")
    assert open_key(hsm.uri("pin-changed", pin=pin)).public == key.public


def test_without_a_pin_a_private_key_is_not_seen(hsm: SoftHsm) -> None:
    create_key(hsm.uri("private"))
    uri = hsm.uri("private").partition("&pin-source")[0]
    opened(hsm).close()
    with pytest.raises(ConfigError, match="0 of this private key"):
        open_key(uri)


def test_a_key_that_is_not_there_is_refused(hsm: SoftHsm) -> None:
    with pytest.raises(ConfigError, match="object=nothing: the token has 0 of this private key"):
        open_key(hsm.uri("nothing"))


def test_two_keys_of_one_name_are_refused(hsm: SoftHsm) -> None:
    foreign_key(hsm, "twin", "secp256r1")
    foreign_key(hsm, "twin", "secp256r1")
    with pytest.raises(ConfigError, match="has 2 of this private key, not 1"):
        open_key(hsm.uri("twin"))


@pytest.mark.parametrize("name", ["secp384r1", "secp521r1"])
def test_a_key_of_another_curve_is_refused(hsm: SoftHsm, name: str) -> None:
    foreign_key(hsm, name, name)
    with pytest.raises(ConfigError, match="not on P-256"):
        open_key(hsm.uri(name))


def test_a_key_that_is_no_curves_at_all_is_refused(hsm: SoftHsm) -> None:
    with opened(hsm) as session:
        session.generate_keypair(KeyType.RSA, 2048, store=True, label="rsa")
    with pytest.raises(ConfigError, match="not on P-256"):
        open_key(hsm.uri("rsa"))


def test_a_key_that_can_be_taken_out_is_refused(hsm: SoftHsm) -> None:
    foreign_key(hsm, "loose", "secp256r1", EXTRACTABLE=True, SENSITIVE=False)
    with pytest.raises(ConfigError, match="can be taken out"):
        open_key(hsm.uri("loose"))


def test_another_key_under_the_same_name_does_not_sign_for_the_first(hsm: SoftHsm) -> None:
    key = create_key(hsm.uri("swapped"))
    with opened(hsm) as session:
        for old in [*session.get_objects({Attribute.LABEL: "swapped"})]:
            old.destroy()
    create_key(hsm.uri("swapped"))
    with pytest.raises(SealError, match="another key than at the start"):
        key.sign(b"message")


def test_a_token_is_chosen_by_what_the_uri_says_of_it(hsm: SoftHsm) -> None:
    for _ in range(2):
        hsm.add("twins")
    pkcs11.lib(hsm.module).reinitialize()
    with pytest.raises(ConfigError, match="2 tokens fit, not 1"):
        create_key(hsm.uri("device", token="twins"))
    serial = next(
        t.serial.decode() for t in pkcs11.lib(hsm.module).get_tokens() if t.label == "twins"
    )
    create_key(hsm.uri("device", token=f"twins;serial={serial};manufacturer=SoftHSM%20project"))
    with pytest.raises(SealError, match="not there"):
        open_key(hsm.uri("device", token=f"twins;serial={serial};model=YubiKey"))


def test_a_key_is_found_by_its_id_alone(hsm: SoftHsm) -> None:
    key = create_key(hsm.uri("numbered;id=%01%a0"))
    uri = hsm.uri("numbered").replace("object=numbered", "id=%01%A0;type=private")
    assert open_key(uri).public == key.public


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("module-path=", "module-path=/nowhere", "module-path"),
        ("module-path=/", "module-path=", "module-path"),
        ("object=device", "type=private", "has to name a private key"),
        ("object=device", "object=device;type=cert", "has to name a private key"),
        ("pin-source=", "pin-source=|", "pin-source"),
        ("pin-source=", "pin-value=4711&pin-source=", "pin-value is refused"),
        ("token=car", "token=%ff", "token is not UTF-8"),
        ("token=car", "token=car;slot-id=1", "slot-id"),
    ],
)
def test_a_uri_that_cannot_be_used_is_refused(hsm: SoftHsm, old: str, new: str, why: str) -> None:
    with pytest.raises(ConfigError, match=why) as caught:
        open_key(hsm.uri("device").replace(old, new, 1))
    assert "4711" not in one_line(caught)


def test_a_library_that_is_none_is_refused_in_one_line(hsm: SoftHsm, tmp_path: Path) -> None:
    (tmp_path / "lib.so").write_bytes(b"\x7fELF")
    with pytest.raises(SealError, match=r"lib\.so") as caught:
        open_key(hsm.uri("device").replace(hsm.module, str(tmp_path / "lib.so")))
    one_line(caught)


def test_without_the_python_library_only_who_asks_for_a_token_is_refused() -> None:
    """In an interpreter of its own, where it cannot be imported."""
    program = (
        "import sys; sys.modules['pkcs11'] = None\n"
        "from agent.wallet.keys import key_at\n"
        "try: key_at('pkcs11:object=device', 'device')\n"
        "except Exception as error: print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=20
    )
    assert done.stdout == "ConfigError pkcs11: keys need python-pkcs11: pip install python-pkcs11\n"

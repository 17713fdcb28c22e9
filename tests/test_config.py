"""The configuration file: what is refused, and how it is said."""

from pathlib import Path

import pytest

from agent.archive import Archive
from agent.bsm.message import VehicleDetails
from agent.compose import bus_sources
from agent.config import BusConfig, host_and_port, load_config
from agent.errors import ConfigError
from agent.obd.guard import Limits

GOOD = """
state = "/tmp/state"
[[bus]]
uri = "can:can0"
"""


def refused(tmp_path: Path, text: str) -> str:
    file = tmp_path / "agent.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(file)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_file_without_end_is_refused_with_the_limit() -> None:
    with pytest.raises(ConfigError, match="1048576"):
        load_config(Path("/dev/zero"))


def test_a_bus_alone_is_a_whole_configuration_that_asks_and_sends_nothing(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(GOOD, encoding="utf-8")

    config = load_config(tmp_path / "agent.toml")

    assert config.bus[0].queries is False
    assert (config.radio, config.upload, config.gnss) == (None, None, None)


def test_a_wrong_type_is_named_with_section_key_and_value(tmp_path: Path) -> None:
    message = refused(tmp_path, "[[bus]]\nuri = 5\n")
    assert "bus[0].uri = 5" in message
    assert "str" in message


def test_a_value_over_its_limit_is_named_with_the_limit(tmp_path: Path) -> None:
    message = refused(tmp_path, GOOD + "[vehicle]\nwidth_m = 99.0\nlength_m = 4.0\n")
    assert "vehicle.width_m = 99.0" in message
    assert "10.23" in message


def test_an_unknown_key_is_refused_by_name(tmp_path: Path) -> None:
    assert "sped" in refused(tmp_path, GOOD + "sped = 1\n")


def test_an_unknown_section_is_refused_by_name(tmp_path: Path) -> None:
    assert "uplod" in refused(tmp_path, GOOD + "[uplod]\n")


def test_a_configuration_without_a_bus_is_refused(tmp_path: Path) -> None:
    assert "bus" in refused(tmp_path, 'state = "/tmp/x"\n')


def test_an_address_without_a_port_is_refused(tmp_path: Path) -> None:
    message = refused(tmp_path, GOOD + '[radio]\nsend = "127.0.0.1"\n')
    assert "radio.send = '127.0.0.1'" in message
    assert "65535" in message


def test_a_port_above_65535_is_refused(tmp_path: Path) -> None:
    assert "65535" in refused(tmp_path, GOOD + '[radio]\nlisten = "127.0.0.1:70000"\n')


def test_an_endpoint_that_is_not_http_is_refused(tmp_path: Path) -> None:
    text = GOOD + '[upload]\nrpc = ["ftp://127.0.0.1"]\nstorage = "http://127.0.0.1:1"\n'
    assert "upload.rpc = 'ftp://127.0.0.1'" in refused(tmp_path, text)


@pytest.mark.parametrize("url", ["http://[::1", "http://h:x", "http://h:0", "http://", "//h"])
def test_an_address_that_cannot_be_one_is_refused(url: str, tmp_path: Path) -> None:
    text = GOOD + f'[upload]\nrpc = ["{url}"]\nstorage = "http://h"\n'
    assert f"upload.rpc = '{url}'" in refused(tmp_path, text)


@pytest.mark.parametrize("trust", ["", "7", "7:AB", "x:" + "A" * 64])
def test_a_trusted_block_of_another_form_is_refused(trust: str, tmp_path: Path) -> None:
    text = GOOD + f'[upload]\nrpc = ["http://h"]\nstorage = "http://h"\ntrust = "{trust}"\n'
    assert f"upload.trust = '{trust}' is not HEIGHT:HASH" in refused(tmp_path, text)


def test_renewal_needs_a_certificate_and_https(tmp_path: Path) -> None:
    text = GOOD + '[upload]\nrpc = ["http://h"]\nstorage = "http://h"\nest = "{}"\n'
    own = 'certificate = "a"\ncertificate_key = "b"\n'
    assert "upload.est: only with certificate" in refused(tmp_path, text.format("https://h"))
    for url in ("http://h", "https://", "h"):
        told = refused(tmp_path, text.format(url) + own)
        assert f"upload.est = '{url}': an https address" in told


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 20_000, "a = " + "9" * 5_000, "\x00", "a = 1\na = 2"]
)
def test_hostile_toml_is_refused_in_one_line(text: str, tmp_path: Path) -> None:
    assert "agent.toml" in refused(tmp_path, text)


def test_a_level_the_white_paper_does_not_have_is_refused(tmp_path: Path) -> None:
    text = GOOD + '[upload]\nrpc = ["http://h"]\nstorage = "http://h"\nlevels = [7]\n'
    assert "upload.levels[0] = 7" in refused(tmp_path, text)


def test_a_file_that_is_not_toml_is_refused_in_one_line(tmp_path: Path) -> None:
    assert "not TOML" in refused(tmp_path, "state = = 1\n")


def test_a_missing_file_is_refused_by_its_path(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.toml: No such file"):
        load_config(tmp_path / "nowhere.toml")


def test_an_ipv6_address_is_read_in_brackets() -> None:
    assert host_and_port("[::1]:5001") == ("::1", 5001)


def test_the_device_key_may_lie_in_a_token(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(GOOD + '[keys]\ndevice = "tpm:handle=0x81010001"\n')
    assert load_config(tmp_path / "agent.toml").keys.device == "tpm:handle=0x81010001"
    assert "owner" in refused(tmp_path, GOOD + '[keys]\nowner = "tpm:handle=0x81010001"\n')


def test_a_pin_in_the_configuration_is_refused_and_not_shown(tmp_path: Path) -> None:
    assert "4711" not in refused(tmp_path, GOOD + '[keys]\npin = "4711"\n')


def test_the_example_in_the_repository_loads() -> None:
    example = Path(__file__).parent.parent / "systemd" / "agent.toml"
    assert load_config(example).bus[0].queries is False
    assert load_config(example).guard == Limits()


@pytest.mark.parametrize(
    ("line", "limit"),
    [("off_after_s = 1", ">= 10"), ("draw_w = 0.0", "> 0.0"), ("lowest_v = 99.0", "<= 60")],
)
def test_a_limit_of_the_sleep_guard_out_of_reason_is_refused(
    tmp_path: Path, line: str, limit: str
) -> None:
    message = refused(tmp_path, GOOD + f"[guard]\n{line}\n")
    assert f"guard.{line}" in message
    assert limit in message


def test_what_is_known_of_a_car_goes_into_its_messages(tmp_path: Path) -> None:
    car = "[vehicle]\nwidth_m = 1.8\nlength_m = 4.5\nantenna_forward_m = -0.4\nmass_kg = 1500\n"
    (tmp_path / "agent.toml").write_text(GOOD + car, encoding="utf-8")

    vehicle = load_config(tmp_path / "agent.toml").vehicle

    assert vehicle is not None
    assert vehicle.details == VehicleDetails(antenna_forward_m=-0.4, mass_kg=1500.0)


@pytest.mark.parametrize(
    "line",
    ["antenna_forward_m = 30.0", "antenna_left_m = nan", "height_m = 0", "basic_class = 256"],
)
def test_what_cannot_be_known_of_a_car_is_refused(tmp_path: Path, line: str) -> None:
    car = f"[vehicle]\nwidth_m = 1.8\nlength_m = 4.5\n{line}\n"
    assert line.partition(" ")[0] in refused(tmp_path, GOOD + car)


SIMCAR = Path(__file__).parents[1] / "dbc" / "simcar.dbc"


def test_filter_is_off_unless_it_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "agent.toml").write_text(GOOD, encoding="utf-8")
    assert load_config(tmp_path / "agent.toml").bus[0].filter is False


@pytest.mark.parametrize(
    ("bus", "why"),
    [
        (BusConfig(uri="virtual:x", dbc=(str(SIMCAR),), filter=True), "for can: alone"),
        (BusConfig(uri="can:can0", filter=True), "no file of dbc describes a frame"),
    ],
)
def test_filter_that_cannot_be_is_refused_before_anything_starts(
    bus: BusConfig, why: str, parts: Archive
) -> None:
    with pytest.raises(ConfigError, match=why):
        bus_sources(bus, parts, Limits())

"""A profile says which DBC signal carries which name; a mistake in it is named."""

from pathlib import Path

import pytest

from agent.errors import ConfigError
from agent.obd.dbc import load_dbc
from agent.obd.profile import load_profiles, matching
from agent.obd.units import SIGNAL_UNITS, conversion
from agent.privacy import LEVELS
from tests.obd.recordings import DBC, PROFILES, SUBARU, TOYOTA_DBC, needs_recordings

GOOD = 'name = "Car"\n[signals."speed.vehicle"]\nmessage = "SPEED"\nsignal = "SPEED"\n'


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "car.toml").write_text(text, encoding="utf-8")
    return tmp_path


def test_our_own_profiles_load_in_the_order_of_their_files() -> None:
    names = [profile.name for profile in load_profiles(PROFILES)]
    files = sorted(path.stem for path in PROFILES.glob("*.toml"))
    assert len(names) == len(files)
    assert names.index("Hyundai Kona Electric") == files.index("kona-ev")


@needs_recordings
@pytest.mark.parametrize(
    ("path", "name"),
    [
        (TOYOTA_DBC, "Toyota"),
        (SUBARU / "sample_can_spec.dbc", "Subaru WRX STI"),
        (DBC / "kona-ev" / "pcan.dbc", "Hyundai Kona Electric"),
        (PROFILES / "simcar.dbc", "Simulated car"),
    ],
)
def test_each_file_finds_its_own_profile_and_no_other(path: Path, name: str) -> None:
    found = matching(load_profiles(PROFILES), [load_dbc(path)])
    assert [profile.name for profile in found] == [name]


@needs_recordings
def test_file_of_another_make_matches_nothing() -> None:
    tesla = load_dbc(DBC / "opendbc" / "tesla_model3_party.dbc")
    assert matching(load_profiles(PROFILES), [tesla]) == []


def test_every_name_but_the_vin_has_a_unit() -> None:
    assert set(SIGNAL_UNITS) == set(LEVELS) - {"vehicle.vin"}


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("name = ", "car.toml"),
        ("name = 5\nsignals = {}\n", "Expected `str`"),
        ('signals = {}\nname = "Car"\nspeed = 1\n', "speed"),
        (GOOD + "unit = 3\n", "unit"),
        (GOOD + 'unit = "furlong"\n', "furlong"),
        (GOOD + 'unit = "deg"\n', "deg"),
        (GOOD + "sign = 2\n", "sign"),
        (GOOD + 'mean = ["A", "B"]\n', "one is needed"),
        (GOOD.replace('signal = "SPEED"', ""), "one is needed"),
        (GOOD.replace('signal = "SPEED"', "sum = []"), "one is needed"),
        (GOOD.replace("speed.vehicle", "speed.of.light"), "speed.of.light"),
        (GOOD + 'map = { "1" = 2 }\n', "not a state"),
        (GOOD.replace("speed.vehicle", "gear") + 'map = { "D" = 2 }\n', "map"),
        (GOOD + "valid = [1]\n", "valid"),
    ],
)
def test_mistake_is_named_with_its_file(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ConfigError, match=r"car\.toml") as caught:
        load_profiles(write(tmp_path, text))
    assert why in str(caught.value)


def test_profile_that_is_not_utf8_is_named(tmp_path: Path) -> None:
    (tmp_path / "car.toml").write_bytes(b'name = "\xff"\n')
    with pytest.raises(ConfigError, match=r"car\.toml"):
        load_profiles(tmp_path)


def test_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        load_profiles(tmp_path / "absent")


@pytest.mark.parametrize(
    ("value", "unit", "name", "si"),
    [
        (36, "km/h", "speed.vehicle", 10),
        (36, "kph", "speed.vehicle", 10),
        (60, "mph", "speed.vehicle", 26.8224),
        (180, "deg", "steering.angle", 3.141592653589793),
        (180, "°", "steering.angle", 3.141592653589793),
        (48.1, "deg", "position.latitude", 48.1),
        (1, "g", "acceleration.lateral", 9.80665),
        (2, "m/s^2", "acceleration.lateral", 2),
        (3000, "rpm", "engine.speed", 50),
        (25, "°C", "air.temperature", 298.15),
        (212, "degF", "air.temperature", 373.15),
        (1013.25, "hPa", "air.pressure", 101325),
        (2, "bar", "brake.pressure", 200000),
        (50, "%", "brake.pedal", 0.5),
        (1, "mi", "odometer", 1609.344),
        (3.6, "L/h", "engine.fuel_rate", 1e-6),
        (12, "kW", "battery.power", 12000),
    ],
)
def test_unit_of_a_file_becomes_ours(value: float, unit: str, name: str, si: float) -> None:
    factor, offset = conversion(unit, name)
    assert value * factor + offset == pytest.approx(si, rel=1e-12)

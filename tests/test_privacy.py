"""Levels decide what is sealed; a name nobody thought of is sealed too."""

import pytest

from agent.privacy import LEVELS, Level, level_of, sealed


def test_unknown_name_is_core_personal() -> None:
    assert level_of("can.SEAT.OCCUPANT_WEIGHT") is Level.LV1


def test_every_listed_name_has_the_level_of_the_list() -> None:
    assert {name: level_of(name) for name in LEVELS} == dict(LEVELS)


@pytest.mark.parametrize(
    ("level", "is_sealed"),
    [(Level.LV1, True), (Level.LV2, True), (Level.LV3, False), (Level.LV4, False)],
)
def test_personal_levels_are_sealed_and_car_data_are_not(level: Level, is_sealed: bool) -> None:
    assert sealed(level) is is_sealed


def test_vin_is_core_personal() -> None:
    assert level_of("vehicle.vin") is Level.LV1


def test_position_is_sealed() -> None:
    positions = [name for name in LEVELS if name.startswith("position.")]
    assert positions
    assert all(sealed(level_of(name)) for name in positions)


def test_no_name_is_longer_than_its_dotted_words() -> None:
    assert all(name == name.strip().lower() and " " not in name for name in LEVELS)

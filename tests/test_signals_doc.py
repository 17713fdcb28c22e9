"""docs/signals.md is the list people read; it says the same as the code."""

import re
from pathlib import Path

from agent.obd.units import SIGNAL_UNITS
from agent.privacy import LEVELS, Level

_ROW = re.compile(r"\| `([a-z_.]+)` \| (\S+) \| (\d) \| (?:`Vehicle\.[\w.]+`|-) \| (.+) \|")


def rows() -> dict[str, tuple[str, Level]]:
    text = (Path(__file__).parents[1] / "docs" / "signals.md").read_text(encoding="utf-8")
    table = [line for line in text.splitlines() if line.startswith("| `")]
    found = [_ROW.fullmatch(line) for line in table]
    assert all(found), [line for line, row in zip(table, found, strict=True) if row is None]
    return {row[1]: (row[2], Level(int(row[3]))) for row in found if row}


def test_page_lists_every_name_once_with_its_level() -> None:
    assert {name: level for name, (_, level) in rows().items()} == dict(LEVELS)


def test_page_names_the_unit_that_the_profiles_convert_to() -> None:
    numbers = {name: unit for name, (unit, _) in rows().items() if unit != "text"}
    assert numbers == dict(SIGNAL_UNITS)


def test_only_the_vin_is_no_number() -> None:
    assert [name for name, (unit, _) in rows().items() if unit == "text"] == ["vehicle.vin"]

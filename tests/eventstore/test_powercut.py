"""RT-35, 36, 37, 38, 41, 44: the power goes at any moment, and what was acknowledged is there.

AMO_CUTS says how many cuts are tried, 1,000 where it is not set. A failure names its life and the
moment; `-k` with that life runs it again.
"""

import random
from collections.abc import Callable
from pathlib import Path
from typing import Final

import apsw
import pytest

from agent.eventstore import birth, sqlite
from agent.eventstore.state import EVENTS
from tests.eventstore.disk import Model
from tests.eventstore.lives import Life, lived, revived
from tests.eventstore.powercut import CUTS
from tests.eventstore.verifiers import INTACT, by_tool

A_LIFE: Final = 100
"""Cuts of one recorded life; every fifth log that was cut goes on and is cut again meanwhile."""
LIVES: Final = [(model, number) for number in range(max(1, CUTS // A_LIFE // 2)) for model in Model]
PHASES: Final = {"birth", "append", "checkpoint", "seal", "prune", "close", "reopen"}
CHECKPOINT: Final = ("wal_autocheckpoint", 12)
"""Pages, where SQLite's own is 1,000: a short life sees the log folded in too."""


@pytest.fixture
def place(memory: Path) -> Path:
    (memory / "recorded").mkdir()
    return memory


@pytest.fixture(autouse=True)
def short_of_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite, "_LIFE", (*sqlite._LIFE, CHECKPOINT))


def moments(life: Life, chance: random.Random, count: int) -> list[int]:
    """So many, as many of each phase, in order."""
    phases = list(life.phases().values())
    return sorted(chance.choice(phases[i % len(phases)]) for i in range(count))


def losses(life: Life, model: Model, positions: list[int], place: Path) -> list[str]:
    """What went wrong at each of these cuts where something did."""
    found = []
    for position, files in life.cuts(model, positions):
        try:
            revived(life, position, files, place / "cut")
        except Exception as error:  # noqa: BLE001 - whatever it is, it is counted
            found.append(f"{type(error).__name__}: {error}")
    return found


@pytest.mark.parametrize(("model", "number"), LIVES)
def test_rt_35_a_power_cut_at_any_moment_loses_nothing_acknowledged(
    model: Model, number: int, place: Path
) -> None:
    chance = random.Random(number)
    life = lived(place / "recorded", chance)
    assert life.phases().keys() == PHASES
    for cut, (position, files) in enumerate(life.cuts(model, moments(life, chance, A_LIFE - 20))):
        try:
            again = revived(life, position, files, place / "cut")
            if cut % 4 == 0:
                [(later, left)] = again.cuts(model, moments(again, chance, 1))
                last = revived(again, later, left, place / "cut again")
                assert by_tool(last.state / EVENTS) == INTACT
        except Exception as error:
            error.add_note(f"{model.value} life {number}, cut {cut}, after operation {position}")
            raise


@pytest.mark.parametrize("model", Model)
def test_rt_37_a_log_is_born_whole_or_not_at_all_at_every_boundary(
    model: Model, place: Path
) -> None:
    life = lived(place / "recorded", random.Random(1))
    assert losses(life, model, life.phases()["birth"], place) == []


@pytest.mark.parametrize("model", Model)
def test_rt_36_without_a_sync_a_block_acknowledged_events_are_lost_and_the_chain_holds(
    model: Model, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `synchronous=NORMAL` would cost; that the tests above can fail is shown by it."""
    normal = {**dict(sqlite._LIFE), "synchronous": 1, "wal_autocheckpoint": 1000}
    monkeypatch.setattr(sqlite, "_LIFE", tuple(normal.items()))
    chance = random.Random(2)
    life = lived(place / "recorded", chance)
    found = losses(life, model, moments(life, chance, A_LIFE // 2), place)
    assert len(found) > A_LIFE // 20
    assert all("acknowledged" in text for text in found)


def test_a_log_made_in_its_place_would_not_survive_its_birth(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(birth, "NEWBORN", "events.db")
    life = lived(place / "recorded", random.Random(3))
    assert len(losses(life, Model.STRICT, life.phases()["birth"], place)) > 10


def test_commits_that_share_a_sector_would_be_torn_by_the_next_one(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain: Callable[..., apsw.Connection] = apsw.Connection

    def sharing(name: str, **flags: int) -> apsw.Connection:
        return plain(name.replace("psow=0", "psow=1"), **flags)

    monkeypatch.setattr(apsw, "Connection", sharing)
    chance = random.Random(4)
    life = lived(place / "recorded", chance)
    appending = sorted(chance.choices(life.phases()["append"], k=A_LIFE))
    found = losses(life, Model.ORDERED, appending, place)
    assert any("acknowledged" in text for text in found)

"""A bus without a named file finds its own, and no frame is lost while it looks."""

import itertools
from pathlib import Path

import pytest

from agent.clock import SECOND
from agent.errors import UsageError
from agent.events import CarChosen
from agent.obd import seek
from agent.obd.dbc import FILES_MAX, Dbc, load_dbc, load_dbcs
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame
from agent.obd.logfile import LogFile
from agent.obd.profile import load_profiles
from agent.obd.seek import HELD_MAX, LOOK_NS, LOOKS_MAX, WAIT_NS, Seeker
from tests.obd.recordings import (
    KONA_LOG,
    PROFILES,
    RAV4_LOG,
    SUBARU,
    SUBARU_LOG,
    TOYOTA_DBC,
    dbc_files,
    needs_recordings,
)

OURS = load_profiles(PROFILES)
SIMCAR = load_dbc(PROFILES / "simcar.dbc")


def frames(start_ns: int, seconds: int, ids: list[int] | None = None) -> list[CanFrame]:
    """Ten rounds a second of every identifier of the simulated car, or of others."""
    lengths = {key: message.length for key, message in SIMCAR.messages.items()}
    rounds = range(start_ns, start_ns + seconds * SECOND, SECOND // 10)
    wanted = list(lengths) if ids is None else ids
    return [CanFrame(n, bytes(lengths.get(n, 8)), t, "can0") for t in rounds for n in wanted]


def seeker(*dbcs: Dbc) -> Seeker:
    return Seeker({"*": dbcs or (SIMCAR,)}, OURS)


@needs_recordings
@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (RAV4_LOG, {"can0": ("toyota_new_mc_pt_generated", "Toyota"), "can1": ("", "")}),
        (SUBARU_LOG, {"can0": ("sample_can_spec", "Subaru WRX STI")}),
        (
            KONA_LOG,
            {"can0": ("pcan", "Hyundai Kona Electric"), "can1": ("hyundai_can_generated", "")},
        ),
    ],
    ids=lambda value: value.name if isinstance(value, Path) else "",
)
def test_each_recording_finds_its_own_file_among_all(
    log: Path, expected: dict[str, tuple[str, str]]
) -> None:
    seeking = seeker(*map(load_dbc, dbc_files()))
    for frame in LogFile(log):
        seeking.passed([frame])
    found = {}
    for channel, choice in seeking.choices():
        profile = choice.profile.name if choice.profile else ""
        found[channel] = (choice.dbc.name if choice.dbc else "", profile)
        best, second = choice.fits[0].score, choice.fits[1].score
        assert best >= 1.9 * second if choice.dbc else best < 0.1
    assert found == expected


@needs_recordings
def test_what_came_before_the_choice_is_decoded_as_if_it_had_been_known() -> None:
    recorded = list(LogFile(SUBARU_LOG))[:8_000]
    dbc = load_dbc(SUBARU / "sample_can_spec.dbc")
    named = Decoder({"can0": [dbc]}, OURS)
    seeking = Decoder({}, OURS, seeker(dbc, load_dbc(TOYOTA_DBC)))
    signals = []
    for start in range(0, len(recorded), 500):
        signals += seeking.decode(recorded[start : start + 500])
    assert signals + seeking.rest() == named.decode(recorded)
    assert (seeking.described, seeking.undescribed) == (named.described, named.undescribed)
    assert [type(event) for event in seeking.news()] == [CarChosen]


def test_frames_pass_at_once_when_the_file_is_known_and_not_before() -> None:
    seeking = seeker()
    first = frames(0, 5)
    assert seeking.passed(first) == []
    more = frames(LOOK_NS, 1)
    assert seeking.passed(more) == first + more
    ((channel, choice),) = seeking.choices()
    assert (channel, choice.dbc) == ("can0", SIMCAR)
    assert seeking.choices() == []


def test_a_source_that_ends_early_is_judged_by_what_came() -> None:
    seeking = seeker()
    seeking.passed(frames(0, 1))
    assert len(seeking.rest()) == len(frames(0, 1))
    assert [choice.dbc for _, choice in seeking.choices()] == [SIMCAR]
    assert seeking.rest() == []


def test_where_nothing_fits_nothing_is_decoded_and_a_later_look_finds_it() -> None:
    decoder = Decoder({}, OURS, seeker())
    assert decoder.decode(frames(0, 5, [0x7F0, 0x7F1])) == []
    asleep = frames(LOOK_NS, 1, [0x7F0])
    decoder.decode(asleep)
    (told,) = decoder.news()
    assert isinstance(told, CarChosen)
    assert (told.dbc, told.profile) == ("", "")
    assert decoder.undescribed == 10 * 10 + len(asleep)
    later = LOOK_NS + WAIT_NS + SECOND
    decoder.decode(frames(later, 5))
    assert decoder.decode(frames(later + LOOK_NS, 1)) != []
    (found,) = decoder.news()
    assert isinstance(found, CarChosen)
    assert (found.dbc, found.profile) == ("simcar", "Simulated car")
    assert decoder.keys("can0") == set(SIMCAR.messages)


def test_looks_become_rare_and_end() -> None:
    seeking = seeker()
    told = [
        second
        for second in range(0, 3 * 86_400, 5)
        for frame in [CanFrame(0x7F0, b"", second * SECOND, "can0")]
        for _ in [seeking.passed([frame])]
        for _ in seeking.choices()
    ]
    assert len(told) == LOOKS_MAX
    waits = [after - before for before, after in itertools.pairwise(told)]
    assert all(b > 1.5 * a for a, b in itertools.pairwise(waits))


def test_vin_that_becomes_known_ends_the_wait() -> None:
    seeking = seeker()
    seeking.passed(frames(0, 5, [0x7F0]) + frames(LOOK_NS, 1, [0x7F0]))
    assert [choice.dbc for _, choice in seeking.choices()] == [None]
    seeking.is_car("KMHAMXAG0NU000001")
    seeking.passed(frames(6 * SECOND, 6))
    assert [choice.dbc for _, choice in seeking.choices()] == [SIMCAR]


def test_flood_is_held_within_bounds_and_none_of_it_is_lost() -> None:
    seeking = seeker()
    flood = [CanFrame(0x7F0, bytes(8), 0, "can0")] * (HELD_MAX + 7)
    assert len(seeking.passed(flood)) == len(flood)


def test_clock_that_is_set_back_ends_a_look(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seek, "HELD_MAX", 1 << 30)
    seeking = seeker()
    seeking.passed(frames(10**18, 1))
    assert len(seeking.passed(frames(0, 1)[:1])) > 1


def test_channels_beyond_a_bound_pass_undescribed() -> None:
    seeking = seeker()
    many = [CanFrame(1, b"", 0, f"can{n}") for n in range(seek.CHANNELS_MAX + 3)]
    assert len(seeking.passed(many)) == 3


def test_only_the_profile_that_is_named_is_looked_for() -> None:
    named = [profile for profile in OURS if profile.name == "Toyota"]
    seeking = Seeker({"*": [SIMCAR]}, named, only=True)
    assert len(seeking.passed(frames(0, 1))) == len(frames(0, 1))
    assert seeking.choices() == []


def test_directory_gives_each_file_once_and_names_what_it_leaves_out(tmp_path: Path) -> None:
    text = (PROFILES / "simcar.dbc").read_text(encoding="utf-8")
    (tmp_path / "deep").mkdir()
    for name, content in (("a.dbc", text), ("deep/b.dbc", text), ("c.dbc", "no such thing")):
        (tmp_path / name).write_text(content, encoding="utf-8")
    found, left_out = load_dbcs(tmp_path)
    assert [dbc.name for dbc in found] == ["a"]
    assert ["c.dbc" in line for line in left_out] == [True]


@pytest.mark.parametrize("count", [0, FILES_MAX + 1])
def test_directory_of_no_or_too_many_files_is_refused(tmp_path: Path, count: int) -> None:
    for number in range(count):
        (tmp_path / f"{number}.dbc").touch()
    with pytest.raises(UsageError, match=f"{count} DBC files; 1 to {FILES_MAX}"):
        load_dbcs(tmp_path)

"""A file is chosen for what a bus really sends; what is not clear is not chosen."""

from pathlib import Path

import pytest

from agent.obd.dbc import Dbc, load_dbc
from agent.obd.fit import IDS_MAX, LEAD_MIN, Seen, choose, fit
from agent.obd.frame import CanFrame
from agent.obd.profile import Car, Profile, Source

VIN = "2T3DFREVXHW000000"


def described(tmp_path: Path, name: str, ids: range, length: int = 8) -> Dbc:
    lines = [f'BO_ {n} M{n}: {length} X\n SG_ S : 0|8@1+ (1,0) [0|0] "" X\n' for n in ids]
    (tmp_path / f"{name}.dbc").write_text("".join(lines), encoding="utf-8")
    return load_dbc(tmp_path / f"{name}.dbc")


def sent(ids: range, length: int = 8) -> Seen:
    seen = Seen()
    for n in ids:
        seen.add(CanFrame(n, bytes(length), 0, "can0"))
    return seen


def profile(name: str, *messages: int, vin: tuple[str, ...] = ()) -> Profile:
    names = ("speed.vehicle", "gear", "odometer")
    sources = {name: Source(f"M{n}", signal="S") for name, n in zip(names, messages, strict=False)}
    return Profile(name, sources, car=Car(vin))


def test_score_is_that_of_dice_and_a_wrong_length_speaks_against(tmp_path: Path) -> None:
    dbc = described(tmp_path, "car", range(30))
    assert fit(dbc, [], sent(range(30))).score == 1
    assert fit(dbc, [], sent(range(20, 40))).score == 2 * 10 / (20 + 30)
    mixed = sent(range(20))
    mixed.add(CanFrame(25, bytes(7), 0, "can0"))
    assert fit(dbc, [], mixed).score == 2 * (20 - 1) / (21 + 30)
    assert fit(dbc, [], sent(range(30), length=7)).score == 0


def test_extended_identifier_is_another_one(tmp_path: Path) -> None:
    seen = Seen()
    seen.add(CanFrame(1, bytes(8), 0, "can0", extended=True))
    assert fit(described(tmp_path, "car", range(9)), [], seen).right == 0


def test_two_files_alike_are_not_chosen_between_but_the_vin_may(tmp_path: Path) -> None:
    seen, files = sent(range(20)), [described(tmp_path, n, range(20)) for n in ("a", "b")]
    ours = profile("Ours", 1, vin=("2T3",))
    fits = [fit(files[0], [profile("Other", 1, vin=("KMHK",))], seen), fit(files[1], [ours], seen)]
    unknown = choose(fits, None)
    assert unknown.dbc is None
    assert "a 1.00 and b 1.00" in unknown.reason
    known = choose(fits, VIN)
    assert (known.dbc, known.profile) == (files[1], ours)
    assert VIN not in known.reason
    assert choose(fits, "JF1" + VIN[3:]).dbc is None


def test_the_lead_decides(tmp_path: Path) -> None:
    seen = sent(range(20))
    best = fit(described(tmp_path, "best", range(20)), [], seen)
    for other, chosen in ((range(10, 20), True), (range(5, 20), False)):
        second = fit(described(tmp_path, "second", other), [], seen)
        assert (best.score >= LEAD_MIN * second.score) is chosen
        assert (choose([second, best], None).dbc is best.dbc) is chosen


@pytest.mark.parametrize("ids", [range(4), range(0, 600, 2)])
def test_few_identifiers_or_a_small_part_are_no_car(tmp_path: Path, ids: range) -> None:
    choice = choose([fit(described(tmp_path, "car", range(12)), [], sent(ids))], None)
    assert choice.dbc is None
    assert "no file fits: the best is car" in choice.reason


def test_no_file_at_all_is_no_choice() -> None:
    assert "there is none" in choose([], VIN).reason


def test_of_two_profiles_the_one_whose_messages_are_seen_counts(tmp_path: Path) -> None:
    dbc, seen = described(tmp_path, "car", range(30)), sent(range(20))
    half, whole, same = profile("Half", 1, 25), profile("Whole", 1, 2), profile("Same", 3)
    assert choose([fit(dbc, [half, whole], seen)], None).profile is whole
    assert choose([fit(dbc, [whole, same], seen)], None).profile is None
    of_vin = profile("Of the VIN", 1, 25, vin=("2T3",))
    assert choose([fit(dbc, [whole, of_vin], seen)], VIN).profile is of_vin


def test_identifiers_without_end_take_no_memory_without_end() -> None:
    seen = Seen()
    for n in range(3 * IDS_MAX):
        seen.add(CanFrame(n, b"", 0, "can0", extended=True))
    assert len(seen.lengths) == IDS_MAX

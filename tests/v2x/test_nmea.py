import random
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from agent.clock import MS, SECOND
from agent.position import PositionFix
from agent.v2x.nmea import NmeaJoiner
from tests.v2x.sentences import epochs, gga, gst, line, rmc


def joined(*lines: bytes) -> list[PositionFix]:
    joiner = NmeaJoiner()
    fixes = [fix for text in lines for fix in joiner.feed(text)]
    return fixes + joiner.flush()


def ns(year: int, month: int, day: int, *rest: int) -> int:
    hour, minute, second = [*rest, 0, 0, 0][:3]
    return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp()) * SECOND


def test_the_sentences_of_one_time_are_one_fix() -> None:
    [fix] = joined(rmc("120000.100"), gga("120000.100"), gst("120000.100"))

    assert fix.t_ns == fix.arrived_ns == ns(2026, 11, 22, 12) + 100 * MS
    assert fix.latitude_deg == pytest.approx(52.5163, abs=1e-9)
    assert fix.longitude_deg == pytest.approx(13.3777, abs=1e-9)
    assert fix.elevation_m == 74.5  # over the ellipsoid
    assert fix.speed_mps == pytest.approx(20.0, abs=1e-4)
    assert fix.heading_deg == 90.0
    assert (fix.semi_major_m, fix.semi_minor_m, fix.orientation_deg) == (1.5, 1.0, 45.0)


def test_south_and_west_are_negative() -> None:
    [fix] = joined(rmc("120000", place="3351.9333,S,15112.0000,W"))
    assert fix.latitude_deg == pytest.approx(-33.865555)
    assert fix.longitude_deg == pytest.approx(-151.2)


def test_each_time_is_its_own_fix() -> None:
    fixes = joined(*epochs(25).splitlines())
    assert [(b.t_ns - a.t_ns) for a, b in pairwise(fixes)] == [100 * MS] * 24


def test_a_fix_comes_with_the_sentence_that_closed_the_last_epoch() -> None:
    joiner = NmeaJoiner()
    for text in (rmc("120000"), gga("120000"), rmc("120001")):
        joiner.feed(text)
    [fix] = joiner.feed(gga("120001"), 7)
    assert fix.t_ns == ns(2026, 11, 22, 12, 0, 1)
    assert fix.arrived_ns == 7


def test_a_fix_does_not_wait_for_a_closing_sentence_that_was_lost() -> None:
    joiner = NmeaJoiner()
    for text in (rmc("120000"), gga("120000"), rmc("120001")):
        joiner.feed(text)
    [fix] = joiner.feed(rmc("120002"))
    assert fix.t_ns == ns(2026, 11, 22, 12, 0, 1)


def test_a_longer_cycle_is_learnt_again() -> None:
    joiner = NmeaJoiner()
    for second in range(3):
        joiner.feed(rmc(f"12000{second}"))
        joiner.feed(gga(f"12000{second}"))
    fixes = []
    for second in range(3, 8):
        for text in (rmc(f"12000{second}"), gga(f"12000{second}"), gst(f"12000{second}")):
            fixes += joiner.feed(text)
    assert fixes[-1].semi_major_m == 1.5


def test_a_sentence_that_comes_no_more_is_awaited_no_more() -> None:
    joiner = NmeaJoiner()
    for second in range(2):
        joiner.feed(rmc(f"12000{second}"))
        joiner.feed(gga(f"12000{second}"))
    late = [len(joiner.feed(rmc(f"12000{second}"))) for second in range(2, 9)]
    assert late == [0, 1, 1, 2, 1, 1, 1]


def test_a_place_without_a_date_is_not_a_fix() -> None:
    joiner = NmeaJoiner()
    assert joiner.feed(gga("120000")) + joiner.flush() == []
    assert joiner.undated == 1


def test_a_place_without_a_date_has_the_last_one_known() -> None:
    fixes = joined(rmc("120000"), gga("120001"))
    assert fixes[-1].t_ns == ns(2026, 11, 22, 12, 0, 1)


def test_rt_60_leap_second_is_counted_as_unread_and_moves_no_fix_around_it() -> None:
    joiner = NmeaJoiner()
    eve = [rmc(at, day="311226") for at in ("235959", "235960", "235960.500")]
    fixes = [
        fix
        for text in (*eve, rmc("000000", day="010127"), rmc("000001", day="010127"))
        for fix in joiner.feed(text)
    ] + joiner.flush()
    assert [fix.t_ns for fix in fixes] == [
        ns(2026, 12, 31, 23, 59, 59), ns(2027, 1, 1), ns(2027, 1, 1, 0, 0, 1)
    ]  # fmt: skip
    assert joiner.broken == 2


def test_midnight_without_a_date_is_the_next_day() -> None:
    fixes = joined(rmc("235959", day="311226"), gga("000000"), gga("000001"))
    assert [fix.t_ns for fix in fixes[1:]] == [ns(2027, 1, 1), ns(2027, 1, 1, 0, 0, 1)]


def test_midnight_with_a_date_is_not_counted_twice() -> None:
    fixes = joined(gga("235959"), rmc("235959"), gga("000000"), rmc("000000", day="231126"))
    assert [fix.t_ns for fix in fixes] == [ns(2026, 11, 22, 23, 59, 59), ns(2026, 11, 23)]


@pytest.mark.parametrize(
    "lines",
    [
        [rmc("120000", status="V")],
        [rmc("120000", status="V"), gga("120000")],
        [rmc("120000"), gga("120000", quality=0)],
        [line("GNRMC,120000,V,,,,,,,221126,,,N"), line("GNGGA,120000,,,,,0,00,99.9,,,,,,")],
        [rmc("120000"), line("GNGSA,A,1,,,,,,,,,,,,,99.9,99.9,99.9")],
        [rmc("120000"), line("GNGNS,120000,,,,,NNNN,00,99.9,,,,,V")],
    ],
)
def test_a_receiver_without_a_fix_gives_none(lines: list[bytes]) -> None:
    assert joined(*lines) == []


def test_one_constellation_without_a_fix_does_not_deny_it() -> None:
    none, three = "GNGSA,A,1,,,,,,,,,,,,,9,9,9", "GNGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1"
    assert len(joined(rmc("120000"), line(none), line(three))) == 1


def test_a_height_over_the_sea_alone_is_no_height() -> None:
    [fix] = joined(rmc("120000"), gga("120000", sep=""))
    assert fix.elevation_m is None


def test_a_fix_without_gst_has_no_accuracy() -> None:
    [fix] = joined(rmc("120000"), gga("120000"))
    assert (fix.semi_major_m, fix.semi_minor_m, fix.orientation_deg) == (None, None, None)


@pytest.mark.parametrize(
    ("box", "ellipse"), [("2.2,1.1,3.0", (2.2, 1.1, 0.0)), ("1.1,2.2,3.0", (2.2, 1.1, 90.0))]
)
def test_deviations_stand_in_for_an_empty_ellipse(
    box: str, ellipse: tuple[float, float, float]
) -> None:
    [fix] = joined(rmc("120000"), gst("120000", ",,", box))
    assert (fix.semi_major_m, fix.semi_minor_m, fix.orientation_deg) == ellipse


def test_speed_and_course_come_from_vtg_where_rmc_has_none() -> None:
    bare = line("GPRMC,120000,A,5230.9780,N,01322.6620,E,,,221126,,,A")
    [fix] = joined(bare, line("GPVTG,271.5,T,,M,10.0,N,18.5,K,A"))
    assert fix.speed_mps == pytest.approx(5.1444, abs=1e-4)
    assert fix.heading_deg == 271.5


def test_height_comes_from_gns_where_there_is_no_gga() -> None:
    gns = line("GNGNS,120000,5230.9780,N,01322.6620,E,ANNA,12,0.8,34.5,40.0,,,V")
    [fix] = joined(rmc("120000"), gns)
    assert fix.elevation_m == 74.5


def test_gns_sentences_of_one_constellation_say_nothing_of_the_place() -> None:
    whole = line("GNGNS,120000,5230.9780,N,01322.6620,E,AA,14,0.9,34.5,40.0,5.2,23,V")
    parts = [line(f"{name}GNS,120000,,,,,,7,,,,5.2,23,V") for name in ("GP", "GL")]
    joiner = NmeaJoiner()
    fixes = [fix for text in (rmc("120000"), whole, *parts) for fix in joiner.feed(text)]
    [fix] = fixes + joiner.flush()
    assert (fix.elevation_m, joiner.broken) == (74.5, 0)


def survey(at: str) -> tuple[bytes, bytes, bytes]:
    """A receiver without RMC, as surveyors set theirs up."""
    vtg = line("GNVTG,271.5,T,,M,10.0,N,18.5,K,A")
    return gga(at), vtg, line(f"GPZDA,{at},22,11,2026,00,00")


def test_without_rmc_the_date_comes_from_zda_and_the_speed_from_vtg() -> None:
    lines = [text for second in range(4) for text in survey(f"12000{second}")]
    fixes = joined(*lines)
    assert [fix.t_ns for fix in fixes] == [ns(2026, 11, 22, 12, 0, n) for n in range(4)]
    assert {fix.heading_deg for fix in fixes} == {271.5}
    assert {round(fix.speed_mps or 0, 4) for fix in fixes} == {5.1444}


def test_a_date_that_comes_once_a_second_keeps_no_fix_waiting() -> None:
    joiner = NmeaJoiner()
    late = []
    for number in range(30):
        at = f"12000{number // 10}.{number % 10}00"
        zda = [line(f"GPZDA,{at},22,11,2026,00,00")] * (number % 10 == 0)
        late.append(sum(len(joiner.feed(text)) for text in (rmc(at), gga(at), *zda)))
    assert late == [0, 2, *[1] * 28]


def test_midnight_by_zda_is_the_next_day() -> None:
    late = [gga("235959"), line("GPZDA,235959,31,12,2026,00,00"), gga("000000"), gga("000001")]
    early = [line("GPZDA,000001,01,01,2027,00,00"), gga("000002")]
    fixes = joined(*late, *early)
    first = ns(2026, 12, 31, 23, 59, 59)
    assert [fix.t_ns for fix in fixes] == [first + n * SECOND for n in range(4)]


@pytest.mark.parametrize("broken", ["31,02,2026", "0,0,0", ",,", "22,11,99999"])
def test_a_date_that_is_none_is_counted_and_changes_nothing(broken: str) -> None:
    joiner = NmeaJoiner()
    joiner.feed(rmc("120000"))
    joiner.feed(line(f"GPZDA,120000,{broken},00,00"))
    [*_, fix] = joiner.feed(gga("120001")) + joiner.flush()
    assert (fix.t_ns, joiner.broken) == (ns(2026, 11, 22, 12, 0, 1), 1)


@pytest.mark.parametrize("ellipse", ["0.0,0.0,0.0", "-1.0,1.0,0.0", "1.0,-1.0,0.0"])
def test_an_ellipse_that_none_can_be_is_no_accuracy(ellipse: str) -> None:
    [fix] = joined(rmc("120000"), gst("120000", ellipse, "0.0,0.0,0.0"))
    assert fix.semi_major_m is None


def test_the_digits_of_a_precise_receiver_are_kept() -> None:
    [fix] = joined(rmc("120000.00", place="5230.9780123,N,01322.6620456,E"))
    assert fix.latitude_deg == pytest.approx(52 + 30.9780123 / 60, abs=1e-9)
    assert fix.longitude_deg == pytest.approx(13 + 22.6620456 / 60, abs=1e-9)


def test_empty_speed_and_course_are_not_known() -> None:
    [fix] = joined(line("GPRMC,120000,A,5230.9780,N,01322.6620,E,,,221126,,,A"))
    assert (fix.speed_mps, fix.heading_deg) == (None, None)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (rmc("120000").replace(b"38.8", b"39.8"), "checksum"),
        (rmc("120000").split(b"*")[0], "not a sentence"),
        (rmc("120000")[5:], "not a sentence"),
        (b"\xff\x00\x81" * 9, "not a sentence"),
        (b"$GPGGA," + b"1" * 400 + b"*00", "over 255"),
        (rmc("997700"), "time of day"),
        (rmc(""), "time of day"),
        (rmc("120000", place="5260.0000,N,01322.6620,E"), "without a position"),
        (rmc("120000", place=",,,"), "without a position"),
        (rmc("120000", place="9930.0000,N,01322.6620,E"), "off the globe"),
        (rmc("120000", place="5230.9780,X,01322.6620,E"), "without a position"),
        (rmc("120000", knots="fast"), "a field"),
        (line("GPRMC"), "not a sentence"),
    ],
)
def test_a_broken_line_is_counted_and_named(broken: bytes, reason: str) -> None:
    joiner = NmeaJoiner()
    fixes = joiner.feed(rmc("115959")) + joiner.feed(broken) + joiner.flush()

    assert [fix.t_ns for fix in fixes] == [ns(2026, 11, 22, 11, 59, 59)]
    assert joiner.broken == 1
    assert joiner.complaints[0].startswith("line 2: ")
    assert reason in joiner.complaints[0]


def test_no_complaint_quotes_a_position() -> None:
    joiner = NmeaJoiner()
    for text in (rmc("1200"), rmc("120000", knots="5230.9X"), gga("120000").replace(b",N", b",S")):
        joiner.feed(text)
    assert joiner.broken == 3
    assert "5230" not in " ".join(joiner.complaints)


def test_complaints_stay_few() -> None:
    joiner = NmeaJoiner()
    for _ in range(1000):
        joiner.feed(b"noise")
    assert joiner.broken == 1000
    assert len(joiner.complaints) == 10


def test_sentences_of_other_kinds_pass_by() -> None:
    others = [line("PUBX,00,1"), line("GPGSV,1,1,01,02,40,083,46"), line("GPTXT,01,01,02,ok")]
    joiner = NmeaJoiner()
    for text in [*others, b"\r\n", b""]:
        assert joiner.feed(text) == []
    assert (joiner.sentences, joiner.broken) == (3, 0)


def test_mutated_lines_are_counted_or_read() -> None:
    rng = random.Random(183)
    source = epochs(200).splitlines()
    joiner = NmeaJoiner()
    for text in source:
        octets = bytearray(text)
        octets[rng.randrange(len(octets))] = rng.randrange(256)
        for fix in joiner.feed(bytes(octets)):
            assert -90 <= fix.latitude_deg <= 90
    assert joiner.broken + joiner.sentences >= 600


def test_fields_of_odd_values_are_counted_or_read() -> None:
    rng = random.Random(4)
    odd = ["", "nan", "inf", "-1", "1e400", "9" * 60, "A", "000000", "2460.00", "0000.0000", "N"]
    joiner = NmeaJoiner()
    for _ in range(1500):
        kind = rng.choice(["GNRMC", "GNGGA", "GNGST", "GNVTG", "GNGSA"])
        fields = ["120000", *(rng.choice(odd) for _ in range(rng.randrange(20)))]
        joiner.feed(line(",".join([kind, *fields])))
    joiner.flush()
    assert joiner.broken + joiner.sentences >= 1500

"""What the decoder says of a frame is what its description says, and the truth of the drive."""

import csv
import gzip
import itertools
import math
import random
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from cantools.database.can import Message
from cantools.database.can.signal import Signal as DbcSignal
from cantools.database.errors import DecodeError

from agent.errors import ConfigError
from agent.obd.bits import place, raw_value
from agent.obd.dbc import Dbc, load_dbc
from agent.obd.decode import Decoder
from agent.obd.frame import CanFrame
from agent.obd.logfile import LogFile
from agent.obd.plan import Plan, run
from agent.obd.profile import Profile, Source, load_profiles
from agent.privacy import Level, level_of
from agent.signals import Signal
from tests.obd.recordings import (
    DBC,
    KONA_LOG,
    PROFILES,
    RAV4,
    RAV4_LOG,
    SUBARU,
    SUBARU_LOG,
    TOYOTA_DBC,
    dbc_files,
    needs_recordings,
)

WHEELS = ("front_left", "front_right", "rear_left", "rear_right")


@cache
def rav4() -> tuple[CanFrame, ...]:
    return tuple(LogFile(RAV4_LOG))


@cache
def rav4_signals() -> dict[str, list[Signal]]:
    return by_name(Decoder([load_dbc(TOYOTA_DBC)], load_profiles(PROFILES)).decode(rav4()))


def by_name(signals: Sequence[Signal]) -> dict[str, list[Signal]]:
    found: dict[str, list[Signal]] = {}
    for signal in signals:
        found.setdefault(signal.name, []).append(signal)
    return found


def table(name: str) -> list[list[float]]:
    with gzip.open(RAV4 / name, "rt", encoding="utf-8") as file:
        return [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]


def assert_same(signals: Sequence[Signal], truth: Sequence[tuple[float, float]]) -> None:
    assert len(signals) == len(truth)
    assert max(abs(s.t_ns / 1e9 - t) for s, (t, _) in zip(signals, truth, strict=True)) < 2e-6
    assert max(abs(s.value - v) for s, (_, v) in zip(signals, truth, strict=True)) < 1e-6


def make_dbc(tmp_path: Path, text: str, name: str = "car") -> Dbc:
    path = tmp_path / f"{name}.dbc"
    path.write_text(text, encoding="utf-8")
    return load_dbc(path)


def profile(**sources: Source) -> Profile:
    return Profile("Car", {name.replace("__", "."): source for name, source in sources.items()})


def frame(can_id: int, data: bytes, channel: str = "can0", *, extended: bool = False) -> CanFrame:
    return CanFrame(can_id, data, 5, channel, extended)


# the truth of the recorded drive


@needs_recordings
def test_wheel_speeds_of_the_drive_are_the_published_ones() -> None:
    rows = table("truth_wheel_speed.csv.gz")
    for column, wheel in enumerate(WHEELS, start=1):
        truth = [(row[0], row[column]) for row in rows]
        assert_same(rav4_signals()[f"speed.wheel.{wheel}"], truth)


@needs_recordings
def test_speed_of_the_drive_is_the_published_one() -> None:
    truth = [(row[0], row[1]) for row in table("truth_speed.csv.gz")]
    assert_same(rav4_signals()["speed.vehicle"], truth)


@needs_recordings
def test_steering_angle_of_the_drive_is_the_published_one() -> None:
    truth = [(row[0], math.radians(row[1])) for row in table("truth_steering_angle.csv.gz")]
    assert_same(rav4_signals()["steering.angle"], truth)


def mean_over(rows: Sequence[tuple[float, float]], t: float, half_s: float) -> float:
    near = [value for at, value in rows if abs(at - t) <= half_s]
    return sum(near) / len(near)


def correlation(a: Sequence[float], b: Sequence[float]) -> float:
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    both = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    alone = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return both / math.sqrt(alone)


def course(name: str) -> list[tuple[float, float]]:
    return [(signal.t_ns / 1e9, signal.value) for signal in rav4_signals()[name]]


@needs_recordings
@pytest.mark.parametrize(
    ("name", "file", "column"),
    [
        ("yaw.rate", "imu_gyro.csv.gz", 3),  # about the axis down: clockwise positive
        ("acceleration.lateral", "imu_accelerometer.csv.gz", 2),  # to the right
    ],
)
def test_left_is_positive_on_the_drive(name: str, file: str, column: int) -> None:
    other = [(row[0], row[column]) for row in table(file)]
    times = [other[0][0] + second for second in range(1, 38)]
    ours = [mean_over(course(name), t, 0.25) for t in times]
    theirs = [mean_over(other, t, 0.25) for t in times]
    assert correlation(ours, theirs) < -0.8


@needs_recordings
def test_acceleration_is_positive_while_the_speed_grows() -> None:
    speed = course("speed.vehicle")
    times = [speed[0][0] + second for second in range(1, 38)]
    gain = [mean_over(speed, t + 0.5, 0.1) - mean_over(speed, t - 0.5, 0.1) for t in times]
    ours = [mean_over(course("acceleration.longitudinal"), t, 0.5) for t in times]
    assert correlation(ours, gain) > 0.8


@needs_recordings
def test_radar_bus_is_not_decoded_with_the_description_of_the_other_bus() -> None:
    signals = rav4_signals()
    assert {signal.origin for group in signals.values() for signal in group} == {"can0"}


@needs_recordings
def test_share_of_described_frames_is_the_one_known_for_this_drive() -> None:
    decoder = Decoder([load_dbc(TOYOTA_DBC)])
    frames = rav4()
    for start in range(0, len(frames), 33):
        decoder.decode(frames[start : start + 33])
    powertrain = sum(1 for one in frames if one.channel == "can0")
    assert decoder.described + decoder.undescribed == len(frames)
    assert round(decoder.described / powertrain, 2) == 0.72
    assert decoder.undecodable == 0


@needs_recordings
def test_vin_bytes_that_are_decoded_stay_core_personal() -> None:
    parts = [name for name in rav4_signals() if "VIN" in name]
    assert len(parts) == 17
    assert {level_of(name) for name in parts} == {Level.LV1}


@needs_recordings
def test_subaru_gains_speed_with_positive_acceleration_and_turns_left_positively() -> None:
    decoder = Decoder([load_dbc(SUBARU / "sample_can_spec.dbc")], load_profiles(PROFILES))
    signals = by_name(decoder.decode(list(LogFile(SUBARU_LOG))))
    start = signals["speed.vehicle"][0].t_ns
    forward = {
        name: [s for s in group if 12.5 < (s.t_ns - start) / 1e9 < 26]
        for name, group in signals.items()
    }
    moving_off = [s.value for s in forward["acceleration.longitudinal"][:100]]
    assert sum(moving_off) / len(moving_off) > 1
    yaw = [s.value for s in forward["yaw.rate"]]
    assert correlation([s.value for s in forward["steering.angle"]], yaw) > 0.8
    left, right = forward["speed.wheel.front_left"], forward["speed.wheel.front_right"]
    assert correlation([r.value - le.value for le, r in zip(left, right, strict=True)], yaw) > 0.5
    assert {s.value for s in signals["gear"]} == {2.0, 3.0}


@needs_recordings
def test_kona_reports_nothing_while_a_control_unit_is_not_ready() -> None:
    decoder = Decoder([load_dbc(DBC / "kona-ev" / "pcan.dbc")], load_profiles(PROFILES))
    signals = by_name(decoder.decode(list(LogFile(KONA_LOG))))
    assert all(6 <= s.value <= 18 for s in signals["supply.voltage"])
    assert {s.value for s in signals["gear"]} == {1.0}
    assert signals["battery.charge"][0].value == pytest.approx(0.365)
    assert signals["battery.voltage"][0].value == pytest.approx(355, abs=1)


# the same as the reference decoder


def overlaps(message: Message) -> bool:
    """Signals that share bits, or reach beyond the message, which the reference cannot place."""
    for signal in message.signals:
        field = place(signal, message.length)
        if field is None:
            return True
    roots = [signal for signal in message.signals if not signal.multiplexer_ids]
    pairs = itertools.combinations(roots, 2)
    return any(bits(one, message) & bits(other, message) for one, other in pairs)


def bits(signal: DbcSignal, message: Message) -> int:
    field = place(signal, message.length)
    assert field is not None
    whole = field.mask << field.shift
    return whole if not field.little else int.from_bytes(whole.to_bytes(message.length, "little"))


def ours(message: Message, data: bytes) -> dict[str, float] | None:
    node = Plan(message, {}).node(len(data))
    out: list[Signal] = []
    if node is None or not run(node, data, 0, "can0", out):
        return None
    prefix = f"can.{message.name}."
    return {signal.name.removeprefix(prefix): signal.value for signal in out}


def theirs(message: Message, data: bytes) -> dict[str, float] | None:
    try:
        decoded = message.decode(data, decode_choices=False, scaling=True, allow_truncated=True)
    except DecodeError:
        return None
    assert isinstance(decoded, dict)
    return {name: float(value) for name, value in decoded.items()}  # type: ignore[arg-type]  # numbers


@needs_recordings
@pytest.mark.parametrize("path", dbc_files(), ids=lambda path: path.stem)
def test_every_message_decodes_as_the_reference_decodes_it(path: Path) -> None:
    rng = random.Random(path.stem)
    compared = 0
    for message in load_dbc(path).messages.values():
        if overlaps(message):
            continue
        for length in (message.length, message.length, rng.randrange(message.length + 1), 8):
            data = rng.randbytes(length)
            reference = theirs(message, data)
            if reference is None or not message.signals:
                continue
            compared += 1
            mine = ours(message, data)
            if not reference:
                assert mine is None
            else:
                assert mine == pytest.approx(reference, rel=1e-14, abs=0)
    assert compared > 0


@needs_recordings
def test_signals_that_overlap_each_decode_as_if_alone() -> None:
    [hud] = [m for m in load_dbc(TOYOTA_DBC).messages.values() if m.name == "PCS_HUD"]
    assert overlaps(hud)
    rng = random.Random(4)
    for _ in range(50):
        data = rng.randbytes(hud.length)
        mine = ours(hud, data)
        assert mine is not None
        for signal in hud.signals:
            alone = Message(1, "ALONE", hud.length, [signal], strict=False)
            assert theirs(alone, data) == {signal.name: mine[signal.name]}


# the rules


TWO = (
    'BO_ 1 A: 8 X\n SG_ V : 0|16@1- (0.5,1) [0|0] "km/h" X\n SG_ W : 16|8@1+ (1,0) [0|0] "" X\n'
    'BO_ 2 B: 8 X\n SG_ M M : 0|8@1+ (1,0) [0|0] "" X\n'
    ' SG_ B0 m0 : 8|8@1+ (1,0) [0|0] "" X\n SG_ B1 m1 : 15|16@0+ (1,0) [0|0] "" X\n'
)


def test_unmapped_signal_keeps_value_and_name_of_its_file(tmp_path: Path) -> None:
    signals = Decoder([make_dbc(tmp_path, TWO)]).decode([frame(1, b"\xfe\xff\x07" + bytes(5))])
    assert [(s.name, s.value, s.t_ns, s.origin) for s in signals] == [
        ("can.A.V", 0.0, 5, "can0"),
        ("can.A.W", 7.0, 5, "can0"),
    ]


def test_mapped_signal_has_our_name_and_unit_and_only_that(tmp_path: Path) -> None:
    mapped = profile(speed__vehicle=Source("A", signal="V", sign=-1))
    decoder = Decoder([make_dbc(tmp_path, TWO)], [mapped])
    signals = decoder.decode([frame(1, b"\x46\x00" + bytes(6))])
    found = {s.name: s.value for s in signals}
    assert found == pytest.approx({"speed.vehicle": -10.0, "can.A.W": 0.0})


def test_state_that_is_not_listed_is_no_reading(tmp_path: Path) -> None:
    mapped = profile(gear=Source("A", signal="W", map={"1": 3}))
    decoder = Decoder([make_dbc(tmp_path, TWO)], [mapped])
    known, unknown = frame(1, b"\0\0\1"), frame(1, b"\0\0\2")
    assert [s.value for s in decoder.decode([known, unknown]) if s.name == "gear"] == [3.0]
    assert decoder.undecodable == 0


def test_value_outside_its_limits_is_no_reading(tmp_path: Path) -> None:
    mapped = profile(speed__vehicle=Source("A", signal="V", valid=(0, 200)))
    decoder = Decoder([make_dbc(tmp_path, TWO)], [mapped])
    signals = decoder.decode([frame(1, b"\xff\x7f\0"), frame(1, b"\x46\0\0")])
    assert [s.value for s in signals if s.name == "speed.vehicle"] == [10.0]


def test_multiplexed_signals_come_only_with_their_value(tmp_path: Path) -> None:
    decoder = Decoder([make_dbc(tmp_path, TWO)])
    signals = decoder.decode([frame(2, b"\0\5" + bytes(6)), frame(2, b"\1\1\2" + bytes(5))])
    assert [(s.name, s.value) for s in signals] == [
        ("can.B.M", 0.0),
        ("can.B.B0", 5.0),
        ("can.B.M", 1.0),
        ("can.B.B1", 258.0),
    ]


def test_multiplexer_value_nobody_described_is_counted(tmp_path: Path) -> None:
    decoder = Decoder([make_dbc(tmp_path, TWO)])
    assert [s.name for s in decoder.decode([frame(2, b"\7" + bytes(7))])] == ["can.B.M"]
    assert (decoder.described, decoder.undecodable) == (1, 1)


def test_short_frame_gives_what_fits_and_an_empty_one_is_counted(tmp_path: Path) -> None:
    decoder = Decoder([make_dbc(tmp_path, TWO)])
    assert [s.name for s in decoder.decode([frame(1, b"\0\0"), frame(1, b"")])] == ["can.A.V"]
    assert (decoder.described, decoder.undecodable) == (2, 1)


def test_mean_is_not_made_of_half_its_parts(tmp_path: Path) -> None:
    text = TWO.replace("16|8@1+", "16|16@1-").replace('"" X\nBO_ 2', '"km/h" X\nBO_ 2')
    mapped = profile(speed__vehicle=Source("A", mean=("V", "W")))
    decoder = Decoder([make_dbc(tmp_path, text)], [mapped])
    assert decoder.decode([frame(1, b"\x46\0")]) == []


def test_value_that_is_no_number_never_leaves(tmp_path: Path) -> None:
    text = (
        'BO_ 1 A: 8 X\n SG_ F : 0|32@1- (1,0) [0|0] "" X\n SG_ G : 32|8@1+ (1,0) [0|0] "" X\n'
        "SIG_VALTYPE_ 1 F : 1;\n"
    )
    decoder = Decoder([make_dbc(tmp_path, text)])
    nan, infinite, two = b"\0\0\xc0\x7f\1", b"\0\0\x80\x7f\1", b"\0\0\0\x40\1"
    signals = decoder.decode([frame(1, data) for data in (nan, infinite, two)])
    assert [s.value for s in signals if s.name == "can.A.F"] == [2.0]
    assert all(math.isfinite(s.value) for s in signals)
    assert decoder.undecodable == 2


def test_frame_nobody_describes_is_counted(tmp_path: Path) -> None:
    decoder = Decoder([make_dbc(tmp_path, TWO)])
    assert decoder.decode([frame(9, b""), frame(1, bytes(8), extended=True)]) == []
    assert decoder.undescribed == 2


def test_file_given_for_a_channel_is_used_there_only(tmp_path: Path) -> None:
    decoder = Decoder({"can1": [make_dbc(tmp_path, TWO)]})
    signals = decoder.decode([frame(1, bytes(8)), frame(1, bytes(8), "can1")])
    assert {s.origin for s in signals} == {"can1"}


def test_file_given_for_every_channel_is_used_on_all(tmp_path: Path) -> None:
    decoder = Decoder({"*": [make_dbc(tmp_path, TWO)]})
    signals = decoder.decode([frame(1, bytes(8)), frame(1, bytes(8), "can1")])
    assert {s.origin for s in signals} == {"can0", "can1"}


def test_bare_file_is_used_where_most_of_its_identifiers_are_seen(tmp_path: Path) -> None:
    decoder = Decoder([make_dbc(tmp_path, TWO)])
    frames = [frame(1, bytes(8), "can1"), frame(1, bytes(8)), frame(2, bytes(8))]
    assert {s.origin for s in decoder.decode(frames)} == {"can0"}
    assert decoder.described == 2


def test_binding_of_a_bare_file_stays_when_it_was_watched_long_enough(tmp_path: Path) -> None:
    decoder = Decoder([make_dbc(tmp_path, TWO)])
    decoder.decode([frame(1, bytes(8))] * 2000)
    both = [frame(1, bytes(8), "can1"), frame(2, bytes(8), "can1")]
    assert decoder.decode(both) == []


def test_keys_of_a_channel_are_those_of_every_file_that_may_describe_it() -> None:
    simcar = load_dbc(PROFILES / "simcar.dbc")
    for given in ([simcar], {"can0": [simcar]}, {"*": [simcar]}):
        assert Decoder(given).keys("can0") == set(simcar.messages)
    assert Decoder({"can1": [simcar]}).keys("can0") == set()


def test_file_given_first_counts(tmp_path: Path) -> None:
    first, second = make_dbc(tmp_path, TWO), make_dbc(tmp_path, TWO.replace("A:", "Z:"), "other")
    names = {s.name for s in Decoder([first, second]).decode([frame(1, bytes(8))])}
    assert names == {"can.A.V", "can.A.W"}


def test_unknown_unit_of_a_mapped_signal_is_an_error_that_names_it(tmp_path: Path) -> None:
    dbc = make_dbc(tmp_path, TWO.replace("km/h", "furlong"))
    with pytest.raises(ConfigError, match="furlong") as caught:
        Decoder([dbc], [profile(speed__vehicle=Source("A", signal="V"))])
    assert "message A" in str(caught.value)


def test_unknown_unit_of_an_unmapped_signal_does_not_matter(tmp_path: Path) -> None:
    dbc = make_dbc(tmp_path, TWO.replace("km/h", "furlong"))
    assert len(Decoder([dbc]).decode([frame(1, bytes(8))])) == 2


def test_no_files_describe_nothing() -> None:
    decoder = Decoder([])
    assert decoder.decode([frame(1, bytes(8))]) == []
    assert decoder.undescribed == 1


def test_sign_bit_counts_at_every_width() -> None:
    for bits_ in range(1, 65):
        field = place(DbcSignal("S", 0, bits_, "little_endian", is_signed=True), 8)
        assert field is not None
        assert raw_value(field, 2**64 - 1, 0) == -1

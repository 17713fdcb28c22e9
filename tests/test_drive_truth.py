"""What the messages of a recorded drive say, against the truth published with it.

A message describes one instant. A value from a bus was true a little before it was received, by
the stated age of its source, and where the next one has not come yet the last is held. So a
field has to be within one unit of what the truth was from one period of the bus before that
instant to one age after it.
"""

import itertools
import math
import statistics
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

import cantools
import pytest

from agent.archive import archive
from agent.bsm.crosscheck import CHECKS
from agent.bsm.geodesy import distance_m, moved
from agent.bsm.message import ALL_WHEELS, BasicSafetyMessage, Transmission, VehicleSize
from agent.bsm.state import LATENCIES, VehicleState
from agent.bsm.truth import Truth as CrossCheck
from agent.clock import MS, SECOND, ManualClock
from agent.compose import decoder, recorder
from agent.events import BrakedHard, BsmMade, SignalDoubted
from agent.installed import codec
from agent.obd.dbc import load_dbc
from agent.obd.decode import Decoder
from agent.obd.logfile import LogFile
from agent.obd.profile import load_profiles
from agent.obd.route import Route
from agent.playback import Playback
from agent.position import PositionFix
from agent.signals import Signal
from agent.v2x.gnss import NmeaFile
from tests.opened import opened
from tests.shared import RAV4, SHARED, TOYOTA_DBC, needs_shared
from tests.test_one_drive import nmea_of, rows

SUBARU = SHARED / "data" / "can" / "subaru-wrx-sti"
SUBARU_LOG = SUBARU / "can_sample.first30s.log.gz"
SUBARU_DBC = SUBARU / "sample_can_spec.dbc"
PROFILES = Path(__file__).parents[1] / "dbc"
SIZE = VehicleSize(1.85, 4.6)
CODEC = codec()
AGE_NS = LATENCIES["can"]
PERIOD_NS = 20 * MS  # chassis frames of both cars come every 10 to 20 ms
STEEPEST = 2.1  # m/s2, of either drive: a speed carried on by it may be off by so much an age

SPEED, ACCELERATION, YAW = 0.02, 0.01, 0.01  # one unit: m/s, m/s2, deg/s
HEADING, DEGREES = 0.0125, 1e-7

Told = Sequence[tuple[int, BasicSafetyMessage]]
Curve = Sequence[tuple[int, float]]


class Truth:
    """A quantity over time, and its bounds between two instants."""

    def __init__(self, samples: Curve) -> None:
        self.samples = sorted(samples)
        self.times = [t_ns for t_ns, _ in self.samples]

    def at(self, t_ns: int) -> float:
        place = bisect_right(self.times, t_ns)
        if place in (0, len(self.samples)):
            return self.samples[min(place, len(self.samples) - 1)][1]
        (t0, v0), (t1, v1) = self.samples[place - 1], self.samples[place]
        return v0 + (v1 - v0) * (t_ns - t0) / (t1 - t0)

    def bounds(self, from_ns: int, to_ns: int) -> tuple[float, float]:
        inside = self.samples[bisect_left(self.times, from_ns) : bisect_right(self.times, to_ns)]
        values = [value for _, value in inside] + [self.at(from_ns), self.at(to_ns)]
        return min(values), max(values)

    def covers(self, t_ns: int) -> bool:
        return self.times[0] <= t_ns <= self.times[-1] - AGE_NS

    def misses(self, told: Curve, unit: float) -> list[tuple[int, float, float, float]]:
        """Values told that are over one unit away from the truth of one age."""
        wrong = []
        for t_ns, value in told:
            low, high = self.bounds(t_ns - PERIOD_NS, t_ns + AGE_NS)
            if self.covers(t_ns) and not low - unit <= value <= high + unit:
                wrong.append((t_ns, value, low, high))
        return wrong


def told(drive: Told, field: str) -> list[tuple[int, float]]:
    values = [(t_ns, getattr(message, field)) for t_ns, message in drive]
    return [(t_ns, value) for t_ns, value in values if value is not None]


def dated(messages: Sequence[bytes], start_ns: int) -> Iterator[tuple[int, BasicSafetyMessage]]:
    """Each with the UTC instant it describes: its minute is that of the drive."""
    minute = 60 * SECOND
    last_ns = start_ns - SECOND
    for octets in messages:
        message = CODEC.decode_frame(octets)
        assert message.sec_mark_ms is not None
        t_ns = last_ns // minute * minute + message.sec_mark_ms * MS
        last_ns = t_ns + minute * (t_ns < last_ns - minute // 2)
        yield last_ns, message


def played(
    folder: Path, log: Path, decode: Decoder, fixes: Sequence[PositionFix] = ()
) -> tuple[list[tuple[int, BasicSafetyMessage]], list[SignalDoubted]]:
    """A recording through the whole house: its messages, and the signals that were doubted."""
    file = LogFile(log)
    assert file.start_ns is not None
    clock = ManualClock(file.start_ns)
    with archive(folder / "state", clock, wait=True) as parts:
        core = recorder(parts, SIZE, CODEC)
        Playback(core, decode, clock, fixes).play(file)
        core.finish()
        events = opened(parts)
    made = [event.message for event in events if isinstance(event, BsmMade)]
    doubts = [event for event in events if isinstance(event, SignalDoubted)]
    assert doubts == core.doubts
    return list(dated(made, file.start_ns)), doubts


# ---- RAV4: bus, receiver and inertial sensors ----------------------------------------------


@pytest.fixture(scope="module")
def rav4(tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("rav4")
    nmea = folder / "drive.nmea"
    nmea.write_text("".join(map(nmea_of, rows("gnss_ublox.csv.gz"))), encoding="ascii")
    decode, _ = decoder([str(TOYOTA_DBC)])
    drive, doubts = played(folder, RAV4 / "can.log.gz", decode, list(NmeaFile(nmea)))
    assert doubts == []
    return drive


def column(name: str, number: int, factor: float = 1.0, *, time: int = 0) -> Truth:
    per_second = SECOND if time == 0 else MS
    return Truth([(round(row[time] * per_second), row[number] * factor) for row in rows(name)])


@needs_shared
def test_messages_of_the_drive_follow_each_other_every_100_ms(rav4: Told) -> None:
    steps = [(after[0] - before[0]) // MS for before, after in itertools.pairwise(rav4)]
    assert len(rav4) > 380
    assert set(steps) <= {99, 100, 101, 200}
    assert steps.count(200) <= 2


@needs_shared
def test_speed_of_every_message_is_the_published_one(rav4: Told) -> None:
    speeds = told(rav4, "speed_mps")
    assert len(speeds) == len(rav4)
    assert column("truth_speed.csv.gz", 1).misses(speeds, SPEED + STEEPEST * AGE_NS / SECOND) == []


@needs_shared
def test_steering_angle_of_every_message_is_the_published_one(rav4: Told) -> None:
    angles = [(t_ns, math.degrees(value)) for t_ns, value in told(rav4, "steering_angle_rad")]
    assert len(angles) == len(rav4)
    assert column("truth_steering_angle.csv.gz", 1).misses(angles, 1.5) == []


@needs_shared
@pytest.mark.parametrize(
    ("field", "number", "unit"),
    [
        ("latitude_deg", 1, DEGREES),
        ("longitude_deg", 2, DEGREES),
        ("elevation_m", 5, 0.1),
        ("heading_deg", 6, HEADING),
    ],
)
def test_position_and_heading_of_every_epoch_are_those_of_the_receiver(
    rav4: Told, field: str, number: int, unit: float
) -> None:
    epochs = {round(row[4]): row[number] for row in rows("gnss_ublox.csv.gz")}
    pairs = [(value, epochs.get(t_ns // MS)) for t_ns, value in told(rav4, field)]
    met = [(value, true) for value, true in pairs if true is not None]
    assert len(met) > 0.95 * len(rav4)
    assert [pair for pair in met if abs(math.remainder(pair[0] - pair[1], 360.0)) > unit] == []


@needs_shared
def test_position_between_epochs_is_where_the_receiver_says_the_car_drove(rav4: Told) -> None:
    north = column("gnss_ublox.csv.gz", 1, time=4)
    east = column("gnss_ublox.csv.gz", 2, time=4)
    assert north.covers(rav4[-5][0])
    for t_ns, message in rav4:
        assert message.latitude_deg is not None
        assert message.longitude_deg is not None
        if not north.covers(t_ns):
            continue
        there = (north.at(t_ns), east.at(t_ns))
        assert distance_m(message.latitude_deg, message.longitude_deg, there) < 0.3


def independent(dbc: Path, log: Path, channel: str | None = None) -> dict[str, Truth]:
    """Every signal of a recording as cantools reads it, without any part of ours."""
    database = cantools.database.load_file(dbc, strict=False)
    assert isinstance(database, cantools.database.Database)
    known = {message.frame_id: message for message in database.messages}
    curves: dict[str, list[tuple[int, float]]] = {}
    for frame in LogFile(log):
        message = known.get(frame.can_id)
        if message is None or (channel and frame.channel != channel):
            continue
        values = message.decode(frame.data, decode_choices=False, allow_truncated=True)
        assert isinstance(values, dict)
        for name, value in values.items():
            curves.setdefault(name, []).append((frame.t_ns, float(value)))  # type: ignore[arg-type]  # no choices
    return {name: Truth(samples) for name, samples in curves.items()}


def turned(truth: Truth, factor: float) -> Truth:
    return Truth([(t_ns, value * factor) for t_ns, value in truth.samples])


@pytest.fixture(scope="module")
def toyota() -> dict[str, Truth]:
    return independent(TOYOTA_DBC, RAV4 / "can.log.gz", "can0")


@needs_shared
def test_motion_of_every_message_is_what_the_bus_said(rav4: Told, toyota: dict[str, Truth]) -> None:
    along = told(rav4, "acceleration_longitudinal_mps2")
    aside = told(rav4, "acceleration_lateral_mps2")
    yaw = [(t_ns, math.degrees(value)) for t_ns, value in told(rav4, "yaw_rate_radps")]
    assert len(along) == len(aside) == len(yaw) == len(rav4)
    assert turned(toyota["ACCEL_X"], -1).misses(along, ACCELERATION) == []
    assert turned(toyota["ACCEL_Y"], -1).misses(aside, ACCELERATION) == []
    assert toyota["YAW_RATE"].misses(yaw, YAW) == []


def smooth(curve: Curve, times: Sequence[int]) -> list[float]:
    """Means over the second round each instant: a sensor in its holder shakes."""
    truth = Truth(curve)
    half = SECOND // 2
    means = []
    for t_ns in times:
        stamps = truth.times
        part = truth.samples[bisect_left(stamps, t_ns - half) : bisect_right(stamps, t_ns + half)]
        means.append(sum(value for _, value in part) / len(part))
    return means


@needs_shared
@pytest.mark.parametrize(
    ("field", "file", "number", "sign", "spread", "likeness"),
    [
        ("acceleration_longitudinal_mps2", "imu_accelerometer.csv.gz", 1, 1, 0.1, 0.98),
        ("acceleration_lateral_mps2", "imu_accelerometer.csv.gz", 2, -1, 0.1, 0.8),
        ("yaw_rate_radps", "imu_gyro.csv.gz", 3, -1, math.radians(0.1), 0.95),
    ],
)
def test_motion_follows_the_inertial_sensors_with_the_right_sign(
    rav4: Told, field: str, file: str, number: int, sign: int, spread: float, likeness: float
) -> None:
    """But for an offset: the sensor was not level, and neither was the road."""
    curve = told(rav4, field)
    times = [t_ns for t_ns, _ in curve[10:-10]]
    ours = smooth(curve, times)
    theirs = smooth([(round(r[0] * SECOND), sign * r[number]) for r in rows(file)], times)
    apart = [a - b for a, b in zip(ours, theirs, strict=True)]
    assert statistics.pstdev(apart) < spread
    assert statistics.correlation(ours, theirs) > likeness


# ---- Subaru: brake, standstill, and an acceleration that counts the other way ----------------


def reckoned(truth: dict[str, Truth]) -> list[tuple[PositionFix, float]]:
    """What a receiver would have said, reckoned from the car's own speed, yaw rate and reverse.

    Each with the direction of the front.
    """
    speed, yaw, reverse = truth["SPEED"], truth["GYRO_YAW"], truth["REVERSE"]
    t_ns = -(-speed.times[0] // (100 * MS)) * 100 * MS
    place, front = (37.0, -122.0), 40.0
    fixes = []
    while t_ns <= speed.times[-1]:
        back = 180.0 * (reverse.at(t_ns) > 0)
        fix = PositionFix(
            t_ns=t_ns,
            arrived_ns=t_ns + 60 * MS,
            latitude_deg=place[0],
            longitude_deg=place[1],
            elevation_m=12.0,
            speed_mps=speed.at(t_ns + AGE_NS),
            heading_deg=(front + back) % 360.0,
        )
        fixes.append((fix, front))
        for step in range(100):
            at = t_ns + step * MS + AGE_NS
            place = moved(*place, speed.at(at) / 1000, front + back)
            front -= math.degrees(yaw.at(at)) / 1000
        t_ns += 100 * MS
    return fixes


class Subaru:
    """Its drive, and what cantools reads of it. SPEED in m/s, GYRO_YAW in rad/s."""

    def __init__(self, folder: Path) -> None:
        self.truth = independent(SUBARU_DBC, SUBARU_LOG)
        self.fixes = reckoned(self.truth)
        decode, _ = decoder([str(SUBARU_DBC)])
        fixes = [fix for fix, _ in self.fixes]
        self.messages, self.doubts = played(folder, SUBARU_LOG, decode, fixes)


@pytest.fixture(scope="module")
def subaru(tmp_path_factory: pytest.TempPathFactory) -> Subaru:
    return Subaru(tmp_path_factory.mktemp("subaru"))


@needs_shared
def test_motion_of_every_subaru_message_is_what_the_bus_said(subaru: Subaru) -> None:
    drive, truth = subaru.messages, subaru.truth
    assert len(drive) > 290
    speeds = told(drive, "speed_mps")
    along = told(drive, "acceleration_longitudinal_mps2")
    aside = told(drive, "acceleration_lateral_mps2")
    yaw = told(drive, "yaw_rate_radps")
    assert min(map(len, (speeds, along, aside, yaw))) >= len(drive) - 3
    assert truth["SPEED"].misses(speeds, SPEED + STEEPEST * AGE_NS / SECOND) == []
    assert turned(truth["ACCEL_LONG"], -1).misses(along, ACCELERATION) == []
    assert truth["ACCEL_LAT"].misses(aside, ACCELERATION) == []
    assert truth["GYRO_YAW"].misses(yaw, math.radians(YAW)) == []


@needs_shared
def test_places_of_the_subaru_are_those_of_its_receiver(subaru: Subaru) -> None:
    fixes = {fix.t_ns: (fix, front) for fix, front in subaru.fixes}
    met = [(message, *fixes[t_ns]) for t_ns, message in subaru.messages if t_ns in fixes]
    assert len(met) > 280
    turned = 0
    for message, fix, front in met:
        assert message.latitude_deg == pytest.approx(fix.latitude_deg, abs=DEGREES)
        assert message.longitude_deg == pytest.approx(fix.longitude_deg, abs=DEGREES)
        if (fix.speed_mps or 0.0) > 1.39:
            assert message.heading_deg is not None
            assert abs(math.remainder(message.heading_deg - front, 360.0)) <= HEADING
            turned += message.transmission is Transmission.REVERSE
    assert turned > 10


@needs_shared
def test_the_brake_of_the_subaru_is_told_while_it_is_pressed(subaru: Subaru) -> None:
    pressed = subaru.truth["BRAKE"]
    for t_ns, message in subaru.messages:
        low, high = pressed.bounds(t_ns - 100 * MS, t_ns + 100 * MS)
        if low > 0:
            assert message.brakes.wheels == ALL_WHEELS
        if high == 0:
            assert message.brakes.wheels == frozenset()


@needs_shared
def test_a_sign_that_the_profile_corrects_is_not_doubted(subaru: Subaru) -> None:
    assert subaru.doubts == []


@needs_shared
def test_an_inverted_acceleration_of_the_subaru_is_noticed(tmp_path: Path) -> None:
    text = (PROFILES / "subaru-wrx.toml").read_text(encoding="utf-8")
    wrong = text.replace('signal = "ACCEL_LONG"\nsign = -1\n', 'signal = "ACCEL_LONG"\n')
    assert wrong != text
    (tmp_path / "subaru.toml").write_text(wrong, encoding="utf-8")
    decode = Decoder([load_dbc(SUBARU_DBC)], load_profiles(tmp_path))

    _, [doubt] = played(tmp_path, SUBARU_LOG, decode)

    assert doubt.name == "acceleration.longitudinal"
    assert "sign" in doubt.reason
    assert doubt.stated * doubt.expected < 0


# ---- recorded drives, altered ------------------------------------------------------------------

Told_as = Callable[[float], float]
Drive = tuple[list[Signal], list[PositionFix]]


def watched_signals(log: Path, dbc: Path) -> list[Signal]:
    """What the cross-checks look at, in the order of the recording."""
    decode, _ = decoder([str(dbc)])
    names = {*CHECKS, "gear"}
    return [signal for signal in decode.decode(list(LogFile(log))) if signal.name in names]


@pytest.fixture(scope="module")
def rav4_told(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    nmea = tmp_path_factory.mktemp("told") / "drive.nmea"
    nmea.write_text("".join(map(nmea_of, rows("gnss_ublox.csv.gz"))), encoding="ascii")
    return watched_signals(RAV4 / "can.log.gz", TOYOTA_DBC), list(NmeaFile(nmea))


@pytest.fixture(scope="module")
def subaru_told() -> Drive:
    fixes = reckoned(independent(SUBARU_DBC, SUBARU_LOG))
    return watched_signals(SUBARU_LOG, SUBARU_DBC), [fix for fix, _ in fixes]


def contradictions(drive: Drive, name: str = "", told_as: Told_as = float) -> list[SignalDoubted]:
    """Of a drive in which one signal is told otherwise."""
    state, truth, doubts = VehicleState(LATENCIES), CrossCheck(), []
    signals, fixes = drive
    waiting = deque(fixes)
    due_ns = signals[0].t_ns
    for signal in signals:
        while waiting and waiting[0].arrived_ns <= signal.t_ns:
            state.fix(waiting.popleft())
        if signal.t_ns >= due_ns:
            doubts += truth.look(state, due_ns)
            due_ns += 100 * MS
        value = told_as(signal.value) if signal.name == name else signal.value
        state.update(Signal(signal.name, value, signal.t_ns, signal.origin))
    return doubts


ALTERED: Final[dict[str, tuple[Told_as, str]]] = {
    "flipped": (lambda value: -value, "sign"),
    "times 57.3": (lambda value: value * 57.3, "size"),
    "over 9.81": (lambda value: value / 9.81, "size"),
    "frozen": (lambda _: 0.05, "stands still"),
}


@needs_shared
@pytest.mark.parametrize("drive", ["rav4_told", "subaru_told"])
def test_a_recorded_drive_does_not_contradict_itself(
    drive: str, request: pytest.FixtureRequest
) -> None:
    assert contradictions(request.getfixturevalue(drive)) == []


MOVED: Final = [
    ("rav4_told", "acceleration.longitudinal"),  # it goes straight on: nothing else is proved
    *(("subaru_told", name) for name in CHECKS if name != "speed.vehicle"),
]


@needs_shared
@pytest.mark.parametrize(("drive", "name"), MOVED)
@pytest.mark.parametrize("alteration", ALTERED)
def test_what_is_altered_in_a_recorded_drive_is_found_and_nothing_else(
    drive: str, name: str, alteration: str, request: pytest.FixtureRequest
) -> None:
    told_as, what = ALTERED[alteration]
    doubts = contradictions(request.getfixturevalue(drive), name, told_as)
    assert [doubt.name for doubt in doubts] == [name]
    assert what in doubts[0].reason


SPEEDS: Final[dict[str, Told_as]] = {
    "times 3.6": lambda value: value * 3.6,
    "over 3.6": lambda value: value / 3.6,
    "flipped": lambda value: -value,
    "frozen": lambda _: 11.0,
    "frozen at nothing": lambda _: 0.0,
}


@needs_shared
@pytest.mark.parametrize("drive", ["rav4_told", "subaru_told"])
@pytest.mark.parametrize("alteration", SPEEDS)
def test_an_altered_speed_of_a_recorded_drive_is_found_and_nothing_else(
    drive: str, alteration: str, request: pytest.FixtureRequest
) -> None:
    told_as = SPEEDS[alteration]
    doubts = contradictions(request.getfixturevalue(drive), "speed.vehicle", told_as)
    assert [doubt.name for doubt in doubts] == ["speed.vehicle"]


def wrong_profile(folder: Path, file: str, right: str, wrong: str) -> Path:
    text = (PROFILES / file).read_text(encoding="utf-8")
    assert right in text
    (folder / file).write_text(text.replace(right, wrong), encoding="utf-8")
    return folder


@needs_shared
@pytest.mark.parametrize(
    ("name", "field", "right", "wrong"),
    [
        (
            "acceleration.longitudinal",
            "acceleration_longitudinal_mps2",
            'signal = "ACCEL_X"\nsign = -1\n',
            'signal = "ACCEL_X"\n',
        ),
        (
            "speed.vehicle",
            "speed_mps",
            'mean = ["WHEEL_SPEED_FL", "WHEEL_SPEED_FR", "WHEEL_SPEED_RL", "WHEEL_SPEED_RR"]\n',
            'signal = "WHEEL_SPEED_FL"\nunit = "m/s"\n',
        ),
    ],
    ids=["sign", "unit"],
)
def test_a_message_leaves_out_what_a_wrong_profile_makes_of_the_rav4(
    tmp_path: Path, name: str, field: str, right: str, wrong: str
) -> None:
    nmea = tmp_path / "drive.nmea"
    nmea.write_text("".join(map(nmea_of, rows("gnss_ublox.csv.gz"))), encoding="ascii")
    fixes = list(NmeaFile(nmea))
    profiles = load_profiles(wrong_profile(tmp_path, "toyota.toml", right, wrong))

    drive, [doubt] = played(
        tmp_path, RAV4 / "can.log.gz", Decoder([load_dbc(TOYOTA_DBC)], profiles), fixes
    )

    assert doubt.name == name
    values = [getattr(message, field) for _, message in drive]
    if name == "speed.vehicle":  # the receiver's takes its place
        epochs = {fix.t_ns: fix.speed_mps for fix in fixes}
        met = [(v, epochs.get(t_ns)) for v, (t_ns, _) in zip(values, drive, strict=True)]
        assert max(abs(v - true) for v, true in met[200:] if true is not None) < SPEED
    else:
        assert None not in values[:40]
        assert set(values[200:]) == {None}
    assert None not in [message.yaw_rate_radps for _, message in drive]


# ---- a stop that never was, so that hard braking can be looked at ------------------------------


def stop(tmp_path: Path, *, gear: float) -> tuple[Told, list[BrakedHard]]:
    """From 20 m/s by 6 m/s2, 1 s after the start; in reverse gear it moves the other way."""
    start_ns = 1_760_011_200 * SECOND
    clock = ManualClock(start_ns)
    forward = -1.0 if gear == 3.0 else 1.0
    made: list[bytes] = []
    with archive(tmp_path / "state", clock, wait=True) as parts:
        core = recorder(parts, SIZE, CODEC)
        for ms in range(0, 6000, 10):
            t_ns = start_ns + ms * MS
            braking = 1000 <= ms < 4300
            speed = 20.0 - 6.0 * min(max(ms - 1000, 0), 3300) / 1000
            values = {
                "speed.vehicle": max(0.0, speed),
                "acceleration.longitudinal": -6.0 * forward if braking else 0.0,
                "gear": gear,
                "brake.pedal": float(braking),
            }
            core.signals([Signal(name, value, t_ns, "can0") for name, value in values.items()])
            if ms % 100 == 0:
                course = 90.0 if forward > 0 else 270.0
                core.position(
                    PositionFix(
                        t_ns=t_ns,
                        arrived_ns=t_ns,
                        latitude_deg=50.0,
                        longitude_deg=8.0,
                        speed_mps=max(0.0, speed),
                        heading_deg=course,
                    )
                )
                message = core.tick(t_ns + 20 * MS, ms * MS)
                made += [] if message is None else [message]
        core.finish()
        events = [event for event in opened(parts) if isinstance(event, BrakedHard)]
    return list(dated(made, start_ns)), events


@pytest.mark.parametrize("gear", [2.0, 3.0])
def test_hard_braking_is_flagged_while_it_lasts_forward_and_in_reverse(
    tmp_path: Path, gear: float
) -> None:
    drive, [event] = stop(tmp_path, gear=gear)
    start_ns = drive[0][0]
    flagged = [
        (t_ns - start_ns) // MS for t_ns, message in drive if "eventHardBraking" in message.events
    ]
    assert flagged == list(range(1100, 4300, 100))
    assert event.peak_mps2 == pytest.approx(6.0)
    assert event.onset_mps == pytest.approx(20.0, abs=0.1)
    headings = {message.heading_deg for _, message in drive}
    assert headings == {90.0}


# ---- the simulated car, which tells the truth by construction ------------------------------------


def test_the_simulated_car_is_not_doubted_in_four_minutes() -> None:
    route, state, truth = Route(), VehicleState(LATENCIES), CrossCheck()
    start_ns = 1_760_011_200 * SECOND
    doubts = []
    for tick in range(2400):
        for step in range(2):
            t_s = tick / 10 + step / 20
            car = route.at(t_s)
            values = {
                "speed.vehicle": car.speed_mps,
                "acceleration.longitudinal": car.acceleration_mps2,
                "acceleration.lateral": car.lateral_mps2,
                "yaw.rate": car.yaw_rps,
                "steering.angle": car.steering_rad,
                "gear": float(car.gear),
            }
            t_ns = start_ns + round(t_s * SECOND)
            for name, value in values.items():
                state.update(Signal(name, value, t_ns, "can0"))
        car = route.at(tick / 10)
        fix = PositionFix(
            t_ns=start_ns + tick * 100 * MS,
            arrived_ns=start_ns + tick * 100 * MS + 80 * MS,
            latitude_deg=car.latitude_deg,
            longitude_deg=car.longitude_deg,
            speed_mps=car.speed_mps,
            heading_deg=car.heading_deg,
        )
        state.fix(fix)
        doubts += truth.look(state, start_ns + (tick * 100 + 90) * MS)
    assert doubts == []

"""One real drive through the whole house: frames in, the truth out, nothing personal in clear."""

import csv
import gzip
import math
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent.archive import Archive, archive
from agent.bsm.message import VehicleSize
from agent.clock import ManualClock
from agent.compose import decoder, recorder
from agent.events import BsmMade, Event, PositionFixed, SignalsSampled, VinRead, decode, encode
from agent.eventstore.verify import verify
from agent.installed import codec
from agent.obd.logfile import LogFile
from agent.playback import Playback
from agent.privacy import sealed
from agent.v2x.gnss import NmeaFile
from tests import canary
from tests.shared import RAV4, TOYOTA_DBC, needs_shared

pytestmark = needs_shared

VIN = "2T3DFREVXHW000000"
TOLERANCE = 1e-3


class Drive:
    """The RAV4's drive as the log has it, opened with the owner's key."""

    def __init__(self, state: Path, parts: Archive) -> None:
        self.state = state
        self.events = list(_opened(parts))
        self.files = {path: path.read_bytes() for path in state.rglob("*") if path.is_file()}
        """As they lay on disk while the agent ran, the write-ahead log among them."""

    def samples(self, name: str, origin: str = "can0") -> list[tuple[int, float]]:
        found = []
        for event in self.events:
            if isinstance(event, SignalsSampled) and event.origin == origin:
                offsets, values = event.series.get(name, ([], []))
                found += [(event.t0_ns + o, v) for o, v in zip(offsets, values, strict=True)]
        return found


def _opened(parts: Archive) -> Iterator[Event]:
    for recorded in parts.log.read():
        payload = recorded.payload
        if sealed(recorded.level):
            payload = parts.unsealer.open(recorded.level, recorded.kind, payload)
        yield decode(recorded.kind, payload)


def rows(name: str) -> list[list[float]]:
    with gzip.open(RAV4 / name, "rt", encoding="ascii") as file:
        return [[float(cell) for cell in row] for row in list(csv.reader(file))[1:]]


def sentence(body: str) -> str:
    check = 0
    for character in body:
        check ^= ord(character)
    return f"${body}*{check:02X}\r\n"


def degrees_minutes(degrees: float, width: int) -> str:
    whole = int(abs(degrees))
    return f"{whole:0{width}d}{(abs(degrees) - whole) * 60:09.6f}"


def nmea_of(row: list[float]) -> str:
    """One fix of the recorded receiver as the RMC and GGA sentences it would have sent."""
    _, lat, lon, speed, utc_ms, alt, bearing = row
    at = datetime.fromtimestamp(utc_ms / 1000, UTC)
    time = f"{at:%H%M%S}.{at.microsecond // 1000:03d}"
    place = f"{degrees_minutes(lat, 2)},{'NS'[lat < 0]},{degrees_minutes(lon, 3)},{'EW'[lon < 0]}"
    knots = speed / (1852 / 3600)
    rmc = f"GPRMC,{time},A,{place},{knots:.4f},{bearing % 360:.3f},{at:%d%m%y},,,A"
    gga = f"GPGGA,{time},{place},1,10,0.9,{alt:.3f},M,0.0,M,,"
    return sentence(rmc) + sentence(gga)


@pytest.fixture(scope="module")
def drive(tmp_path_factory: pytest.TempPathFactory) -> Drive:
    folder = tmp_path_factory.mktemp("rav4")
    nmea = folder / "drive.nmea"
    nmea.write_text("".join(map(nmea_of, rows("gnss_ublox.csv.gz"))), encoding="ascii")
    log = LogFile(RAV4 / "can.log.gz")
    assert log.start_ns is not None
    clock = ManualClock(log.start_ns)
    state = folder / "state"
    with archive(state, clock, wait=True) as parts:
        core = recorder(parts, VehicleSize(1.85, 4.6), codec())
        decode_, _ = decoder([str(TOYOTA_DBC)])
        Playback(core, decode_, clock, NmeaFile(nmea)).play(log)
        core.finish()
        parts.writer.flush()
        return Drive(state, parts)


def test_wheel_speeds_equal_the_published_truth(drive: Drive) -> None:
    names = ("front_left", "front_right", "rear_left", "rear_right")
    truth = rows("truth_wheel_speed.csv.gz")
    for column, name in enumerate(names, 1):
        samples = drive.samples(f"speed.wheel.{name}")
        assert len(samples) == len(truth)
        for (t_ns, value), row in zip(samples, truth, strict=True):
            assert t_ns / 1e9 == pytest.approx(row[0], abs=TOLERANCE)
            assert value == pytest.approx(row[column], abs=TOLERANCE)


def test_speed_equals_the_published_truth(drive: Drive) -> None:
    truth = rows("truth_speed.csv.gz")
    samples = drive.samples("speed.vehicle")
    assert [value for _, value in samples] == pytest.approx([r[1] for r in truth], abs=TOLERANCE)


def test_steering_angle_equals_the_published_truth(drive: Drive) -> None:
    truth = rows("truth_steering_angle.csv.gz")
    degrees = [math.degrees(value) for _, value in drive.samples("steering.angle")]
    assert degrees == pytest.approx([row[1] for row in truth], abs=TOLERANCE)


def test_every_position_of_the_receiver_is_in_the_log(drive: Drive) -> None:
    fixes = [event for event in drive.events if isinstance(event, PositionFixed)]
    truth = rows("gnss_ublox.csv.gz")
    assert len(fixes) == pytest.approx(len(truth), abs=2)
    assert fixes[0].latitude_deg == pytest.approx(truth[0][1], abs=1e-6)


def test_messages_are_made_ten_times_a_second(drive: Drive) -> None:
    made = [event for event in drive.events if isinstance(event, BsmMade)]
    assert len(made) > 350
    assert not any(event.on_air for event in made)


def test_message_carries_the_speed_and_place_of_the_car(drive: Drive) -> None:
    made = [event for event in drive.events if isinstance(event, BsmMade)]
    message = codec().decode_frame(made[100].message)
    assert message.latitude_deg == pytest.approx(37.72, abs=0.02)
    assert message.longitude_deg == pytest.approx(-122.47, abs=0.02)
    assert message.speed_mps is not None
    assert 8.0 <= message.speed_mps <= 20.0


def test_vin_that_nobody_asked_for_is_found_and_recorded(drive: Drive) -> None:
    assert [e.vin for e in drive.events if isinstance(e, VinRead)] == [VIN]


def test_log_verifies(drive: Drive) -> None:
    assert verify(drive.state / "events.db").verdict == "intact"


def test_vin_is_nowhere_in_clear_in_the_state_directory(drive: Drive) -> None:
    assert _traces(drive, canary.of_text(VIN)) == []


def test_no_position_is_in_clear_in_the_state_directory(drive: Drive) -> None:
    fixes = [event for event in drive.events if isinstance(event, PositionFixed)][::50]
    needles = [n for f in fixes for n in canary.of_position(f.latitude_deg, f.longitude_deg)]
    assert all(canary.traces([("fix", encode(fix))], needles) for fix in fixes)
    assert _traces(drive, needles) == []


def _traces(drive: Drive, needles: list[bytes]) -> list[str]:
    """Where any of the needles is, while the agent ran and after it."""
    assert {"events.db", "events.db-wal", "segments.db"} <= {path.name for path in drive.files}
    during = [(str(path), data) for path, data in drive.files.items()]
    return canary.traces([*during, *canary.contents(drive.state)], needles)

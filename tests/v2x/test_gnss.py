import asyncio
import gzip
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.clock import MS, SECOND, ManualClock, RecordedClock, SystemClock
from agent.errors import ConfigError, SourceLostError, UsageError
from agent.position import PositionFix
from agent.v2x.gnss import NmeaFile, NmeaPlayback, NmeaSerial, open_position
from tests.v2x.sentences import epochs, gga, rmc


@pytest.fixture
def drive(tmp_path: Path) -> Path:
    path = tmp_path / "drive.nmea"
    path.write_bytes(epochs(20))
    return path


def test_a_file_gives_its_fixes_in_order(drive: Path) -> None:
    file = NmeaFile(drive)
    fixes = list(file)
    assert len(fixes) == 20
    assert fixes == sorted(fixes, key=lambda fix: fix.t_ns)
    assert (file.counts.sentences, file.counts.broken) == (60, 0)


def test_a_packed_file_gives_the_same_fixes(drive: Path) -> None:
    packed = drive.with_suffix(".nmea.gz")
    packed.write_bytes(gzip.compress(drive.read_bytes()))
    assert list(NmeaFile(packed)) == list(NmeaFile(drive))


def test_a_file_can_be_read_twice(drive: Path) -> None:
    file = NmeaFile(drive)
    assert list(file) == list(file)
    assert file.counts.sentences == 60


def test_a_packed_file_that_breaks_off_gives_what_is_whole(drive: Path) -> None:
    packed = drive.with_suffix(".nmea.gz")
    whole = gzip.compress(os.urandom(2000).hex().encode() + b"\n" + drive.read_bytes())
    packed.write_bytes(whole[:-12])
    file = NmeaFile(packed)
    assert list(file)
    assert "breaks off" in file.counts.complaints[-1]


def test_noise_in_a_file_is_counted_and_passed_over(drive: Path) -> None:
    noise = b"\xb5\x62\x01\x07" * 1000 + b"\n"
    drive.write_bytes(noise + epochs(5) + noise + epochs(5)[:-40])
    file = NmeaFile(drive)
    assert len(list(file)) == 10
    assert file.counts.broken == 3


@pytest.mark.parametrize(
    "content", [b"", b"no sentence\nat all\n", b"\x1f\x8b garbage", b"\0" * 9999]
)
def test_a_file_without_sentences_is_refused_by_name(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "noise.nmea"
    path.write_bytes(content)
    with pytest.raises(UsageError, match=r"noise\.nmea"):
        list(NmeaFile(path))


def test_a_missing_file_and_a_directory_are_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="absent"):
        NmeaFile(tmp_path / "absent")
    with pytest.raises(UsageError, match=tmp_path.name):
        NmeaFile(tmp_path)


def test_a_file_without_a_fix_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "garage.nmea"
    path.write_bytes(rmc("120000", status="V"))
    assert list(NmeaFile(path)) == []


async def test_a_recording_is_played_at_the_pace_of_its_clock(drive: Path) -> None:
    first = next(iter(NmeaFile(drive))).t_ns
    clock = ManualClock(first - 5 * SECOND)
    met = [(fix.t_ns, clock.now_ns()) async for fix in NmeaPlayback(NmeaFile(drive), clock).fixes()]
    assert len(met) == 20
    assert all(t_ns == now_ns for t_ns, now_ns in met)


async def test_fixes_from_before_the_start_of_the_clock_come_at_once(drive: Path) -> None:
    first = next(iter(NmeaFile(drive))).t_ns
    clock = ManualClock(first + SECOND)
    source = NmeaPlayback(NmeaFile(drive), clock)
    met = [clock.now_ns() - fix.t_ns async for fix in source.fixes()]
    assert met[0] == SECOND
    assert met[10:] == [0] * 10


@pytest.fixture
def moment(tmp_path: Path) -> Path:
    path = tmp_path / "moment.nmea"
    path.write_bytes(epochs(3))
    return path


async def test_a_recording_under_a_live_clock_keeps_its_distances(moment: Path) -> None:
    clock = SystemClock()
    times = [clock.mono_ns() async for _ in NmeaPlayback(NmeaFile(moment), clock).fixes()]
    assert 190 * MS <= times[2] - times[0] <= 900 * MS


async def test_a_recording_runs_faster_with_its_clock(drive: Path) -> None:
    first = next(iter(NmeaFile(drive))).t_ns
    clock = RecordedClock(first, speed=100.0)
    begun = SystemClock().mono_ns()
    assert len([fix async for fix in open_position(f"nmea:{drive}", clock).fixes()]) == 20
    assert SystemClock().mono_ns() - begun < 900 * MS


@pytest.mark.parametrize(
    "uri", ["gps:localhost", "gpsd:", "nmea", "nmea:", "", ":x", "/dev/ttyACM0"]
)
def test_a_source_nobody_knows_is_a_configuration_error(uri: str) -> None:
    with pytest.raises(ConfigError, match="nmea:"):
        open_position(uri, SystemClock())


def test_a_device_and_its_baud_rate_are_a_serial_line() -> None:
    assert isinstance(open_position("nmea:/dev/ttyACM0@9600", SystemClock()), NmeaSerial)


async def test_a_receiver_that_is_not_there_is_lost(tmp_path: Path) -> None:
    source = open_position(f"nmea:{tmp_path}/tty@9600", SystemClock())
    with pytest.raises(SourceLostError, match="tty"):
        await anext(aiter(source.fixes()))


@pytest.fixture
def line() -> tuple[int, int]:
    """Both ends of a pseudo-terminal: what a serial line is to a program."""
    return os.openpty()


async def taken(fixes: AsyncIterator[PositionFix]) -> PositionFix:
    async with asyncio.timeout(3):
        return await anext(fixes)


async def test_a_serial_line_gives_each_fix_before_the_next_begins(line: tuple[int, int]) -> None:
    ours, theirs = line
    source = open_position(f"nmea:{os.ttyname(theirs)}@9600", SystemClock())
    fixes = aiter(source.fixes())
    waiting = asyncio.ensure_future(taken(fixes))
    await asyncio.sleep(0.1)
    os.write(ours, b"half a sentence, then\n" + rmc("120000") + gga("120000"))

    fix = await waiting

    assert fix.elevation_m == 74.5
    assert abs(fix.arrived_ns - SystemClock().now_ns()) < SECOND
    assert isinstance(source, NmeaSerial)
    assert source.counts.broken == 1
    await fixes.aclose()  # type: ignore[attr-defined]  # it is an async generator
    os.close(ours)
    os.close(theirs)


async def test_a_serial_line_that_goes_away_is_lost(line: tuple[int, int]) -> None:
    ours, theirs = line
    fixes = aiter(NmeaSerial(os.ttyname(theirs), 9600, SystemClock()).fixes())
    waiting = asyncio.ensure_future(taken(fixes))
    await asyncio.sleep(0.1)
    os.close(ours)
    os.close(theirs)

    with pytest.raises(SourceLostError):
        await waiting


async def test_a_line_that_never_ends_is_counted_and_dropped(line: tuple[int, int]) -> None:
    ours, theirs = line
    source = NmeaSerial(os.ttyname(theirs), 9600, SystemClock())
    fixes = aiter(source.fixes())
    waiting = asyncio.ensure_future(taken(fixes))
    await asyncio.sleep(0.1)
    os.write(ours, b"\xb5" * 3000)
    os.write(ours, b"\n" + rmc("120000"))

    fix = await waiting

    assert fix.heading_deg == 90.0
    assert source.counts.broken >= 1
    await fixes.aclose()  # type: ignore[attr-defined]  # it is an async generator
    os.close(ours)
    os.close(theirs)

"""A gpsd as a source: the real one, played to by gpsfake, and a server that does it all wrong."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from agent.clock import MS, SECOND, SystemClock
from agent.errors import ConfigError, SourceLostError
from agent.position import PositionFix
from agent.v2x import gpsd
from agent.v2x.gnss import NmeaFile, open_position
from agent.v2x.gpsd import GpsdSource, open_gpsd
from agent.v2x.gpsdreport import GpsdJoiner
from tests.v2x.sentences import gga, gst, line, rmc

NOON_NS = int(datetime(2026, 11, 22, 12, tzinfo=UTC).timestamp()) * SECOND
VERSION = b'{"class":"VERSION","release":"3.25","rev":"3.25","proto_major":3,"proto_minor":15}\n'
SKY = b'{"class":"SKY","device":"/dev/a","satellites":[{"PRN":5,"el":40.0,"used":true}]}\n'

needs_gpsfake = pytest.mark.skipif(
    not (shutil.which("gpsfake") and shutil.which("gpsd")),
    reason="gpsd and gpsfake (Debian: gpsd, gpsd-clients) are not installed",
)


def tpv(number: int = 0, device: str = "/dev/a", **other: object) -> bytes:
    """One epoch of 100 ms after the one before, in 3D unless told otherwise."""
    report = {
        "class": "TPV",
        "device": device,
        "mode": 3,
        "time": f"2026-11-22T12:00:{number // 10:02d}.{number % 10}00Z",
        "lat": 52.5163,
        "lon": -13.3777,
        "altHAE": 74.5,
        "speed": 20.0,
        "track": 90.0,
        "epx": 4.0,
        "epy": 5.0,
    } | other
    return json.dumps({key: value for key, value in report.items() if value is not None}).encode()


def ellipse(number: int = 0, device: str = "/dev/a") -> bytes:
    at = f"2026-11-22T12:00:{number // 10:02d}.{number % 10}00Z"
    report = {"class": "GST", "device": device, "time": at, "lat": 1.2, "lon": 1.1}
    return json.dumps(report | {"major": 1.5, "minor": 1.0, "orient": 45.0}).encode()


def joined(*lines: bytes) -> list[PositionFix]:
    joiner = GpsdJoiner()
    fixes = [fix for text in lines for fix in joiner.feed(text, 7)]
    return fixes + joiner.flush()


# ---- what a report means ---------------------------------------------------------------------


def test_a_tpv_and_the_gst_of_its_epoch_are_one_fix() -> None:
    [fix] = joined(VERSION, SKY, tpv(1), ellipse(1))
    assert fix == PositionFix(
        t_ns=NOON_NS + 100 * MS,
        arrived_ns=7,
        latitude_deg=52.5163,
        longitude_deg=-13.3777,
        elevation_m=74.5,
        speed_mps=20.0,
        heading_deg=90.0,
        semi_major_m=1.5,
        semi_minor_m=1.0,
        orientation_deg=45.0,
    )


def test_a_fix_without_gst_has_no_accuracy() -> None:
    [fix] = joined(tpv())
    assert (fix.semi_major_m, fix.semi_minor_m, fix.orientation_deg) == (None, None, None)


def test_an_ellipse_of_another_epoch_is_not_that_of_this_one() -> None:
    fixes = joined(tpv(1), ellipse(2), tpv(2), ellipse(2), tpv(3), ellipse(3))
    assert [fix.semi_major_m for fix in fixes] == [None, None, 1.5]


def test_an_epoch_that_is_told_again_is_one_fix() -> None:
    fixes = joined(tpv(1, speed=None), tpv(1), ellipse(1), tpv(1), tpv(2), ellipse(2))
    assert [(fix.t_ns - NOON_NS) // MS for fix in fixes] == [100, 200]
    assert [(fix.speed_mps, fix.semi_major_m) for fix in fixes] == [(20.0, 1.5)] * 2


def test_a_fix_waits_for_its_ellipse_only_where_the_last_one_came() -> None:
    joiner = GpsdJoiner()
    assert joiner.feed(tpv(0), 0) == []
    assert len(joiner.feed(tpv(1), 0)) == 2, "no ellipse came for the first: nothing is awaited"
    joiner.feed(ellipse(1), 0)
    assert joiner.feed(tpv(2), 0) == []
    [fix] = joiner.feed(ellipse(2), 0)
    assert fix.semi_major_m == 1.5


@pytest.mark.parametrize(
    "lacking", [{"mode": 1}, {"mode": 0}, {"lat": None}, {"lon": None}, {"time": None}]
)
def test_a_report_without_place_or_time_is_no_fix(lacking: dict[str, Any]) -> None:
    assert joined(tpv(**lacking)) == []


def test_a_fix_without_a_time_is_counted() -> None:
    joiner = GpsdJoiner()
    joiner.feed(tpv(time=None), 0)
    assert (joiner.undated, joiner.broken) == (1, 0)


@pytest.mark.parametrize("other", [{"mode": 2}, {"altHAE": None, "altMSL": 34.5, "alt": 34.5}])
def test_a_height_that_is_none_over_the_ellipsoid_is_not_known(other: dict[str, Any]) -> None:
    [fix] = joined(tpv(**other))
    assert fix.elevation_m is None


def test_a_standing_car_has_a_speed_and_no_course() -> None:
    [fix] = joined(tpv(speed=0.0, track=None))
    assert (fix.speed_mps, fix.heading_deg) == (0.0, None)


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\x00\x81",
        b'{"class":5}',
        b'{"class":"TPV"}',
        b"[" * 5000,
        tpv(lat=91.0),
        tpv(lon=-180.5),
        tpv(speed=-1.0),
        tpv(time="2026-12-31T23:59:60.000Z"),
        tpv(time="2026-11-22T12:00:00"),
        tpv(mode="3D"),
        tpv()[:-9],
        tpv(lat=1).replace(b'"lat": 1', b'"lat": NaN'),
        tpv(lat=1).replace(b'"lat": 1', b'"lat": 1e999'),
    ],
)
def test_a_broken_report_is_counted_and_the_next_one_read(broken: bytes) -> None:
    joiner = GpsdJoiner()
    fixes = joiner.feed(broken, 0) + joiner.feed(tpv(), 0) + joiner.flush()
    assert len(fixes) == 1
    assert (joiner.broken, len(joiner.complaints)) == (1, 1)
    assert "52.5" not in joiner.complaints[0]


def test_complaints_stay_few() -> None:
    joiner = GpsdJoiner()
    for _ in range(1000):
        joiner.feed(b"noise", 0)
    assert (joiner.broken, len(joiner.complaints)) == (1000, 10)


@pytest.mark.parametrize("major", [2, 4])
def test_another_protocol_is_told_and_read_as_far_as_it_goes(major: int) -> None:
    joiner = GpsdJoiner()
    other = VERSION.replace(b'"proto_major":3', f'"proto_major":{major}'.encode())
    fixes = joiner.feed(other, 0) + joiner.feed(tpv(), 0) + joiner.flush()
    assert len(fixes) == 1
    assert joiner.complaints == [f"line 1: gpsd 3.25 speaks protocol {major}, not 3"]


def test_of_two_receivers_one_is_followed_until_it_is_unplugged() -> None:
    gone = b'{"class":"DEVICE","path":"/dev/a","activated":0}'
    fixes = joined(tpv(0), tpv(1, "/dev/b", lat=1.0), tpv(2), gone, tpv(3, "/dev/b", lat=1.0))
    assert [fix.latitude_deg for fix in fixes] == [52.5163, 52.5163, 1.0]


def test_of_two_receivers_one_is_followed_until_it_is_silent() -> None:
    fixes = joined(tpv(0), *(tpv(number, "/dev/b", lat=1.0) for number in range(1, 60)))
    assert [fix.latitude_deg for fix in fixes] == [52.5163] + [1.0] * 9


# ---- the link --------------------------------------------------------------------------------


@asynccontextmanager
async def serving(
    *chunks: bytes, host: str = "127.0.0.1", device: str = "", stay: bool = True
) -> AsyncIterator[tuple[GpsdSource, list[bytes]]]:
    """A source on a server that says these, and what it was told."""
    heard: list[bytes] = []
    done = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.readline())
        for chunk in chunks:
            writer.write(chunk)
            await writer.drain()
            await asyncio.sleep(0.01)
        while stay and (text := await reader.readline()):
            heard.append(text)
        writer.close()
        done.set()

    async with await asyncio.start_server(serve, host, 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield GpsdSource(host, port, device, SystemClock()), heard
        async with asyncio.timeout(3):
            await done.wait()


async def first(source: GpsdSource, count: int) -> list[PositionFix]:
    fixes = []
    reading = source.fixes()
    async with asyncio.timeout(3):
        async for fix in reading:
            fixes.append(fix)
            if len(fixes) == count:
                break
    await reading.aclose()  # type: ignore[attr-defined]  # it is an async generator
    return fixes


async def test_it_asks_for_reports_and_stamps_their_arrival() -> None:
    async with serving(VERSION + tpv() + b"\r\n" + ellipse() + b"\r\n") as (source, heard):
        [fix] = await first(source, 1)
        assert abs(fix.arrived_ns - SystemClock().now_ns()) < SECOND
        assert fix.semi_major_m == 1.5
    assert heard == [b'?WATCH={"enable": true, "json": true};\n']


async def test_one_receiver_of_several_is_asked_for_by_name() -> None:
    async with serving(tpv() + b"\n", device="/dev/ttyACM0") as (source, heard):
        await first(source, 1)
    assert b'"device": "/dev/ttyACM0"' in heard[0]


@pytest.mark.parametrize("device", ["/dev/none", ""])
async def test_a_receiver_that_gpsd_does_not_have_is_lost_with_its_words(device: str) -> None:
    error = b'{"class":"ERROR","message":"No such device as\\n/dev/none"}\n'
    async with serving(error, tpv() + b"\n", device=device) as (source, _):
        if device:
            with pytest.raises(SourceLostError, match="No such device as /dev/none"):
                await first(source, 1)
        else:  # it refuses something newer or older than it knows; it still tells fixes
            assert len(await first(source, 1)) == 1


@pytest.mark.skipif(not Path("/proc/net/if_inet6").exists(), reason="no IPv6 on this machine")
async def test_it_is_reached_by_ipv6() -> None:
    async with serving(tpv() + b"\n", host="::1") as (source, _):
        assert len(await first(source, 1)) == 1


async def test_reports_are_read_however_they_are_cut() -> None:
    text = b"".join(tpv(n) + b"\n" + ellipse(n) + b"\n" for n in range(5))
    pieces = [text[place : place + 97] for place in range(0, len(text), 97)]
    async with serving(*pieces) as (source, _):
        fixes = await first(source, 5)
        assert [fix.t_ns for fix in fixes] == [NOON_NS + n * 100 * MS for n in range(5)]
        assert {fix.semi_major_m for fix in fixes} == {1.5}


async def test_a_line_that_does_not_end_is_dropped_and_counted_once() -> None:
    noise = [b'{"class":"SKY",' + b"9" * 60_000] * 4
    async with serving(*noise, b"\n" + tpv() + b"\n") as (source, _):
        assert len(await first(source, 1)) == 1
        assert source.counts.complaints == [f"line 0: over {gpsd.LONGEST} octets"]
        assert (source.broken, source.counts.reports) == (1, 1)


async def test_a_gpsd_that_hangs_up_is_lost() -> None:
    async with serving(VERSION, stay=False) as (source, _):
        with pytest.raises(SourceLostError, match="hung up"):
            await first(source, 1)


async def test_a_gpsd_that_is_not_there_is_lost() -> None:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with pytest.raises(SourceLostError, match=f"gpsd 127.0.0.1:{port}"):
        await first(GpsdSource("127.0.0.1", port, "", SystemClock()), 1)


async def test_a_silent_gpsd_is_asked_and_lost_when_it_does_not_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpsd, "SILENT_S", 0.05)
    async with serving(VERSION) as (source, heard):
        with pytest.raises(SourceLostError, match="no answer"):
            await first(source, 1)
    assert heard[1:] == [b"?VERSION;\n"]


@pytest.mark.parametrize("rest", ["", ":", "host:0", "host:70000", "host:x", "[::1", "a@b", "h?x"])
def test_an_address_that_is_none_is_refused_by_name(rest: str) -> None:
    with pytest.raises(ConfigError, match="gpsd:"):
        open_gpsd(rest, SystemClock())


def test_a_uri_with_gpsd_is_a_gpsd() -> None:
    for uri in ("gpsd:127.0.0.1", "gpsd:[::1]:2947", "gpsd:localhost:2948/dev/ttyACM0"):
        assert isinstance(open_position(uri, SystemClock()), GpsdSource)


# ---- the real gpsd ---------------------------------------------------------------------------


def drive() -> bytes:
    """Ten epochs a second, each somewhere else, with what surrounds them on a real line."""
    lines = []
    for number in range(60):
        at = f"1200{number // 10:02d}.{number % 10}00"
        place = f"5230.{9780 + number * 3:04d},N,01322.{6620 - number * 7:04d},W"
        lines += [
            line("GNGSA,A,3,04,05,,09,12,,,24,,,,,2.5,1.3,2.1"),
            rmc(at, place=place, knots=f"{30 + number / 10:.3f}"),
            gga(at, place=place, alt=f"{34.5 + number / 10:.1f}"),
            gst(at, ellipse=f"{1.5 + number / 100:.2f},1.0,45.0"),
        ]
    return b"".join(lines)


Play = Callable[[Path, int], subprocess.Popen[bytes]]


@pytest.fixture
def gpsfake(tmp_path: Path) -> Iterator[Play]:
    """Starts a gpsd on loopback that is fed from a log, once somebody asks it."""
    started: list[subprocess.Popen[bytes]] = []

    def start(log: Path, port: int) -> "subprocess.Popen[bytes]":
        command = ["gpsfake", "-1", "-q", "-P", str(port), "-c", "0.01", str(log)]
        with (tmp_path / "gpsfake.txt").open("ab") as said:
            started.append(
                subprocess.Popen(command, stdout=said, stderr=said, start_new_session=True)
            )
        return started[-1]

    yield start
    for process in started:
        end(process)


def end(process: "subprocess.Popen[bytes]") -> None:
    """Of it and the gpsd it started, at once."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def until_lost(port: int, took: Callable[[PositionFix], None]) -> tuple[str, GpsdSource]:
    """From the first fix of a gpsd that is just starting to its end, and why it ended."""
    taken = 0
    while True:
        source = open_gpsd(f"127.0.0.1:{port}", SystemClock())
        try:
            async for fix in source.fixes():
                taken += 1
                took(fix)
        except SourceLostError as error:
            if taken:
                return str(error), source
            await asyncio.sleep(0.1)


async def played(log: Path, port: int, play: Play) -> list[PositionFix]:
    """What a gpsd gives of a log; it is killed after the last epoch."""
    playing = play(log, port)
    last_ns = max(fix.t_ns for fix in NmeaFile(log))
    fixes: list[PositionFix] = []

    def took(fix: PositionFix) -> None:
        fixes.append(fix)
        if fix.t_ns == last_ns:
            end(playing)

    async with asyncio.timeout(10):
        reason, source = await until_lost(port, took)
    assert reason.startswith(f"gpsd 127.0.0.1:{port}: ")
    assert source.broken == 0
    return fixes


@needs_gpsfake
async def test_a_real_gpsd_gives_the_fixes_of_our_own_reader_and_again_after_a_restart(
    tmp_path: Path, gpsfake: Play
) -> None:
    log = tmp_path / "drive.nmea"
    log.write_bytes(drive())
    ours = {fix.t_ns: fix for fix in NmeaFile(log)}
    port = free_port()
    for _ in range(2):
        theirs = await played(log, port, gpsfake)
        assert len(theirs) > 30, "gpsd needs some epochs to know the receiver"
        for fix in theirs:
            alike(fix, ours[fix.t_ns])


def alike(fix: PositionFix, own: PositionFix) -> None:
    """But for the digits that gpsd leaves out."""
    assert fix.latitude_deg == pytest.approx(own.latitude_deg, abs=1e-8)
    assert fix.longitude_deg == pytest.approx(own.longitude_deg, abs=1e-8)
    assert fix.elevation_m == pytest.approx(own.elevation_m, abs=1e-3)
    assert fix.speed_mps == pytest.approx(own.speed_mps, abs=1e-3)
    assert fix.heading_deg == own.heading_deg
    assert fix.semi_major_m == own.semi_major_m
    assert fix.semi_minor_m == own.semi_minor_m
    assert fix.orientation_deg == own.orientation_deg

"""RT-66: a VIN, a name and a place go in at the top and lie nowhere in clear.

They come as they would: on the bus, by the receiver, over the radio, in broken lines of each, and
as the owner tells them.
First the service takes some of them at its own pace, then a day's worth is played into the same
state. Meanwhile and afterwards every file of the state directory, the temporary directory and all
that the programs print is looked through. AMO_DAY=100000 plays as many events as a day has.
"""

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from agent.archive import owners_view
from agent.events import (
    BsmHeard,
    BsmMade,
    OwnerDescribed,
    OwnerNamed,
    PositionFixed,
    SignalsSampled,
    VinRead,
    encode,
)
from agent.eventstore.reader import LogReader
from agent.eventstore.verify import verify
from agent.owner import Owner
from agent.privacy import Level, sealed
from agent.wallet.custody import unwrap_segment
from agent.wallet.keys import load_keys
from agent.wallet.segments import SegmentStore
from tests import canary
from tests.test_one_drive import degrees_minutes, sentence

ROOT = Path(__file__).parents[1]
EVENTS = int(os.environ.get("AMO_DAY", "6000"))
EVENTS_A_TICK = 3
"""Samples, a position, a message."""
START_S = 1_700_000_000
VIN = "KMHAMXAG0NU004711"
NAME = "Kim_Minjun_1971"
OWNER = Owner(
    name=NAME, contact="minjun@kim-1971.example", age=55, sex="male", data_use="insurance"
)
LATITUDE_DEG, LONGITUDE_DEG = 37.1234567, 127.7654321
OWNERS = [encode(event) for event in OWNER.events] + canary.of_text(OWNER.contact or "")
TEXTS = canary.of_text(VIN) + canary.of_text(NAME) + OWNERS
PLACES = canary.of_position(LATITUDE_DEG, LONGITUDE_DEG)
DBC = f"""VERSION ""
NS_ :
BS_:
BU_: ESC
BO_ 161 VEHICLE_SPEED: 8 ESC
 SG_ SPEED : 0|16@1+ (0.01,0) [0|655.35] "km/h" ESC
BO_ 257 OWNER: 8 ESC
 SG_ {NAME} : 0|16@1+ (1,0) [0|65535] "" ESC
"""
BROKEN = f"(1700000000.000000) can0 {VIN}#{NAME}\n{VIN} {NAME} {LATITUDE_DEG} {LONGITUDE_DEG}\n"


def frames(t_s: float, *, vin: bool) -> Iterator[str]:
    yield f"({t_s:.6f}) can0 0A1#0000000000000000\n"
    yield f"({t_s:.6f}) can0 101#1971000000000000\n"
    for number, part in enumerate((VIN[:8], VIN[8:16], VIN[16:]) if vin else ()):
        yield f"({t_s:.6f}) can0 {0x580 + number:03X}#{part.encode().hex()}\n"


def fix(t_s: float) -> str:
    at = datetime.fromtimestamp(t_s, UTC)
    clock = f"{at:%H%M%S}.{at.microsecond // 1000:03d}"
    north, east = degrees_minutes(LATITUDE_DEG, 2), degrees_minutes(LONGITUDE_DEG, 3)
    rmc = f"GPRMC,{clock},A,{north},N,{east},E,0.0,90.0,{at:%d%m%y},,,A"
    gga = f"GPGGA,{clock},{north},N,{east},E,1,10,0.9,50.0,M,0.0,M,,"
    return sentence(rmc) + sentence(gga)


def record(folder: Path, name: str, hours: int, ticks: int) -> tuple[Path, Path]:
    """A log of the bus and one of the receiver: so many ticks at 10 Hz in each hour."""
    bus, receiver = folder / f"{name}.log", folder / f"{name}.nmea"
    times = [(h, t, START_S + 3600 * h + t / 10) for h in range(hours) for t in range(ticks)]
    lines = [line for _, t, t_s in times for line in frames(t_s, vin=t < 3)]
    bus.write_text("".join(lines) + BROKEN)
    receiver.write_text("".join(fix(t_s) for _, _, t_s in times) + f"$PNAME,{NAME}*00\r\n{BROKEN}")
    return bus, receiver


@dataclass
class Day:
    """state: the state directory; found: where something was in clear while a program ran."""

    folder: Path
    state: Path
    found: list[str]
    looks: int = 0

    def run(self, *arguments: object, typed: bytes = b"") -> "subprocess.Popen[bytes]":
        """A command of the agent; what it prints and its temporary files stay in the folder.

        typed: less than a pipe takes at once
        """
        command = [sys.executable, "-m", "agent", *map(str, arguments)]
        environment = {**os.environ, "TMPDIR": str(self.folder / "tmp")}
        with (self.folder / "printed" / f"{arguments[0]}").open("ab") as printed:
            running = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stdin=subprocess.PIPE,
                stdout=printed,
                stderr=printed,
            )
        assert running.stdin is not None
        with running.stdin as keys:
            keys.write(typed)
        return running

    def watch(self, running: "subprocess.Popen[bytes]") -> None:
        """Look for as long as it runs; it has to end well."""
        while running.poll() is None:
            if (self.state / "events.db").exists():
                self.found += self.look()
                self.looks += 1
            time.sleep(0.2)
        assert running.returncode == 0, self.printed()

    def look(self) -> list[str]:
        places = [self.state, self.folder / "tmp", self.folder / "printed"]
        contents = (thing for place in places for thing in canary.contents(place))
        return canary.traces(contents, TEXTS + PLACES)

    def printed(self) -> str:
        return "".join(path.read_text() for path in (self.folder / "printed").iterdir())

    def opened(self) -> Iterator[tuple[str, bytes]]:
        """Kind and payload of every event, as the owner's key opens it."""
        with (
            LogReader.open(self.state / "events.db") as log,
            owners_view(self.state, log.log_id) as opener,
        ):
            for event in log.read():
                payload = event.payload
                if sealed(event.level):
                    payload = opener.open(event.level, event.kind, payload)
                yield event.kind, payload


def serve(day: Day) -> None:
    """The service on recorded inputs at their own pace, with somebody on the radio."""
    bus, receiver = record(day.folder, "live", hours=1, ticks=15)
    (day.folder / "live.dbc").write_text(DBC)
    port = free_port()
    config = day.folder / "agent.toml"
    config.write_text(
        f'state = "{day.state}"\n[[bus]]\nuri = "replay:{bus}"\ndbc = ["{day.folder}/live.dbc"]\n'
        f'[gnss]\nuri = "nmea:{receiver}"\n[radio]\nlisten = "127.0.0.1:{port}"\n'
        "[vehicle]\nwidth_m = 1.9\nlength_m = 4.5\n"
    )
    running = day.run("run", "--config", config)
    over = threading.Event()
    speaking = threading.Thread(target=speak, args=(port, over))
    speaking.start()
    try:
        day.watch(running)
    finally:
        over.set()
        speaking.join()


def speak(port: int, over: threading.Event) -> None:
    """Somebody on the radio, however long a look at the disk takes."""
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as radio:
        while not over.wait(0.1):
            radio.sendto(f"{NAME} {VIN}".encode(), ("127.0.0.1", port))


def tell(day: Day) -> None:
    """The owner tells who they are, after two tries that are refused."""
    mistakes: list[dict[str, object]] = [{"age": NAME}, {NAME: OWNER.contact}, {}]
    for wrong in mistakes:
        told = json.dumps(msgspec.structs.asdict(OWNER) | wrong).encode()
        running = day.run("owner", "set", "--state", day.state, "--from", "-", typed=told)
        assert running.wait() == (2 if wrong else 0), day.printed()


def free_port() -> int:
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder = tmp_path_factory.mktemp("day")
    for name in ("tmp", "printed"):
        (folder / name).mkdir()
    made = Day(folder, folder / "state", [])
    serve(made)
    tell(made)
    bus, receiver = record(folder, "day", hours=24, ticks=EVENTS // 24 // EVENTS_A_TICK)
    arguments = ("--dbc", folder / "live.dbc", "--nmea", receiver, "--state", made.state, "--json")
    made.watch(made.run("replay", bus, *arguments))
    return made


def test_the_canaries_went_in_and_would_be_found(day: Day) -> None:
    events = list(day.opened())
    by_kind: dict[str, list[bytes]] = {}
    for kind, payload in events:
        by_kind.setdefault(kind, []).append(payload)
    assert len(events) > EVENTS * 0.95
    for kind, needles in (
        (VinRead.kind, canary.of_text(VIN)),
        (BsmHeard.kind, canary.of_text(VIN)),
        (BsmHeard.kind, canary.of_text(NAME)),
        (SignalsSampled.kind, canary.of_text(NAME)),
        (OwnerNamed.kind, OWNERS[:1]),
        (OwnerNamed.kind, canary.of_text(OWNER.contact or "")),
        (OwnerDescribed.kind, OWNERS[1:2]),
        (PositionFixed.kind, PLACES),
        (BsmMade.kind, canary.of_bsm(LATITUDE_DEG, LONGITUDE_DEG)),
    ):
        payloads = [(kind, payload) for payload in by_kind[kind]]
        assert canary.traces(payloads, needles), (kind, needles[0])


def test_rt_66_nothing_personal_is_in_clear_while_the_agent_runs(day: Day) -> None:
    assert day.looks >= 2, "a slow machine looks seldom, and still while it runs"
    assert day.found == []


def test_rt_66_nothing_personal_is_in_clear_afterwards(day: Day) -> None:
    assert {"events.db", "readmodel.db", "segments.db"} <= {p.name for p in day.state.rglob("*")}
    assert day.look() == []


def test_rt_75_messages_of_other_cars_are_sealed_as_what_singles_out_a_person(day: Day) -> None:
    with LogReader.open(day.state / "events.db") as log:
        heard = [event for event in log.read() if event.kind == BsmHeard.kind]
    assert {event.level for event in heard} == {Level.LV1}
    assert canary.traces([("heard", event.payload) for event in heard], TEXTS) == []


def test_rt_66_no_temporary_file_is_left(day: Day) -> None:
    assert list((day.folder / "tmp").iterdir()) == []


def test_rt_66_after_erasing_the_keys_are_nowhere_either(day: Day) -> None:
    owner = load_keys(day.state / "keys").owner
    keys: list[bytes] = []
    with closing(SegmentStore(day.state / "keys" / "segments.db")) as store:
        for level in (Level.LV1, Level.LV2):
            wrapped = {n: store.wrapped(n, level) for n in store.kept(level)}
            keys += [*wrapped.values()]
            keys += [unwrap_segment(w, owner, n, level) for n, w in wrapped.items()]
    assert len(keys) >= 2 * 2 * 24
    assert canary.traces(canary.contents(day.state), keys)

    ever = ("--since", "1970-01-01", "--until", "2100-01-01", day.state, "--yes", "--json")
    for number in (1, 2):
        day.watch(day.run("log", "erase", "--level", number, *ever))

    assert canary.traces(canary.contents(day.folder), keys) == []
    assert day.look() == []
    assert verify(day.state / "events.db").verdict == "intact"

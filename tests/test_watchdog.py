"""Whoever supervises the agent hears of it while it records, and only then."""

import asyncio
import shutil
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

import agent.archive
import agent.service
from agent.archive import Archive, archive
from agent.bsm.message import VehicleSize
from agent.clock import MS, ManualClock, SystemClock
from agent.compose import recorder
from agent.events import AgentStarted, AgentStopped, DtcSet, LogChecked
from agent.installed import codec
from agent.service import Service
from agent.watchdog import SystemdWatchdog
from tests.conftest import START_NS
from tests.opened import opened

BEAT_S = 0.02
STUCK_S = 0.3


class Supervisor:
    """What systemd is to the agent: it listens."""

    def __init__(self, address: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(address))
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        """What came since it was asked last."""
        heard: list[str] = []
        while True:
            try:
                heard.append(self._socket.recv(100).decode())
            except BlockingIOError:
                return heard

    async def hears(self) -> None:
        """Returns at the next beat."""
        while "WATCHDOG=1" not in self.heard():
            await asyncio.sleep(BEAT_S)

    async def hears_nothing(self) -> None:
        """Returns after 0.1 s without a beat."""
        while True:
            self.heard()
            await asyncio.sleep(5 * BEAT_S)
            if not self.heard():
                return

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervisor]:
    made = Supervisor(tmp_path / "notify")
    yield made
    made.close()


@pytest.fixture
def live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Archive]:
    """An archive under the clock of this machine, with intervals that a test can wait for."""
    monkeypatch.setattr(agent.archive, "STUCK_NS", int(STUCK_S * 1000) * MS)
    monkeypatch.setattr(agent.service, "BEAT_NS", int(BEAT_S * 1000) * MS)
    with archive(tmp_path / "state", SystemClock(), wait=False) as opened_:
        yield opened_


@asynccontextmanager
async def running(parts: Archive, address: Path) -> AsyncIterator[None]:
    service = Service(
        recorder(parts, VehicleSize(1.8, 4.4), codec()),
        journal=parts.journal,
        clock=parts.clock,
        sources=[],
        radio=None,
        healthy=parts.healthy,
        watchdog=SystemdWatchdog(str(address)),
    )
    stop = asyncio.Event()
    run = asyncio.create_task(service.run(stop))
    yield
    stop.set()
    await run


async def test_rt_53_beats_stop_while_a_commit_hangs_and_come_again_with_it(
    live: Archive, supervisor: Supervisor, tmp_path: Path
) -> None:
    async with running(live, tmp_path / "notify"), asyncio.timeout(10):
        await supervisor.hears()
        with live.log._mutex:  # whoever wants to commit waits for this, as for a stuck disk
            live.journal.write(DtcSet("P0301", "7E8"))
            await supervisor.hears_nothing()
            assert not live.healthy()
        await supervisor.hears()
    assert DtcSet("P0301", "7E8") in opened(live)


async def test_rt_53_beats_stop_while_the_event_loop_stalls(
    live: Archive, supervisor: Supervisor, tmp_path: Path
) -> None:
    async with running(live, tmp_path / "notify"), asyncio.timeout(10):
        await supervisor.hears()
        supervisor.heard()
        stalled_ns = live.clock.mono_ns()
        while live.clock.mono_ns() < stalled_ns + 200 * MS:
            pass  # somebody blocks the loop
        assert not supervisor.heard()
        await supervisor.hears()


def test_rt_53_gap_that_a_killed_agent_left_is_seen_in_the_log(tmp_path: Path) -> None:
    with archive(tmp_path / "state", ManualClock(START_NS), wait=True) as parts:
        parts.journal.write(DtcSet("P0301", "7E8"))
        parts.journal.flush()
        killed = Path(shutil.copytree(tmp_path / "state", tmp_path / "killed"))
    with archive(killed, ManualClock(START_NS), wait=True) as parts:
        parts.journal.flush()
        events = list(parts.log.read())
    start = [LogChecked.kind, AgentStarted.kind]
    assert [event.kind for event in events] == [*start, DtcSet.kind, *start]
    assert [event.boot for event in events] == [1, 1, 1, 2, 2]
    assert AgentStopped.kind not in {event.kind for event in events}

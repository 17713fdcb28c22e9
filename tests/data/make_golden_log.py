"""Writes golden-log/events.db. Run from the root: python -m tests.data.make_golden_log"""

import shutil
import tempfile
from pathlib import Path

from agent.clock import SECOND, ClockQuality
from agent.events import AgentStarted, AgentStopped, DtcSet, SignalsSampled, encode
from agent.eventstore.birth import NOTE, birth
from agent.eventstore.log import Draft
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import lock_state
from agent.privacy import Level

GOLDEN = Path(__file__).parent / "golden-log" / "events.db"
LOG_ID = bytes(range(32))
T0_NS = 1_750_000_000 * SECOND

STARTED = AgentStarted("1.0", "00000000-0000-4000-8000-000000000000", "3.54.1")
SAMPLED = SignalsSampled("can0", T0_NS, {"speed.vehicle": ([0, 50], [13.88, 13.9])})

FIRST_START = (
    [Draft(STARTED.kind, Level.LV3, -1, 0, ClockQuality.UNKNOWN, encode(STARTED))],
    [
        Draft(SAMPLED.kind, Level.LV3, T0_NS, 1, ClockQuality.GNSS, encode(SAMPLED)),
        Draft("x", Level.LV1, T0_NS, 2**63, ClockQuality.NTP, b""),
        Draft("k" * 255, Level.LV2, -(2**63), 2**64 - 1, ClockQuality.FREE, bytes(range(256))),
        Draft("bulk/1", Level.LV4, 2**63 - 1, 4, ClockQuality.RECORDED, b"\x5a" * 9_000),
    ],
)
SECOND_START = (
    [
        Draft(STARTED.kind, Level.LV3, T0_NS, 0, ClockQuality.FREE, encode(STARTED)),
        Draft("dtc-set/1", Level.LV3, T0_NS, 1, ClockQuality.FREE, encode(DtcSet("P0301", "7E8"))),
    ],
    [Draft("agent-stopped/1", Level.LV3, T0_NS, 2, ClockQuality.FREE, encode(AgentStopped("x")))],
)


def make(events_db: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        state = Path(place) / "state"
        with lock_state(state) as lock:
            birth(lock, LOG_ID, NOTE)
        for blocks in (FIRST_START, SECOND_START):
            with SqliteLog.open(state, create=False) as log:
                for block in blocks:
                    log.append(block)
        shutil.copyfile(state / "events.db", events_db)


if __name__ == "__main__":
    make(GOLDEN)

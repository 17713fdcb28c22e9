"""Writes what is in golden-log. Run from the root: python -m tests.data.make_golden_log"""

import hmac
import shutil
import tempfile
from hashlib import sha3_512
from pathlib import Path
from typing import Final

import msgspec

from agent.clock import SECOND, ClockQuality, ManualClock
from agent.events import AgentStarted, AgentStopped, BodiesPruned, SignalsSampled, encode
from agent.eventstore.birth import NOTE, birth
from agent.eventstore.log import Draft
from agent.eventstore.reader import LogReader
from agent.eventstore.sealer import Firmware, Sealer
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS, FLOOR, lock_state
from agent.eventstore.walk import walk
from agent.privacy import Level
from agent.wallet.keys import FileKey

GOLDEN = Path(__file__).parent / "golden-log" / "events.db"
SEALED = GOLDEN.with_name("sealed.db")
SEALED_FLOOR = GOLDEN.with_name("sealed.floor")
LOG_ID = bytes(range(32))
SEAL_ROOT = bytes(range(32, 64))
"""K(1)."""
DEVICE = FileKey(bytes(range(64, 96)), protected=False)
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
CODE_SET = msgspec.msgpack.encode(["P0301", "7E8"])
"""As it was when the file was made: without the field that came at the end later."""
SECOND_START = (
    [
        Draft(STARTED.kind, Level.LV3, T0_NS, 0, ClockQuality.FREE, encode(STARTED)),
        Draft("dtc-set/1", Level.LV3, T0_NS, 1, ClockQuality.FREE, CODE_SET),
    ],
    [Draft("agent-stopped/1", Level.LV3, T0_NS, 2, ClockQuality.FREE, encode(AgentStopped("x")))],
)


def make(events_db: Path) -> None:
    with tempfile.TemporaryDirectory() as place:
        state = _born(Path(place))
        for blocks in (FIRST_START, SECOND_START):
            with SqliteLog.open(state, create=False) as log:
                for block in blocks:
                    log.append(block)
        shutil.copyfile(state / EVENTS, events_db)


def make_sealed(events_db: Path, floor: Path) -> None:
    """Three seals over 600 events and what the log says of itself; blocks 2 to 4 pruned."""
    with tempfile.TemporaryDirectory() as place:
        state = _born(Path(place))
        with SqliteLog.open(state, create=False) as log:
            sealer = Sealer(
                log,
                state / EVENTS,
                keys=FixedKeys(),
                firmware=Firmware("1.0", bytes(32)),
                clock=ManualClock(T0_NS),
                floor_file=state / FLOOR,
            )
            for sizes in ((7, 1, 300), (92, 100), (100,)):
                for size in sizes:
                    log.append([_numbered(log.head().seq + i) for i in range(size)])
                _seal(log, sealer)
            prune(log, state / EVENTS, 2, 4)
            sealer.lay_floor(log.head())
        shutil.copyfile(state / EVENTS, events_db)
        shutil.copyfile(state / FLOOR, floor)


def next_key(key: bytes) -> bytes:
    """K(no + 1) from K(no)."""
    return hmac.digest(key, b"amo-agent seal key 1", "sha3_512")[:32]


class FixedKeys:
    """Keys that everybody has, for logs that are the same wherever they are made."""

    public: Final = DEVICE.public
    custody: Final = "file"

    def __init__(self) -> None:
        self._key = SEAL_ROOT

    def sign(self, message: bytes) -> bytes:
        return DEVICE.sign(message)

    def mac(self, no: int, message: bytes) -> bytes:
        del no
        return hmac.digest(self._key, message, "sha3_512")

    def rise(self) -> None:
        return None

    def advance(self, no: int) -> None:
        del no
        self._key = next_key(self._key)


def prune(log: SqliteLog, events_db: Path, first: int, last: int) -> dict[int, bytes]:
    """Takes the bodies of these blocks away, as docs/formats/seal.md says; what stays of them."""
    nodes, digest = {}, sha3_512()
    with LogReader.open(events_db) as reader:
        for block in reader.blocks(first):
            if block.no > last:
                break
            nodes[block.no] = walk(block).nodes
            for number, size in ((block.no, 8), (block.first_seq, 8), (block.n, 4)):
                digest.update(number.to_bytes(size, "big"))
            digest.update(block.head_before + block.head_after + nodes[block.no])
    event = BodiesPruned(first, last, digest.digest())
    log.append([Draft(event.kind, event.level, T0_NS, 0, ClockQuality.FREE, encode(event))])
    log.prune(nodes)
    return nodes


def _born(place: Path) -> Path:
    with lock_state(place / "state") as lock:
        birth(lock, LOG_ID, NOTE)
    return place / "state"


def _numbered(number: int) -> Draft:
    payload = number.to_bytes(4, "big") * 2
    return Draft("x/1", Level.LV3, T0_NS + number, number, ClockQuality.GNSS, payload)


def _seal(log: SqliteLog, sealer: Sealer) -> None:
    event = sealer.seal()
    assert event is not None
    log.append([Draft(event.kind, event.level, T0_NS, 0, ClockQuality.FREE, encode(event))])


if __name__ == "__main__":
    make(GOLDEN)
    make_sealed(SEALED, SEALED_FLOOR)

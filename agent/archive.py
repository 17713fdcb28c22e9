"""Everything that lives in the state directory, opened for one run and closed with all written."""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from agent import __version__
from agent.clock import SECOND, Clock
from agent.erase import Eraser
from agent.errors import SealError, StoreError
from agent.events import (
    AgentStarted,
    AgentStopped,
    HeaderTrusted,
    LogContinued,
    ParcelRegistered,
    decode,
)
from agent.eventstore.anchor import Anchor, last_anchor
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import ReadModel
from agent.eventstore.recovery import open_log
from agent.eventstore.reserve import Reserve
from agent.eventstore.salvage import Salvager
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS
from agent.eventstore.writer import LogWriter
from agent.record import Journal
from agent.sealing import sealed
from agent.wallet.keys import Keys, Signer, create_keys, load_keys, load_owner
from agent.wallet.seal import Sealer, Unsealer
from agent.wallet.segments import SegmentKeys, SegmentStore

_LAST = "SELECT last_seq AS seq FROM kind_count WHERE kind = ?"
SEGMENTS = "segments.db"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
STUCK_NS = 10 * SECOND
"""A writer that hangs in one commit for so long is not healthy."""


@dataclass(frozen=True, slots=True)
class Archive:
    """Everything that lives in the state directory, open for one run."""

    state: Path
    clock: Clock
    log: SqliteLog
    keys: Keys
    writer: LogWriter
    journal: Journal
    unsealer: Unsealer
    eraser: Eraser
    reserve: Reserve

    def receipts(self) -> list[ParcelRegistered]:
        """Of every parcel registered so far, in order."""
        with ReadModel.open(self.state / "readmodel.db") as model:
            model.catch_up(self.log)
            places = [row["seq"] for row in model.db.query("SELECT seq FROM parcel ORDER BY seq")]
        found = []
        for seq in places:
            recorded = next(self.log.read(after=seq - 1))
            event = decode(recorded.kind, recorded.payload)
            assert isinstance(event, ParcelRegistered)
            found.append(event)
        return found

    def set_codes(self) -> dict[tuple[str, str], frozenset[str]]:
        """Trouble codes that are set by what the log says, by ECU and memory."""
        found: dict[tuple[str, str], frozenset[str]] = {}
        with ReadModel.open(self.state / "readmodel.db") as model:
            model.catch_up(self.log)
            for row in model.db["dtc_open"].rows:
                place = row["ecu"], row["memory"]
                found[place] = found.get(place, frozenset()) | {row["code"]}
        return found

    def polls_used(self, signer: str) -> tuple[int, bytes] | None:
        """Serial and SHA3-512 of the last file of polls by that signer; None for the first."""
        with ReadModel.open(self.state / "readmodel.db") as model:
            model.catch_up(self.log)
            return last_polls(model, signer)

    def trusted(self, root: str) -> tuple[int, bytes] | None:
        """Height and hash of the last block verified from that root; None where none was."""
        with ReadModel.open(self.state / "readmodel.db") as model:
            model.catch_up(self.log)
            found = list(model.db.query(_LAST, [HeaderTrusted.kind]))
        for recorded in islice(self.log.read(after=found[0]["seq"] - 1), 1) if found else ():
            if recorded.kind == HeaderTrusted.kind:  # its body may be gone, and another follow
                event = decode(recorded.kind, recorded.payload)
                assert isinstance(event, HeaderTrusted)
                return (event.height, event.hash) if event.root == root else None
        return None

    def anchor(self) -> Anchor | None:
        """The last seal of the log; None while there is none. Raises StoreError."""
        with LogReader.open(self.state / EVENTS) as reader:
            return last_anchor(reader)

    def healthy(self) -> bool:
        """Whether commits go through; the supervisor restarts an agent of which this is false."""
        return self.clock.mono_ns() - self.writer.alive_ns < STUCK_NS


def last_polls(model: ReadModel, signer: str) -> tuple[int, bytes] | None:
    """As Archive.polls_used, of a read model that has caught up."""
    for row in model.db.query("SELECT serial, digest FROM polls WHERE signer = ?", [signer]):
        return row["serial"], bytes.fromhex(row["digest"])
    return None


@contextmanager
def archive(
    state: Path, clock: Clock, *, wait: bool, device: Signer | None = None
) -> Iterator[Archive]:
    """Open the state directory, or make it, and close it with everything written.

    wait: whether a full queue makes the caller wait (a recording) or is counted as a loss (a car)
    device: the device key where it is not in the state directory
    Raises UsageError for a directory that is not ours to use, StoreError, SealError.
    """
    with ExitStack() as stack:
        log, broken = open_log(state)
        stack.enter_context(log)
        keys = _keys(state / "keys", device, begun=log.head().seq > 0)
        stack.callback(Salvager(state).close)
        segments = stack.enter_context(
            SegmentKeys(state / "keys" / SEGMENTS, keys.owner.public, clock)
        )
        reserve = Reserve(state)
        if not wait:
            reserve.make()
        writer = LogWriter(log, clock, wait=wait, relief=reserve.free)
        stack.callback(writer.close)
        journal = Journal(writer, Sealer(segments, log.log_id).seal, clock)
        unsealer = Unsealer(keys.owner, segments.store, log.log_id)
        continued = None if broken is None else LogContinued(*broken)
        stack.enter_context(sealed(state, log, keys, writer, journal, clock, continued))
        eraser = Eraser(state=state, log=log, journal=journal, keys=segments)
        journal.write(AgentStarted(__version__, _boot_id(), SqliteLog.sqlite_version))
        try:
            eraser.resume()
            yield Archive(state, clock, log, keys, writer, journal, unsealer, eraser, reserve)
        except BaseException as error:
            with suppress(StoreError):  # the first error is the one to report
                journal.write(AgentStopped(type(error).__name__))
            raise
        journal.write(AgentStopped("finished"))


def _keys(directory: Path, device: Signer | None, *, begun: bool) -> Keys:
    """Those of the directory; new ones for a new log alone, or its sealed events were lost."""
    if not begun and not (directory / "owner.key").exists():
        return create_keys(directory, device=device)
    keys = load_keys(directory, device=device)
    if begun and not (directory / SEGMENTS).exists():
        raise SealError(f"{directory / SEGMENTS} is missing: what was sealed cannot be opened")
    return keys


def _boot_id() -> str:
    return BOOT_ID.read_text(encoding="ascii").strip() if BOOT_ID.exists() else "unknown"


@contextmanager
def owners_view(state: Path, log_id: bytes) -> Iterator[Unsealer]:
    """What opens the sealed events of a log at rest or in use, by the keys beside it.

    Raises SealError where they are missing.
    """
    owner = load_owner(state / "keys")
    with closing(SegmentStore(state / "keys" / SEGMENTS)) as segments:
        yield Unsealer(owner, segments, log_id)

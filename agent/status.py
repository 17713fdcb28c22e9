"""How the agent is, by what lies in its state directory; also while it runs.

Only the ends of the log and the read model are looked at, so that it takes the same time whatever
the log's size. Nothing is changed, and no sealed event is opened.
"""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from agent.clock import SECOND, Clock
from agent.errors import LogCorruptError, MalformedInputError, SealError, StoreError, UsageError
from agent.events import AgentStarted, DiskNarrowed, EndpointDoubted, Event, VinRead, decode
from agent.eventstore import floor, note
from agent.eventstore.ending import lost_tail
from agent.eventstore.ladder import Step
from agent.eventstore.reader import LogReader
from agent.eventstore.readmodel import Progress, ReadModel
from agent.eventstore.state import EVENTS, FLOOR, READMODEL, holder
from agent.files import used_percent
from agent.missed import Missed, missed
from agent.wallet import keyfile
from agent.wallet.keys import USES
from agent.wallet.sealkey import SealKey
from agent.wallet.tokenfile import token_of

LOST_PERCENT: Final = 1.0
"""Our choice: who loses more has too slow a computer, or a bus that is set up wrong."""
UNSEALED_NS: Final = 600 * SECOND
"""Ten seals that were due."""

_TRIP: Final = "SELECT * FROM trip ORDER BY boot DESC LIMIT 1"
_KIND: Final = "SELECT sum(events), max(last_seq) FROM kind_count WHERE kind = ?"
_UPLOAD: Final = """SELECT level, parcels, last_seq,
    (SELECT max(seq) FROM cursor) - last_seq AS behind FROM upload ORDER BY level"""
_EventT = TypeVar("_EventT", bound=Event)


class Seal(msgspec.Struct, frozen=True):
    """no: its number; events: how many it covers; t_ns: UTC; custody: where the device key lies."""

    no: int
    events: int
    t_ns: int
    custody: str


class Chain(msgspec.Struct, frozen=True):
    """end: what is wrong with the end of the log, held against floor and seals; "" for nothing."""

    log_id: str
    events: int
    blocks: int
    last_ns: int | None
    seal: Seal | None
    end: str


class Status(msgspec.Struct, frozen=True):
    """
    now_ns:   UTC, when this was looked at
    process:  that has the state directory; None where the agent is stopped
    version:  of the last start; since_ns: when that was; stopped: why it ended, None where it was
              cut off or still runs
    missed:   since that start
    kinds:    of everything in the log: fixes, own and heard messages
    asking, buses: what the sleep guard and the controller of each bus last said
    vin_read: how often one was; it is sealed
    upload:   by level, through which event of the log; behind: events after that one
    outbox_bytes: of each parcel that waits
    step:     of what is kept while the disk fills, of ladder.Step
    clock:    how far the clock is to be believed now, of clock.ClockQuality
    keys:     use -> "file", "file, with a passphrase", "pkcs11", "tpm", or why it cannot be said
    wrong:    what the owner should see to
    """

    now_ns: int
    process: int | None
    version: str | None
    since_ns: int | None
    stopped: str | None
    chain: Chain
    missed: Missed
    kinds: dict[str, int]
    asking: list[dict[str, Any]]
    buses: list[dict[str, Any]]
    vin_read: int
    upload: list[dict[str, Any]]
    outbox_bytes: list[int]
    used_percent: float
    state_bytes: int
    step: str
    clock: str
    keys: dict[str, str]
    wrong: list[str]


def look(state: Path, clock: Clock, progress: Progress | None = None) -> Status:
    """progress: while a read model that is far behind is caught up, in memory.

    Raises UsageError for what is no state directory, StoreError for a disk that fails.
    """
    if not (state / EVENTS).is_file():
        raise UsageError(f"{state}: there is no log")
    process = holder(state)
    beside = _beside(state)  # before the log, which may grow meanwhile
    with LogReader.open(state / EVENTS) as log, ReadModel.copied(state / READMODEL) as model:
        model.catch_up(log, progress=progress)
        trip = next(iter(model.db.query(_TRIP)), {})
        boot, first_seq = trip.get("boot", 0), trip.get("first_seq", 1)
        chain = _chain(log, beside, trip.get("stop_ns"))
        lost = missed(model.db, boot, first_seq)
        started = _last(model, log, AgentStarted)
        narrowed = _last(model, log, DiskNarrowed, first_seq)
        step = Step.ALL if narrowed is None else Step(narrowed.step)
        doubted = _last(model, log, EndpointDoubted, first_seq)
        keys = _keys(state, chain.seal)
        return Status(
            now_ns=clock.now_ns(),
            process=process,
            version=None if started is None else started.version,
            since_ns=trip.get("start_ns"),
            stopped=trip.get("reason"),
            chain=chain,
            missed=lost,
            kinds={name: _count(model, name) for name in _TOLD},
            asking=list(model.db.query("SELECT * FROM asking WHERE seq >= ?", [first_seq])),
            buses=list(model.db.query("SELECT * FROM bus WHERE seq >= ?", [first_seq])),
            vin_read=_count(model, VinRead.kind),
            upload=list(model.db.query(_UPLOAD)),
            outbox_bytes=[file.stat().st_size for file in (state / "outbox").glob("*.parcel")],
            used_percent=used_percent(state),
            state_bytes=_bytes(state),
            step=step.name,
            clock=clock.quality.name,
            keys=keys,
            wrong=list(_wrong(chain, lost, step, keys, doubted, running=process is not None)),
        )


_TOLD: Final = ("position-fixed/1", "bsm-made/1", "bsm-heard/1")


def _beside(state: Path) -> tuple[floor.Floor | None, int | None, str]:
    """Floor, number of the next seal key, and what is wrong with the floor."""
    next_seal, known, broken = None, None, ""
    with suppress(SealError, StoreError), LogReader.open(state / EVENTS) as log:
        key = SealKey.load(state / "keys", log.log_id)
        next_seal = None if key is None else key.no
    try:
        known = floor.read(state / FLOOR)
        broken = "" if known else "there is no floor beside the log"
    except (MalformedInputError, StoreError) as error:
        broken = str(error)
    return known, next_seal, broken


def _chain(
    log: LogReader, beside: tuple[floor.Floor | None, int | None, str], last_ns: int | None
) -> Chain:
    known, next_seal, broken = beside
    seal, blocks = log.last_seal(), log.last_block()
    found = None
    try:
        _, end = lost_tail(log, known, next_seal)
        if seal is not None:
            read = note.decode(seal.note)
            found = Seal(read.no, read.size, read.t, read.custody)
    except (LogCorruptError, MalformedInputError) as error:
        end = str(error)
    return Chain(log.log_id.hex(), log.head().seq, blocks, last_ns, found, end or broken)


def _last(
    model: ReadModel, log: LogReader, kind: type[_EventT], first_seq: int = 1
) -> _EventT | None:
    """The last event of a kind that is never sealed, from `first_seq` on; None where it is gone."""
    ((_, seq),) = model.db.execute(_KIND, [kind.kind])
    for recorded in () if seq is None or seq < first_seq else log.read(seq - 1, seq):
        with suppress(MalformedInputError):  # a dead letter of the read model
            event = decode(kind.kind, recorded.payload)
            return event if isinstance(event, kind) else None
    return None


def _count(model: ReadModel, kind: str) -> int:
    ((events, _),) = model.db.execute(_KIND, [kind])
    return events or 0


def _bytes(state: Path) -> int:
    """Of all files; one that goes meanwhile counts nothing."""
    total = 0
    for file in state.rglob("*"):
        with suppress(OSError):
            total += file.stat().st_size
    return total


def _keys(state: Path, seal: Seal | None) -> dict[str, str]:
    found = {}
    for use in USES:
        path = state / "keys" / f"{use}.key"
        try:
            if (uri := token_of(state / "keys", use)) is not None:
                found[use] = uri.partition(":")[0]
                continue
            protected = keyfile.is_protected(keyfile.read_private(path), use)
            found[use] = "file, with a passphrase" if protected else "file"
        except SealError as error:
            elsewhere = use == "device" and seal is not None and seal.custody != "file"
            found[use] = seal.custody if elsewhere and seal else str(error)
    return found


def _wrong(
    chain: Chain,
    lost: Missed,
    step: Step,
    keys: dict[str, str],
    doubted: EndpointDoubted | None,
    *,
    running: bool,
) -> Iterator[str]:
    """What the owner should see to."""
    if chain.end:
        yield f"the end of the log: {chain.end}"
    if lost.percent > LOST_PERCENT:
        yield f"{lost.percent:.1f} % of all frames were lost, more than {LOST_PERCENT:.0f} %"
    if step >= Step.NO_BULK:
        yield f"the disk is so full that less is kept: {step.name}"
    if doubted is not None:
        yield f"the node {doubted.endpoint} was found lying: {doubted.reason}"
    seal, last_ns = chain.seal, chain.last_ns
    if running and seal is not None and last_ns is not None and last_ns - seal.t_ns > UNSEALED_NS:
        yield f"the log was not sealed for {(last_ns - seal.t_ns) / SECOND:.0f} s"
    for use, where in keys.items():
        if where not in {"file", "file, with a passphrase", "pkcs11", "tpm"}:
            yield f"{use} key: {where}"

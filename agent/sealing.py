"""The log under its seals for one run: its end checked, sealed every minute, sealed at the end."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import structlog

from agent import __version__
from agent.clock import Clock
from agent.errors import AgentError, SealError
from agent.events import LogContinued
from agent.eventstore import floor
from agent.eventstore.ending import check_end, sealed_end
from agent.eventstore.floor import Floor
from agent.eventstore.reader import LogReader
from agent.eventstore.sealer import Firmware, Sealer
from agent.eventstore.sealthread import SealThread
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS, FLOOR
from agent.eventstore.writer import LogWriter
from agent.installed import image
from agent.record import Journal
from agent.wallet.keys import Keys
from agent.wallet.sealkey import SealKey

_log = structlog.get_logger()


class DeviceKeys:
    """The device key and the key of the next seal, as a sealer asks for them."""

    def __init__(self, keys: Keys, key: SealKey) -> None:
        self.public = keys.device.public
        self.custody = keys.device.custody
        self.sign = keys.device.sign
        self.mac = key.mac
        self.advance = key.advance
        self._counter = keys.device.counter

    def rise(self) -> int | None:
        """None where the key has no counter beside it. Raises SealError."""
        return None if self._counter is None else self._counter.rise()


@contextmanager
def sealed(
    state: Path,
    log: SqliteLog,
    keys: Keys,
    writer: LogWriter,
    journal: Journal,
    clock: Clock,
    continued: LogContinued | None,
) -> Iterator[None]:
    """Seals the log until the end of the context, and then once more.

    continued: of a new log that goes on from a broken one, its very first event
    The first events of the run say what was found at the end of the log. Raises LogCorruptError
    for a last seal that does not hold, SealError for one of another device, StoreError.
    """
    sealer = Sealer(
        log,
        state / EVENTS,
        keys=DeviceKeys(keys, _begin(state, log, keys, journal, continued)),
        firmware=Firmware(__version__, image()),
        clock=clock,
        floor_file=state / FLOOR,
    )
    thread = SealThread(lambda: _seal(sealer, journal), clock, writer.stop)
    try:
        yield
    except BaseException:
        with suppress(AgentError):  # the first error is the one to report
            _end(thread, sealer, log, journal)
        raise
    _end(thread, sealer, log, journal)


def _begin(
    state: Path, log: SqliteLog, keys: Keys, journal: Journal, continued: LogContinued | None
) -> SealKey:
    """Says what the end of the log is like; then the floor is laid anew and the next key is there.

    In this order, so that what was lost is told again if the power fails before it is on disk.
    """
    directory = state / "keys"
    key = SealKey.load(directory, log.log_id)
    with LogReader.open(state / EVENTS) as reader:
        last = sealed_end(reader)
        if last is not None and last.device != keys.device.public:
            raise SealError(f"seal {last.no} of this log is that of another device key")
        checked, lost = check_end(reader, state / FLOOR, None if key is None else key.no)
    for event in (continued, lost, checked):
        if event is not None:
            journal.write(event)
    journal.flush()
    seals = 0 if last is None else last.no
    floor.write(state / FLOOR, Floor(log.log_id, seals, log.head()))
    if key is None or key.no > seals + 1:
        return SealKey.begin(directory, keys.owner.public, log.log_id, seals + 1)
    if key.no <= seals:  # the power failed between a seal and its key
        key.advance(seals)
    return key


def _seal(sealer: Sealer, journal: Journal) -> None:
    """A key that is out of reach stops no recording: the next seal covers what this one would."""
    try:
        made = sealer.seal()
    except SealError as error:
        _log.warning("the log was not sealed", reason=str(error))
        return
    if made is not None:
        journal.write(made)


def _end(thread: SealThread, sealer: Sealer, log: SqliteLog, journal: Journal) -> None:
    thread.close()
    journal.flush()
    _seal(sealer, journal)
    journal.flush()
    sealer.lay_floor(log.head())

"""A car's log under its seals, with real keys: made, cut, copied and checked."""

import shutil
from pathlib import Path
from typing import Self

from agent.clock import ManualClock
from agent.events import LogSealed, encode
from agent.eventstore.container import nobody_writes
from agent.eventstore.log import Draft
from agent.eventstore.reader import LogReader
from agent.eventstore.sealcheck import BadSealError, OwnersKeys, SealChecker
from agent.eventstore.sealer import Firmware, Sealer
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS, FLOOR
from agent.eventstore.walk import walk
from agent.sealing import DeviceKeys
from agent.wallet.keys import Keys, create_keys, load_keys
from agent.wallet.sealkey import OwnersSealKeys, SealKey, load_roots
from tests.eventstore.conftest import draft, fill
from tests.eventstore.verifiers import INTACT, Found, Known, by_tool

FIRMWARE = Firmware("1.2.3", bytes(range(32)))


class Car:
    """One start on a state directory; `state` stays when it is closed."""

    def __init__(self, state: Path, *, clock: ManualClock | None = None) -> None:
        self.state = state
        self.clock = clock or ManualClock(1_750_000_000_000_000_000)
        self.log = SqliteLog.open(state, create=True)
        directory = state / "keys"
        self.keys: Keys = load_keys(directory) if directory.exists() else create_keys(directory)
        self.key = SealKey.load(directory, self.log.log_id) or SealKey.begin(
            directory, self.keys.owner.public, self.log.log_id, 1
        )
        self.sealer = self.new_sealer()

    def new_sealer(self) -> Sealer:
        return Sealer(
            self.log,
            self.state / EVENTS,
            keys=DeviceKeys(self.keys, self.key),
            firmware=FIRMWARE,
            clock=self.clock,
            floor_file=self.state / FLOOR,
        )

    def drive(self, *sizes: int) -> LogSealed:
        """Blocks of these many events, a seal over them, and the event that tells of it."""
        fill(self.log, *sizes)
        made = self.sealer.seal()
        assert made is not None
        self.log.append([told(made)])
        return made

    def owners(self) -> OwnersSealKeys:
        return owners(self.state, self.keys, self.log.log_id)

    def close(self) -> None:
        self.log.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def told(made: LogSealed) -> Draft:
    return draft(kind=made.kind, payload=encode(made))


def owners(state: Path, keys: Keys, log_id: bytes) -> OwnersSealKeys:
    return OwnersSealKeys(load_roots(state / "keys"), keys.owner, log_id)


def checked(
    state: Path, *, device: bytes | None = None, keys: OwnersKeys | None = None
) -> SealChecker:
    """The checker behind a walk over the whole log. Raises BadSealError.

    A log that nobody has open is shown to tools/verify_log.py too, which has to say the same as
    the checker does without the owner's keys.
    """
    if nobody_writes(state / EVENTS):
        expected = INTACT
        try:
            _checked(state, device, None)
        except BadSealError as error:
            expected = Found("tampered", error.seq)
        assert by_tool(state / EVENTS, Known(device=device or b"")) == expected
    return _checked(state, device, keys)


def _checked(state: Path, device: bytes | None, keys: OwnersKeys | None) -> SealChecker:
    with LogReader.open(state / EVENTS) as reader:
        checker = SealChecker(reader, device=device, keys=keys)
        for block in reader.blocks():
            walked = walk(block)
            assert not walked.bad
            checker.take(walked)
        checker.finish()
    return checker


def driven(state: Path, *seals: tuple[int, ...]) -> Keys:
    """A closed state directory whose log has these seals, each over blocks of these sizes."""
    with Car(state) as car:
        for sizes in seals:
            car.drive(*sizes)
        car.sealer.lay_floor(car.log.head())
        return car.keys


def copied(state: Path, to: Path) -> Path:
    return Path(shutil.copytree(state, to))

"""A sealer that leaves nothing but seals and the floor behind, and is quick to import."""

import hmac
import secrets
from pathlib import Path
from typing import Final

from agent.clock import ManualClock
from agent.eventstore.sealer import Firmware, Sealer
from agent.eventstore.sqlite import SqliteLog
from agent.eventstore.state import EVENTS, FLOOR
from agent.wallet.keys import FileKey


class MemoryKeys:
    """Those of a device, in memory alone: neither time nor a power cut passes over them."""

    custody: Final = "file"

    def __init__(self) -> None:
        self._device = FileKey(secrets.token_bytes(32), protected=False)
        self.public = self._device.public
        self.sign = self._device.sign

    def mac(self, no: int, message: bytes) -> bytes:
        return hmac.digest(no.to_bytes(32), message, "sha3_512")

    def rise(self) -> None:
        return None

    def advance(self, no: int) -> None:
        """Every key can be made again."""


MEMORY_KEYS: Final = MemoryKeys()


def unkept(log: SqliteLog, state: Path) -> Sealer:
    return Sealer(
        log,
        state / EVENTS,
        keys=MEMORY_KEYS,
        firmware=Firmware("1.2.3", bytes(32)),
        clock=ManualClock(1_750_000_000_000_000_000),
        floor_file=state / FLOOR,
    )

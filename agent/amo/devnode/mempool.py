"""Transactions that wait for a block, and the memory of those that were seen."""

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from agent.amo.devnode.ledger import Ledger
from agent.amo.devnode.outcome import Outcome
from agent.errors import AgentError

MAX_TX_BYTES: Final = 1_048_576
MAX_TXS: Final = 5000
MAX_BYTES: Final = 64 * 1024 * 1024
CACHE_SIZE: Final = 10_000
_ENVELOPE_BYTES: Final = 8  # amino key and length around each transaction of a block


class NotTakenError(AgentError):
    """The transaction did not reach the application's check; the message is the node's own."""


class Mempool:
    """In order of arrival. Balances are looked at in the block only, not here."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._waiting: dict[bytes, bytes] = {}
        self._seen: OrderedDict[bytes, None] = OrderedDict()
        self.total_bytes = 0

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, raw: bytes) -> Outcome:
        """The application's verdict; a refused transaction may be sent again.

        Raises NotTakenError for one that was seen already, is too large, or finds no room.
        """
        self._require_room(raw)
        digest = sha256(raw).digest()
        if digest in self._seen or digest in self._waiting:
            self._remember(digest)
            raise NotTakenError("tx already exists in cache")
        outcome = self._ledger.check(raw)
        if outcome.code == 0:
            self._remember(digest)
            self._waiting[digest] = raw
            self.total_bytes += len(raw)
        return outcome

    def waiting(self, limit: int) -> list[bytes]:
        return list(self._waiting.values())[:limit]

    def reap(self, max_bytes: int) -> list[bytes]:
        """The oldest that fit into a block of that size; they stay until `update`."""
        taken: list[bytes] = []
        room = max_bytes
        for raw in self._waiting.values():
            room -= len(raw) + _ENVELOPE_BYTES
            if room < 0:
                break
            taken.append(raw)
        return taken

    def update(self, executed: Sequence[bytes]) -> None:
        """After a block: what it held goes, the rest is checked again without the signature."""
        for raw in executed:
            digest = sha256(raw).digest()
            self._drop(digest)
            self._remember(digest)
        for digest, raw in list(self._waiting.items()):
            if self._ledger.check(raw, again=True).code != 0:
                self._drop(digest)
                self._seen.pop(digest, None)

    def _require_room(self, raw: bytes) -> None:
        if len(self._waiting) >= MAX_TXS or self.total_bytes + len(raw) > MAX_BYTES:
            number = f"number of txs {len(self._waiting)} (max: {MAX_TXS})"
            size = f"total txs bytes {self.total_bytes} (max: {MAX_BYTES})"
            raise NotTakenError(f"mempool is full: {number}, {size}")
        if len(raw) > MAX_TX_BYTES:
            raise NotTakenError(f"Tx too large. Max size is {MAX_TX_BYTES}, but got {len(raw)}")

    def _drop(self, digest: bytes) -> None:
        raw = self._waiting.pop(digest, None)
        self.total_bytes -= len(raw or b"")

    def _remember(self, digest: bytes) -> None:
        self._seen[digest] = None
        self._seen.move_to_end(digest)
        if len(self._seen) > CACHE_SIZE:
            self._seen.popitem(last=False)

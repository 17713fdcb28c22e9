"""The ledger's state: balances, storages, parcels, requests, usages, coins, identities.

One ordered map from bytes to bytes. Numbers in keys are big-endian, addresses and parcel ids
are raw. Stakes are in `stakes`.
"""

from collections.abc import Iterator
from typing import Final

from agent.amo.devnode.iavl import Tree
from agent.amo.devnode.payload import MAX_AMOUNT, stored_amount
from agent.amo.devnode.records import Coin, Parcel, Request, Storage, Usage, amount_text

CONFIG_KEY: Final = b"config"
PROTOCOL_KEY: Final = b"protocol"
STORAGE_ID_BYTES: Final = 4


class State:
    """Reads give what was last written, committed or not. Amounts are mote."""

    def __init__(self, tree: Tree) -> None:
        self.tree = tree

    def balance(self, address: bytes, udc: int = 0) -> int:
        return self._amount(_balance_key(address, udc))

    def set_balance(self, address: bytes, amount: int, udc: int = 0) -> None:
        self._set_amount(_balance_key(address, udc), amount)

    def add_balance(self, address: bytes, amount: int, udc: int = 0) -> None:
        self.set_balance(address, self.balance(address, udc) + amount, udc)

    def udc_lock(self, address: bytes, udc: int) -> int:
        return self._amount(_lock_key(address, udc))

    def set_udc_lock(self, address: bytes, udc: int, amount: int) -> None:
        self._set_amount(_lock_key(address, udc), amount)

    def coin(self, udc: int) -> Coin | None:
        raw = self.tree.get(_numbered(b"udc:", udc))
        return None if raw is None else Coin.decode(raw)

    def set_coin(self, udc: int, coin: Coin) -> None:
        self.tree.set(_numbered(b"udc:", udc), coin.encode())

    def storage(self, storage_id: int) -> Storage | None:
        raw = self.tree.get(_numbered(b"storage:", storage_id))
        return None if raw is None else Storage.decode(raw)

    def set_storage(self, storage_id: int, storage: Storage) -> None:
        self.tree.set(_numbered(b"storage:", storage_id), storage.encode())

    def active_storage(self, parcel_id: bytes) -> Storage | None:
        """The storage a parcel's id begins with, where it is open."""
        storage = self.storage(int.from_bytes(parcel_id[:STORAGE_ID_BYTES]))
        return storage if storage is not None and storage.active else None

    def parcel(self, parcel_id: bytes) -> Parcel | None:
        raw = self.tree.get(b"parcel:" + parcel_id)
        return None if raw is None else Parcel.decode(raw)

    def set_parcel(self, parcel_id: bytes, parcel: Parcel) -> None:
        self.tree.set(b"parcel:" + parcel_id, parcel.encode())

    def request(self, buyer: bytes, parcel_id: bytes) -> Request | None:
        raw = self.tree.get(_pair(b"request:", buyer, parcel_id))
        return None if raw is None else Request.decode(raw)

    def set_request(self, buyer: bytes, parcel_id: bytes, request: Request) -> None:
        self.tree.set(_pair(b"request:", buyer, parcel_id), request.encode())
        self.tree.set(_pair(b"request:", parcel_id, buyer), b"")

    def remove_request(self, buyer: bytes, parcel_id: bytes) -> None:
        self.tree.remove(_pair(b"request:", buyer, parcel_id))
        self.tree.remove(_pair(b"request:", parcel_id, buyer))

    def usage(self, buyer: bytes, parcel_id: bytes) -> bytes | None:
        """As it is stored."""
        return self.tree.get(_pair(b"usage:", buyer, parcel_id))

    def set_usage(self, buyer: bytes, parcel_id: bytes, usage: Usage) -> None:
        self.tree.set(_pair(b"usage:", buyer, parcel_id), usage.encode())
        self.tree.set(_pair(b"usage:", parcel_id, buyer), b"")

    def remove_usage(self, buyer: bytes, parcel_id: bytes) -> None:
        self.tree.remove(_pair(b"usage:", buyer, parcel_id))
        self.tree.remove(_pair(b"usage:", parcel_id, buyer))

    def of_parcel(self, kind: bytes, parcel_id: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(buyer, stored record) of a parcel's requests or usages, by buyer. kind: b"usage:"."""
        prefix = kind + parcel_id + b":"
        for key, _ in self.tree.items(prefix):
            buyer = key[len(prefix) :]
            record = self.tree.get(_pair(kind, buyer, parcel_id))
            if record is not None:
                yield buyer, record

    def has_usage(self, recipient: str, parcel_id: str) -> bool:
        """Whether the parcel is granted to that account; both in hex. Bad hex: False."""
        try:
            return self.usage(bytes.fromhex(recipient), bytes.fromhex(parcel_id)) is not None
        except ValueError:
            return False

    def _amount(self, key: bytes) -> int:
        raw = self.tree.get(key)
        return 0 if raw is None else stored_amount(raw)

    def _set_amount(self, key: bytes, amount: int) -> None:
        """Zero takes a record away, and where there is none it writes one: the node's own way."""
        if amount == 0 and self.tree.get(key) is not None:
            self.tree.remove(key)
        else:
            self.tree.set(key, amount_text(min(amount, MAX_AMOUNT)))


def _balance_key(address: bytes, udc: int) -> bytes:
    return b"balance:" + (udc.to_bytes(4) + b":" if udc else b"") + address


def _lock_key(address: bytes, udc: int) -> bytes:
    return _numbered(b"udclock:", udc) + b":" + address


def _numbered(kind: bytes, number: int) -> bytes:
    return kind + number.to_bytes(4)


def _pair(kind: bytes, first: bytes, second: bytes) -> bytes:
    return kind + first + b":" + second

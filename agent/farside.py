"""What the owner's side needs of the far side: a node of the chain, and the market over it.

Every method raises RemoteError and its children.
"""

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from agent.events import TxSigned
from agent.wallet.keys import Signer

ONE_ENDPOINT: Final = "stated by one endpoint"
"""Who says so, where nobody else was asked."""


class Prepared(Protocol):
    @property
    def raw(self) -> bytes: ...

    @property
    def hash(self) -> str: ...

    @property
    def last_height(self) -> int: ...


class Executed(Protocol):
    @property
    def height(self) -> int: ...

    @property
    def code(self) -> int: ...


class Latest(Protocol):
    @property
    def latest_height(self) -> int: ...


class Placed(Protocol):
    @property
    def height(self) -> int: ...


class Node(Protocol):
    """What transactions go through."""

    async def prepare(
        self, kind: str, payload: Mapping[str, object], signer: Signer, fee: int = 0
    ) -> Prepared: ...

    async def broadcast_sync(self, raw: bytes) -> str: ...

    async def settle(self, signed: TxSigned) -> Placed: ...

    async def tx(self, hash_hex: str) -> Executed | None: ...

    async def status(self) -> Latest: ...

    async def binding_window(self) -> int: ...

    async def balance(self, address: str) -> int: ...


class Pending(Protocol):
    """A request as the ledger has it; the public key comes from the signed request itself."""

    @property
    def buyer(self) -> str: ...

    @property
    def buyer_public(self) -> bytes: ...

    @property
    def payment_mote(self) -> int: ...


class Done(Protocol):
    """A transaction that was executed; as Sent."""

    @property
    def hash(self) -> str: ...

    @property
    def height(self) -> int: ...

    @property
    def proof(self) -> str: ...


class Ledger(Protocol):
    """Of one account."""

    async def balance(self) -> int: ...

    async def requests(self, parcel_id: str) -> Sequence[Pending]: ...

    async def granted(self, parcel_id: str, buyer: str) -> bool: ...

    async def grant(
        self, parcel_id: str, buyer: str, custody: bytes, *, payment: int, by: str
    ) -> Done: ...

    async def revoke(self, parcel_id: str, buyer: str) -> Done: ...

    async def transfer(self, to: str, mote: int, *, once: str) -> Done: ...

"""The two ends of a sale of a parcel, over a node and a storage service.

Nothing here decides whether a sale may be: that is the owner's word, given elsewhere.
Nor does anything here see a key: bodies are encrypted before they come, and custody, the
wrapped data key, is made by whoever holds the keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from agent.amo import payload
from agent.amo.buyerkeys import BuyerKeys
from agent.amo.codes import ResultCode, refusal
from agent.amo.jsonrpc import Reply
from agent.amo.p256 import address_of
from agent.amo.rpc import Receipt, RpcClient
from agent.amo.storage import GONE, StorageClient
from agent.amo.transaction import Signer
from agent.errors import RefusedError, RemoteError


@dataclass(frozen=True, slots=True)
class Registered:
    """A parcel that is stored and stands on the chain. height: of the block it is in."""

    parcel_id: str
    tx_hash: str
    height: int


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """What a buyer offers for a parcel and has pledged.

    buyer_public: 65 bytes; empty where no transaction of the buyer was found to take it from
    """

    buyer: str
    buyer_public: bytes
    payment_mote: int


class Placed(Protocol):
    """A transaction that was executed without error in the block of that height."""

    @property
    def hash(self) -> str: ...

    @property
    def height(self) -> int: ...

    @property
    def proof(self) -> str: ...


class Submit(Protocol):
    """What signs and sends, once for each `once`.

    cost, gain: mote that it takes and brings; by: who decided on it
    Raises RefusedError, NotEnoughFundsError before a transaction is spent on it.
    """

    async def __call__(
        self,
        kind: str,
        payload: Mapping[str, object],
        *,
        once: str,
        cost: int = 0,
        gain: int = 0,
        by: str = "owner",
    ) -> Placed: ...


class Seller:
    """The owner's end."""

    def __init__(
        self, rpc: RpcClient, storage: StorageClient, signer: Signer, submit: Submit
    ) -> None:
        self._rpc = rpc
        self._storage = storage
        self._signer = signer
        self._submit = submit
        self._keys = BuyerKeys(rpc)

    async def register(
        self, body: bytes, wrap: Callable[[str], bytes], extra: Mapping[str, object]
    ) -> Registered:
        """Store the body, then register it with the custody that `wrap` makes for its id.

        extra: what the chain keeps beside the parcel, for everyone to read. Doing it again
        with the same body leads to the same parcel. Raises NotThereError (no such storage),
        NotEnoughFundsError or NotAllowedError before a transaction is spent on it.
        """
        parcel = await self._storage.upload(body, self._signer, {})
        due = await self._registration_fee(parcel)
        asked = payload.register(parcel, wrap(parcel), extra=extra)
        receipt = await self._submit(
            "register", asked, once=f"register:{parcel}", cost=due, by="upload"
        )
        return Registered(parcel, receipt.hash, receipt.height)

    async def stored(self, parcel_id: str) -> bytes | None:
        """The body as it is stored now, whatever it is; None where it is gone."""
        try:
            return await self._storage.stored(parcel_id, self._signer)
        except RefusedError as error:
            if error.code in GONE:
                return None
            raise

    async def requests(self, parcel_id: str) -> list[PendingRequest]:
        """Requests that wait for the owner's answer; none where the chain has no parcel."""
        found = await self._rpc.parcel(parcel_id)
        if found is None or "requests" not in found:
            return []
        return [
            PendingRequest(
                buyer := request.at("recipient").text().upper(),
                await self._keys.of(buyer) or b"",
                request.at("payment").mote(),
            )
            for request in Reply("/parcel", found).at("requests").items()
        ]

    async def granted(self, parcel_id: str, buyer: str) -> bool:
        """Whether the buyer may download the parcel as of now."""
        return await self._rpc.usage(buyer, parcel_id) is not None

    async def balance(self) -> int:
        """Mote of our account, as the node says."""
        return await self._rpc.balance(address_of(self._signer.public))

    async def grant(
        self, parcel_id: str, buyer: str, custody: bytes, *, payment: int, by: str
    ) -> Placed:
        """Give the parcel to a buyer who requested it.

        custody: the data key wrapped for the buyer; payment: mote that the buyer has pledged,
        of which the storage takes its hosting fee
        """
        due = (await self._open_storage(parcel_id)).at("hosting_fee").mote()
        asked = payload.grant(parcel_id, buyer, custody)
        once = f"grant:{parcel_id}:{buyer}"
        return await self._submit("grant", asked, once=once, cost=due, gain=payment, by=by)

    async def revoke(self, parcel_id: str, buyer: str) -> Placed:
        """Take a grant back, for what is not downloaded yet."""
        asked = payload.revoke(parcel_id, buyer)
        return await self._submit("revoke", asked, once=f"revoke:{parcel_id}:{buyer}")

    async def discard(self, parcel_id: str) -> Placed:
        """Take the parcel off sale; the chain keeps its record."""
        asked = payload.discard(parcel_id)
        return await self._submit("discard", asked, once=f"discard:{parcel_id}")

    async def transfer(self, to: str, mote: int, *, once: str) -> Placed:
        asked = payload.transfer(to, mote=mote)
        return await self._submit("transfer", asked, once=once, cost=mote)

    async def _open_storage(self, parcel: str) -> Reply:
        number = payload.storage_of(parcel)
        storage = await self._rpc.storage(number)
        if storage is None or storage.get("active") is not True:
            raise refusal(ResultCode.NO_STORAGE, "", f"storage {number}")
        return Reply("/storage", storage)

    async def _registration_fee(self, parcel: str) -> int:
        """Due the first time only."""
        storage = await self._open_storage(parcel)
        standing = await self._rpc.parcel(parcel)
        if standing is None:
            return storage.at("registration_fee").mote()
        _expect_ours(standing, parcel, address_of(self._signer.public))
        return 0


class Buyer:
    """The other end. fee: mote for the block's proposer, with every transaction."""

    def __init__(
        self, rpc: RpcClient, storage: StorageClient, signer: Signer, *, fee: int = 0
    ) -> None:
        self._rpc = rpc
        self._storage = storage
        self._signer = signer
        self._fee = fee

    async def request(self, parcel_id: str, payment: int) -> Receipt:
        """Ask for a parcel; the payment in mote is pledged until it is granted or cancelled."""
        asked = payload.request(parcel_id, payment)
        return await self._rpc.submit("request", asked, self._signer, self._fee)

    async def cancel(self, parcel_id: str) -> Receipt:
        """Take the request and the pledged coins back."""
        return await self._rpc.submit("cancel", payload.cancel(parcel_id), self._signer, self._fee)

    async def fetch(self, parcel_id: str) -> tuple[bytes, bytes]:
        """The body as it was stored, and the custody the owner gave with the grant.

        Raises NotThereError where nothing is granted.
        """
        usage = await self._rpc.usage(address_of(self._signer.public), payload.parcel_of(parcel_id))
        if usage is None:
            raise refusal(ResultCode.USAGE_NOT_FOUND, "", f"parcel {parcel_id}")
        text = Reply("/usage", usage).at("custody").text()
        try:
            custody = bytes.fromhex(text)
        except ValueError as error:
            raise RemoteError("/usage: malformed answer: custody is not hex") from error
        return await self._storage.download(parcel_id, self._signer), custody


def _expect_ours(standing: Mapping[str, object], parcel: str, us: str) -> None:
    """The owner and its proxy may register a parcel anew; others would pay for a refusal."""
    if us not in (standing.get("owner"), standing.get("proxy_account")):
        raise refusal(ResultCode.PERMISSION_DENIED, "", f"parcel {parcel}")

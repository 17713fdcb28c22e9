"""The two ends of a sale of a parcel, over a node and a storage service.

Nothing here decides whether a sale may be: that is the owner's word, given elsewhere.
Nor does anything here see a key: bodies are encrypted before they come, and custody, the
wrapped data key, is made by whoever holds the keys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

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


class Seller:
    """The owner's end. fee: mote for the block's proposer, with every transaction."""

    def __init__(
        self, rpc: RpcClient, storage: StorageClient, signer: Signer, *, fee: int = 0
    ) -> None:
        self._rpc = rpc
        self._storage = storage
        self._signer = signer
        self._fee = fee
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
        await self._expect_registrable(parcel)
        asked = payload.register(parcel, wrap(parcel), extra=extra)
        receipt = await self._send("register", asked)
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

    async def grant(self, parcel_id: str, buyer: str, custody: bytes) -> str:
        """Give the parcel to a buyer who requested it; the transaction's hash.

        custody: the data key wrapped for the buyer.
        """
        return (await self._send("grant", payload.grant(parcel_id, buyer, custody))).hash

    async def revoke(self, parcel_id: str, buyer: str) -> str:
        """Take a grant back, for what is not downloaded yet; the transaction's hash."""
        return (await self._send("revoke", payload.revoke(parcel_id, buyer))).hash

    async def discard(self, parcel_id: str) -> str:
        """Take the parcel off sale; the chain keeps its record."""
        return (await self._send("discard", payload.discard(parcel_id))).hash

    async def _send(self, kind: str, asked: Mapping[str, object]) -> Receipt:
        return await self._rpc.submit(kind, asked, self._signer, self._fee)

    async def _expect_registrable(self, parcel: str) -> None:
        number = payload.storage_of(parcel)
        storage = await self._rpc.storage(number)
        if storage is None or storage.get("active") is not True:
            raise refusal(ResultCode.NO_STORAGE, "", f"storage {number}")
        due = self._fee
        standing = await self._rpc.parcel(parcel)
        if standing is not None:
            _expect_ours(standing, parcel, address_of(self._signer.public))
        else:  # the registration fee is due the first time only
            due += Reply("/storage", storage).at("registration_fee").mote()
        balance = await self._rpc.balance(address_of(self._signer.public))
        if balance < due:
            raise refusal(ResultCode.NOT_ENOUGH_BALANCE, "", f"{balance} mote where {due} are due")


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

"""The far end of the demo: parcels go up, a buyer asks, the owner grants, the buyer opens.

Everything goes over HTTP to the embedded AMO node and storage service; the buyer uses only what
a stranger has: his own key, the chain, the storage service, and the documented formats.
"""

from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass

from agent.amo.devnode.net import DevNet
from agent.amo.market import Buyer, Seller
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import Archive
from agent.clock import SystemClock
from agent.compose import desk, outgoing, uploader
from agent.desk import Desk
from agent.errors import MalformedInputError, RemoteError, SealError
from agent.events import ParcelRegistered, SignalsSampled, decode
from agent.parcel.chunk import Parcel, open_parcel
from agent.privacy import Level, sealed
from agent.upload import NOT_IN_PARCELS
from agent.wallet.address import address
from agent.wallet.custody import unwrap
from agent.wallet.envelope import decrypt
from agent.wallet.keys import FileKey

AMO = 10**18
COINS = 1_000 * AMO
PRICE = 5 * AMO
LEVELS = (Level.LV3, Level.LV2, Level.LV1)
FOR_SALE = (Level.LV3, Level.LV2)
"""What the demo's buyer asks for: the car's state, and where it was."""

Values = dict[tuple[str, str], list[tuple[int, int, float | bytes]]]
"""(metric, origin) -> (sequence number, UTC ns, value or payload) in order of the log."""


@dataclass(frozen=True, slots=True)
class Sale:
    """registered: parcels on the chain; opened: those the buyer opened and found to be true."""

    registered: list[ParcelRegistered]
    wanted: int
    opened: int
    records: int


async def sell(parts: Archive, buyer: FileKey) -> Sale:
    """Upload all there is, sell what the buyer asks for, and compare what the buyer opens."""
    clock = SystemClock()
    account = parts.keys.account
    coins = {address(account.public): COINS, address(buyer.public): COINS}
    async with AsyncExitStack() as stack:
        net = DevNet(coins, clock=clock)
        await net.start()
        stack.push_async_callback(net.stop)
        rpc = await stack.enter_async_context(RpcClient([net.rpc_url], clock=clock))
        storage = await stack.enter_async_context(StorageClient(net.storage_url))
        out = outgoing(parts, rpc)
        seller = Seller(rpc, storage, account, out.submit)
        owner = desk(parts, rpc, seller, out)
        registered = await uploader(parts, seller).once(LEVELS)
        wanted = [r for r in registered if r.parcel_level in FOR_SALE]
        found = [await _buy(parts, owner, Buyer(rpc, storage, buyer), r, buyer) for r in wanted]
    opened = [records for records in found if records is not None]
    return Sale(registered, len(wanted), len(opened), sum(opened))


async def _buy(
    parts: Archive, owner: Desk, shop: Buyer, parcel: ParcelRegistered, buyer: FileKey
) -> int | None:
    """One purchase; how many records the buyer found to be those of the log, None if not so."""
    await shop.request(parcel.parcel_id, PRICE)
    await owner.grant(parcel.parcel_id, address(buyer.public))
    body, custody = await shop.fetch(parcel.parcel_id)
    level = Level(parcel.parcel_level)
    try:
        key = unwrap(custody, buyer, parcel_id=parcel.parcel_id, level=level)
        values = _values(open_parcel(decrypt(body, key)))
    except (SealError, MalformedInputError, RemoteError):
        return None
    return sum(map(len, values.values())) if values == recorded(parts, parcel) else None


def _values(parcel: Parcel) -> Values:
    return {
        (chunk.header.metric, chunk.header.origin): [tuple(r) for r in chunk.records()]  # type: ignore[misc]  # three fields each
        for chunk in parcel.chunks
    }


def recorded(parts: Archive, parcel: ParcelRegistered) -> Values:
    """What the log holds of a parcel's level and range, opened with the owner's key."""
    values: Values = {}
    for metric, record in _records(parts, parcel):
        values.setdefault(metric, []).append(record)
    return values


def _records(
    parts: Archive, parcel: ParcelRegistered
) -> Iterator[tuple[tuple[str, str], tuple[int, int, float | bytes]]]:
    level = Level(parcel.parcel_level)
    for event in parts.log.read(after=parcel.first_seq - 1):
        if event.seq > parcel.last_seq:
            return
        if event.level != level or event.kind in NOT_IN_PARCELS:
            continue
        payload = event.payload
        if sealed(level):
            payload = parts.unsealer.open(level, event.kind, payload)
        if event.kind != SignalsSampled.kind:
            yield (event.kind, ""), (event.seq, event.t_ns, payload)
            continue
        sampled = decode(event.kind, payload)
        assert isinstance(sampled, SignalsSampled)
        series: Mapping[str, tuple[list[int], list[float]]] = sampled.series
        for name, (offsets, samples) in series.items():
            for offset, value in zip(offsets, samples, strict=True):
                yield (name, sampled.origin), (event.seq, sampled.t0_ns + offset, value)

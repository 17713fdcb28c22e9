"""An owner with a parcel on sale, a stranger who wants it, and the far side, on real sockets."""

from collections.abc import AsyncIterator, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from agent.amo.devnode.net import DevNet
from agent.amo.market import Buyer, Seller
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import Archive
from agent.clock import SystemClock
from agent.compose import desk, outgoing, uploader
from agent.config import WalletConfig
from agent.desk import Desk
from agent.events import DtcSet, ParcelRegistered, VinRead
from agent.outgoing import Outgoing
from agent.privacy import Level
from agent.wallet import curve
from agent.wallet.address import address
from agent.wallet.keys import FileKey

COINS = 1_000
PRICE = 100


@dataclass
class Fair:
    """A registered parcel, its owner's desk, and a buyer with coins."""

    parts: Archive
    net: DevNet
    rpc: RpcClient
    storage: StorageClient
    seller: Seller
    out: Outgoing
    desk: Desk
    parcel: ParcelRegistered
    buyer: Buyer
    buyer_key: FileKey

    @property
    def owner(self) -> str:
        return address(self.parts.keys.account.public)

    @property
    def stranger(self) -> str:
        return address(self.buyer_key.public)

    async def ask(self, payment: int = PRICE) -> None:
        await self.buyer.request(self.parcel.parcel_id, payment)

    async def coins(self) -> tuple[int, int]:
        """The owner's and the buyer's, in mote."""
        return await self.rpc.balance(self.owner), await self.rpc.balance(self.stranger)

    def anew(self, policy: str = "", wallet: WalletConfig | None = None) -> tuple[Outgoing, Desk]:
        """What a start makes of the same log, by these rules."""
        out = outgoing(self.parts, self.rpc, wallet)
        self.seller = Seller(self.rpc, self.storage, self.parts.keys.account, out.submit)
        alarm = 0 if wallet is None else wallet.alarm_mote
        made = desk(self.parts, self.rpc, self.seller, out, alarm_mote=alarm)
        if policy:
            made.set_policy(policy)
        return out, made


@asynccontextmanager
async def opened(parts: Archive, levels: Iterable[Level] = (Level.LV3,)) -> AsyncIterator[Fair]:
    clock = SystemClock()
    buyer_key = FileKey(curve.new_scalar(), protected=False)
    account = parts.keys.account
    coins = {address(account.public): COINS, address(buyer_key.public): COINS}
    async with AsyncExitStack() as stack:
        net = DevNet(coins, clock=clock, block_interval_s=0.02)
        await net.start()
        stack.push_async_callback(net.stop)
        rpc = await stack.enter_async_context(RpcClient([net.rpc_url], clock=clock))
        storage = await stack.enter_async_context(StorageClient(net.storage_url))
        out = outgoing(parts, rpc)
        seller = Seller(rpc, storage, account, out.submit)
        parts.journal.write(DtcSet("P0301", "7E8"))
        parts.journal.write(VinRead("TESTVIN", "obd"))
        [parcel] = await uploader(parts, seller).once(levels)
        made = desk(parts, rpc, seller, out)
        buyer = Buyer(rpc, storage, buyer_key)
        yield Fair(parts, net, rpc, storage, seller, out, made, parcel, buyer, buyer_key)

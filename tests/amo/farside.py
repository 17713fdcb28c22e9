"""The far side for contract tests: a dev node with its storage, or real ones named by URL.

AMO_RPC      URLs of a node's RPC, with commas between them
AMO_STORAGE  URL of a storage service, and its form, R or N, behind a space
AMO_SEED     phrase of an account with coins, as amo-client-go takes it

Every test makes accounts of its own and gives them a few coins out of that one.
"""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Final, Literal

from nacl.signing import SigningKey

from agent.amo import payload
from agent.amo.devnode.genesis import dev_genesis, read_genesis
from agent.amo.devnode.node import DevNode
from agent.amo.devnode.storage import storage_app
from agent.amo.jsonrpc import Reply
from agent.amo.market import Buyer, Seller
from agent.amo.p256 import Account
from agent.amo.rpc import RpcClient
from agent.amo.storage import Form, StorageClient
from agent.clock import Clock, RecordedClock, SystemClock
from tests.amo.nodes import served

OURS: Final = ("strict", "R", "N")
REAL: Final = "AMO_RPC" in os.environ
FORMS: Final = ("given",) if REAL else OURS
PROTOCOLS: Final = (0,) if REAL else (6, 5)
"""Of chains that are made here; 0 for one that is what it is."""
POCKET: Final = 10_000
"""Mote that an account of a test has beyond what it pays for storage."""


@dataclass(frozen=True)
class Places:
    """Where node and storage are, and who has coins there."""

    rpc: list[str]
    storage: str
    form: Form
    seed: str
    clock: Clock


@dataclass(frozen=True)
class FarSide:
    """
    owner, buyer:    fresh accounts with start() mote each
    number:          of the storage service
    may_be_released: the storage may be of the released form, which serves owners alone
    """

    rpc: RpcClient
    storage: StorageClient
    may_be_released: bool
    bank: Account
    owner: Account
    buyer: Account
    number: int
    registration_fee: int
    hosting_fee: int

    def start(self) -> int:
        return self.registration_fee + self.hosting_fee + POCKET

    def seller(self) -> Seller:
        return Seller(self.rpc, self.storage, self.owner)

    def shop(self) -> Buyer:
        return Buyer(self.rpc, self.storage, self.buyer)

    async def balance(self, account: Account) -> int:
        return await self.rpc.balance(account.address)


@asynccontextmanager
async def far_side(form: str, protocol: int = PROTOCOLS[0]) -> AsyncIterator[FarSide]:
    """form: one of FORMS; protocol: one of PROTOCOLS"""
    async with AsyncExitStack() as stack:
        where = await stack.enter_async_context(_given() if REAL else _made(form, protocol))
        rpc = await stack.enter_async_context(RpcClient(where.rpc, clock=where.clock))
        storage = await stack.enter_async_context(StorageClient(where.storage, form=where.form))
        bank = Account.from_seed(where.seed)
        number = await _number(storage, bank)
        fees = await _fees(rpc, number, where.storage, bank)
        side = FarSide(
            rpc=rpc,
            storage=storage,
            may_be_released=where.form is Form.R and form != "strict",
            bank=bank,
            owner=Account.generate(),
            buyer=Account.generate(),
            number=number,
            registration_fee=fees[0],
            hosting_fee=fees[1],
        )
        for account in (side.owner, side.buyer):
            coins = payload.transfer(account.address, mote=side.start())
            await rpc.submit("transfer", coins, bank)
        yield side


@asynccontextmanager
async def _given() -> AsyncIterator[Places]:
    url, form = os.environ["AMO_STORAGE"].split()
    nodes = os.environ["AMO_RPC"].split(",")
    yield Places(nodes, url, Form(form), os.environ["AMO_SEED"], SystemClock())


@asynccontextmanager
async def _made(form: str, protocol: int) -> AsyncIterator[Places]:
    validator = SigningKey(hashlib.sha256(b"validator").digest())
    clock = SystemClock()
    made = dev_genesis(
        {Account.from_seed("bank").address: 10**24},
        validator=bytes(validator.verify_key),
        holder=Account.from_seed("holder").address,
        time_ns=clock.now_ns(),
        chain_id="amo-contract",
    )
    app = made.document["app_state"]
    config = {**app["config"], "upgrade_protocol_version": protocol}
    node = DevNode(
        genesis=read_genesis({**made.document, "app_state": {**app, "config": config}}),
        validator=validator,
        directory=None,
        clock=clock,
        block_interval_s=0.01,
    )
    await node.start()
    try:

        async def granted(recipient: str, parcel: str) -> bool:
            return node.state.has_usage(recipient, parcel)

        kind: Literal["R", "N", "strict"] = "N" if form == "N" else "R" if form == "R" else "strict"
        async with served(storage_app(storage_id=5, usage=granted, form=kind)) as url:
            spoken = Form.N if form == "N" else Form.R
            looks_often = RecordedClock(0, speed=20.0)
            yield Places([node.url], url, spoken, "bank", looks_often)
    finally:
        await node.stop()


async def _number(storage: StorageClient, bank: Account) -> int:
    """The storage's number is in the id of whatever it stores."""
    parcel = await storage.upload(b"which storage is this?", bank, {})
    await storage.remove(parcel, bank)
    return payload.storage_of(parcel)


async def _fees(rpc: RpcClient, number: int, url: str, bank: Account) -> tuple[int, int]:
    """Registration and hosting fee in mote; a storage the chain does not know is set up."""
    if await rpc.storage(number) is None:
        asked = payload.setup(number, url, registration_fee=10, hosting_fee=20)
        await rpc.submit("setup", asked, bank)
    standing = Reply("/storage", await rpc.storage(number))
    fees = [standing.at(name).mote() for name in ("registration_fee", "hosting_fee")]
    return fees[0], fees[1]

"""An owner's desk is killed while it grants and pays: nothing is lost, paid or granted twice.

AMO_KILLS says how often, 10 times where it is not set.
"""

import asyncio
import os
import random
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final

from agent.amo.devnode.net import DevNet
from agent.amo.market import Buyer, Seller
from agent.amo.p256 import Account
from agent.amo.rpc import RpcClient
from agent.amo.storage import StorageClient
from agent.archive import archive
from agent.clock import SystemClock
from agent.compose import outgoing, uploader
from agent.events import ConsentGranted, DtcSet, TxEnded, TxSigned
from agent.eventstore.state import EVENTS
from agent.eventstore.verify import verify
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.keys import create_keys
from tests.dealing import MOTE
from tests.opened import opened

ROOT: Final = Path(__file__).parents[1]
KILLS: Final = int(os.environ.get("AMO_KILLS", "10"))
COINS, PRICE, FEE, MOMENTS_S = 10_000, 100, 1, 0.4
Ask = Callable[[int], Awaitable[object]]
"""Has the buyer of that number ask for the parcel."""
TAKER: Final = Account.from_seed("taker")


async def loaded(*arguments: str) -> Process:
    """Waits for its turn, with all its modules in memory."""
    command = ("-m", "tests.dealing", *arguments)
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=DEVNULL
    )


async def begun(child: Process) -> None:
    """At the desk: what was under way before is settled."""
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"begin\n")
    assert await child.stdout.readline() == b"at the desk\n"


async def registered(state: Path, rpc: RpcClient, storage: StorageClient) -> str:
    with archive(state, SystemClock(), wait=True) as parts:
        out = outgoing(parts, rpc)
        parts.journal.write(DtcSet("P0301", "7E8"))
        seller = Seller(rpc, storage, parts.keys.account, out.submit)
        [parcel] = await uploader(parts, seller).once([Level.LV3])
    return parcel.parcel_id


async def killed(
    state: Path,
    net: DevNet,
    deal: list[str],
    buyers: list[str],
    ask: Callable[[int], Awaitable[object]],
) -> None:
    """Once for each buyer, at any moment of what is made for him; the last run ends by itself."""
    moments = random.Random(23)
    place = [str(state), net.rpc_url, net.storage_url, *deal]
    child = await loaded(*place, "1", *buyers)
    for count in range(1, len(buyers) + 1):
        following = await loaded(*place, str(min(count + 1, len(buyers))), *buyers)
        await ask(count - 1)
        await begun(child)
        await asyncio.sleep(moments.uniform(0.0, MOMENTS_S))
        if child.returncode is None:
            child.kill()
        assert await child.wait() in (-signal.SIGKILL, 0)
        child = following
    await begun(child)
    assert await child.wait() == 0


async def test_a_desk_killed_at_any_moment_pays_and_grants_once(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    owner = address(create_keys(state / "keys").account.public)
    accounts = [Account.from_seed(f"buyer {number}") for number in range(KILLS)]
    buyers = [account.address for account in accounts]
    coins = dict.fromkeys([owner, *buyers], COINS)
    net = DevNet(coins, clock=SystemClock(), block_interval_s=0.02)
    await net.start()
    try:
        async with (
            RpcClient([net.rpc_url], clock=SystemClock()) as rpc,
            StorageClient(net.storage_url) as storage,
        ):
            parcel = await registered(state, rpc, storage)
            shops = [Buyer(rpc, storage, account) for account in accounts]

            async def ask(number: int) -> object:
                return await shops[number].request(parcel, PRICE)

            await killed(state, net, [parcel, TAKER.address], buyers, ask)

            assert await rpc.balance(TAKER.address) == KILLS * MOTE
            left = COINS + KILLS * (PRICE - MOTE) - 2 * KILLS * FEE
            assert await rpc.balance(owner) == left
            assert all([await rpc.usage(buyer, parcel) for buyer in buyers])
    finally:
        await net.stop()
    check(state, buyers)


def check(state: Path, buyers: list[str]) -> None:
    """The log tells of all of it, and each once."""
    with archive(state, SystemClock(), wait=True) as parts:
        assert parts.books().pending() == []
        events = opened(parts)
    grants = [event.buyer for event in events if isinstance(event, ConsentGranted)]
    assert sorted(grants) == sorted(buyers)
    signed = {event.hash for event in events if isinstance(event, TxSigned)}
    assert signed == {event.hash for event in events if isinstance(event, TxEnded)}
    assert verify(state / EVENTS).verdict == "intact"

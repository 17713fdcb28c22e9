"""Headers verified by the light client, beside bare Ed25519 verification by cryptography.

    python -m bench.light [--headers N]

One by one from the first block, asked for over HTTP of a node in another process, as a car does
that was away; the client is this process alone. Then one header at 100 validators, from the bytes
of its JSON to the verdict. The peer verifies the same signatures over bytes that are made already,
and does nothing else. A ratio is ours to theirs, in processor time.
Prints figures, asserts nothing.
"""

import argparse
import asyncio
import json
import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from statistics import median

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from agent.amo.blocksource import BlockSource
from agent.amo.light import LightClient
from agent.amo.tendermint.commit import commit_from_json
from agent.amo.tendermint.header import header_from_json
from agent.amo.tendermint.verify import SignedHeader, check_final, check_members, check_named
from agent.amo.trust import TrustRoot
from agent.clock import SECOND, ManualClock
from bench.machine import describe
from tests.amo.madechain import CHAIN_ID, START_NS, MadeChain, Teller, alike, keys, signed

HEADERS = 10_000
ROUNDS = 9
HUNDRED = 100
Spent = tuple[float, float]
"""Seconds: of the clock, and of this process on a processor."""


def made(validators: int, headers: int) -> MadeChain:
    powers = alike(keys(validators))
    return MadeChain(lambda _: powers).grow(headers)


def serve(chain: MadeChain, told: Connection) -> None:
    """A node on loopback, until it is ended."""

    async def listen() -> None:
        runner = web.AppRunner(Teller(chain).app())
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        told.send(runner.addresses[0][1])
        await asyncio.Event().wait()

    asyncio.run(listen())


@contextmanager
def node(chain: MadeChain) -> Iterator[str]:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=serve, args=(chain, theirs))
    process.start()
    try:
        yield f"http://127.0.0.1:{ours.recv()}"
    finally:
        process.terminate()
        process.join()


async def catch_up(chain: MadeChain, url: str) -> Spent:
    clock = ManualClock(START_NS + chain.height * SECOND)
    root = TrustRoot(1, chain.headers[0].hash())
    async with BlockSource(url) as source:
        client = LightClient([source], root, clock=clock, period_s=1e9, doubted=print)
        wall, processor = time.perf_counter(), time.process_time()
        await client.verify(chain.height, sequential=True)
        return time.perf_counter() - wall, time.process_time() - processor


def bare(chain: MadeChain, heights: range) -> float:
    """Processor seconds of cryptography for the signatures of these heights."""
    work = [
        (each.public, vote.signature, commit.sign_bytes(CHAIN_ID, vote.flag, vote.time_ns))
        for height in heights
        for commit in [chain.commits[height - 1]]
        for each, vote in zip(chain.members(height), commit.votes, strict=True)
    ]
    begun = time.process_time()
    for public, signature, message in work:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
    return time.process_time() - begun


def one(chain: MadeChain, text: bytes) -> Spent:
    """From the bytes of an answer to the verdict on its header, the last of the chain."""
    members = chain.members(chain.height)
    wall, processor = time.perf_counter(), time.process_time()
    told = json.loads(text)["result"]["signed_header"]
    block = SignedHeader(header_from_json(told["header"]), commit_from_json(told["commit"]))
    check_named(block, CHAIN_ID, chain.height)
    check_members(members, block.header.validators_hash, chain.height)
    check_final(block, members)
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--headers", type=int, default=HEADERS)
    headers = parser.parse_args().headers
    print(describe())
    for validators in (1, 4):
        chain = made(validators, headers)
        with node(chain) as url:
            wall, processor = asyncio.run(catch_up(chain, url))
        peer = bare(chain, range(1, headers + 1))
        print(
            f"{headers} headers, {validators} validators: {wall:.1f} s, of them {processor:.1f} s "
            f"on a processor, {processor / peer:.2f} of bare verification (bar: 60 s for 10,000)"
        )
    chain = made(HUNDRED, 1)
    text = json.dumps(signed(chain.headers[0], chain.commits[0])).encode()
    times = [one(chain, text) for _ in range(ROUNDS)]
    ratio = median(one(chain, text)[1] / bare(chain, range(1, 2)) for _ in range(ROUNDS))
    print(
        f"one header, {HUNDRED} validators: {1000 * min(times)[0]:.1f} ms best, "
        f"{1000 * max(times)[0]:.1f} ms worst of {ROUNDS}, {ratio:.2f} of bare verification "
        "(bar: 30 ms)"
    )


if __name__ == "__main__":
    main()

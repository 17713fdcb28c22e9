"""A recorded run of a reference node at protocol 6, replayed: codes, logs, events, state."""

import asyncio
import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from nacl.signing import SigningKey

from agent.amo.devnode.genesis import read_genesis
from agent.amo.devnode.ledger import Ledger
from agent.amo.devnode.node import DevNode
from agent.amo.devnode.outcome import Outcome
from agent.amo.devnode.query import ask
from agent.amo.p256 import Account
from agent.amo.transaction import signing_bytes
from agent.clock import SECOND, ManualClock

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "amo_vectors.json"


@cache
def vectors() -> Mapping[str, Any]:
    if not VECTORS.exists():
        pytest.skip(f"the recorded vectors are not here: {VECTORS.name}")
    return dict(json.loads(VECTORS.read_text(encoding="utf-8")))


class Replay:
    """Every step of the recording against a ledger of ours; what differs is written down."""

    def __init__(self) -> None:
        self.run = vectors()["conformance_v6"]
        self.ledger = Ledger(read_genesis(self.run["genesis"]))
        validator = self.run["genesis"]["validators"][0]["address"]
        self.proposer = bytes.fromhex(validator)
        self.differs: dict[str, list[str]] = {
            name: [] for name in ("check", "deliver", "balance", "query", "app hash")
        }
        self.compared = dict.fromkeys(self.differs, 0)

    def compare(self, what: str, where: object, ours: object, theirs: object) -> None:
        self.compared[what] += 1
        if ours != theirs:
            self.differs[what].append(f"{where}: {ours!r}, recorded {theirs!r}")

    def block(self, *txs: bytes) -> tuple[Outcome, ...]:
        done = self.ledger.execute(txs, self.proposer)
        height = self.ledger.height
        recorded = self.run["app_hash_after_height"][str(height)]
        self.compare("app hash", height, done.app_hash.hex().upper(), recorded)
        return done.outcomes

    def step(self, step: Mapping[str, Any]) -> None:
        height = int(step.get("height", self.ledger.height + 1))
        while self.ledger.height < height - 1:
            self.block()
        raw = self.signed(step)
        checked = self.ledger.check(raw)
        self.compare("check", step["n"], said(checked), said(step["check"]))
        if "deliver" in step:
            (delivered,) = self.block(raw)
            self.compare("deliver", step["n"], said(delivered), said(step["deliver"]))
            events = [[e.type, [list(pair) for pair in e.attributes]] for e in delivered.events]
            self.compare("deliver", step["n"], events, step["deliver"]["events"])
            self.balances(step)
        for query in step.get("queries", ()):
            self.query(query, step["n"])

    def signed(self, step: Mapping[str, Any]) -> bytes:
        account = Account.from_seed(step["sender"])
        bound = str(self.ledger.height) if step["last_height"] == "latest" else step["last_height"]
        payload = json.dumps(step["payload"], separators=(",", ":"), ensure_ascii=False)
        message = signing_bytes(step["type"], account.address, int(step["fee"]), bound, payload)
        signature = {"pubkey": account.public.hex(), "sig_bytes": account.sign(message).hex()}
        return message[:-1] + b',"signature":' + json.dumps(signature).encode() + b"}"

    def balances(self, step: Mapping[str, Any]) -> None:
        for name, amount in step["balances_after"].items():
            address = bytes.fromhex(self.run["accounts"][name])
            ours = self.ledger.state.balance(address)
            self.compare("balance", (step["n"], name), str(ours), amount)

    def query(self, query: Mapping[str, Any], where: object) -> None:
        answer = ask(self.ledger, query["path"], query["data_json"].encode())
        ours = answer.to_json()
        for member in ("code", "log", "key", "value"):
            if member in query:
                self.compare("query", (where, query["path"]), ours[member], query[member])


def said(outcome: Outcome | Mapping[str, Any]) -> tuple[int, str]:
    """Code and text; of texts that come from a JSON parser only that there is one."""
    if isinstance(outcome, Outcome):
        code, log = outcome.code, outcome.log
    else:
        code, log = outcome["code"], outcome["log"]
    return (code, "json" if log.startswith("json: ") else log)


@cache
def replay() -> Replay:
    replay = Replay()
    replay.block()
    replay.block()
    for query in replay.run["initial_queries"]:
        replay.query(query, "start")
    for step in replay.run["steps"]:
        replay.step(step)
    return replay


@pytest.mark.parametrize(
    ("what", "at_least"),
    [("check", 121), ("deliver", 190), ("balance", 500), ("query", 100), ("app hash", 192)],
)
def test_recorded_run_is_reproduced(what: str, at_least: int) -> None:
    done = replay()
    assert not done.differs[what], "\n".join(done.differs[what][:20])
    assert done.compared[what] >= at_least


async def quiet(node: DevNode) -> None:
    """Until the chain has nothing more to say."""
    for _ in range(100):
        if not node.chain.needs_proof:
            return
        await asyncio.sleep(0)
    pytest.fail(f"the chain does not come to rest at {node.chain.height}")


async def test_node_makes_the_recorded_blocks_at_the_recorded_heights() -> None:
    """The rule of the proof block, and the app hash of each block in the header of the next."""
    recorded = Replay()
    run = recorded.run
    node = DevNode(
        genesis=read_genesis(run["genesis"]),
        validator=SigningKey(sha256(b"spec-validator-0").digest()),
        directory=None,
        clock=ManualClock(1_700_000_000 * SECOND),
    )
    await node.start()
    try:
        recorded.ledger = node.chain.ledger
        for step in run["steps"]:
            await quiet(node)
            _, _, height = await node.submit_and_wait(recorded.signed(step))
            assert height == int(step.get("height", 0)), step["n"]
        await quiet(node)
        assert node.chain.height == int(run["last_height"])
        for height, app_hash in run["app_hash_after_height"].items():
            header = node.chain.archive.block(int(height) + 1).header
            assert header.app_hash.hex().upper() == app_hash, height
    finally:
        await node.stop()

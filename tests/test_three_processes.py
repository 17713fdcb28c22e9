"""Owner, buyer, and node with storage service, as processes that share nothing but loopback."""

import asyncio
import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from pathlib import Path

import pytest

from agent.amo import payload
from agent.amo.p256 import Account
from agent.amo.rpc import RpcClient
from agent.clock import SystemClock
from agent.control import asked
from agent.wallet import keyfile

AGENT = Path(sys.executable).with_name("amo-agent")
BOB = Account.from_seed("bob")
GIVEN = 1_000 * payload.AMO
PRICE = 7 * payload.AMO + 3
WAIT_S = 20


@contextmanager
def process(*command: str | Path) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    running = subprocess.Popen([AGENT, *command], stdout=pipe, stderr=pipe, text=True)
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def agent(*command: str | Path, code: int = 0) -> str:
    done = subprocess.run(
        [AGENT, *command], capture_output=True, text=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout


def buyer(*command: str, code: int = 0) -> str:
    line = [sys.executable, "-m", "tests.buying", *command]
    here = Path(__file__).parents[1]
    done = subprocess.run(
        line, capture_output=True, text=True, timeout=WAIT_S, cwd=here, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stdout + done.stderr


@pytest.fixture
def places() -> Iterator[tuple[str, str, int]]:
    """Node, storage service, and its number."""
    with process("devnode", "--port", "0", "--storage-port", "0") as node:
        assert node.stdout is not None
        told = re.match(r"serving: rpc (\S+) storage (\S+) id (\d+)", node.stdout.readline())
        assert told is not None
        yield told[1], told[2], int(told[3])


async def test_a_sale_and_its_end_between_processes_that_trust_nobody(
    tmp_path: Path, places: tuple[str, str, int]
) -> None:
    node, storage, number = places
    state, config = tmp_path / "state", tmp_path / "agent.toml"
    config.write_text(
        f'state = "{state}"\n[[bus]]\nuri = "virtual:three"\n[upload]\n'
        f'rpc = ["{node}"]\nstorage = "{storage}"\n'
    )
    agent("wallet", "create", "--state", state, "--phrase-out", tmp_path / "words", "--unprotected")
    owner = json.loads(agent("wallet", "show", "--state", state, "--json"))["address"]
    async with RpcClient([node], clock=SystemClock()) as rpc:
        await rpc.submit(
            "transfer", payload.transfer(owner, mote=GIVEN), Account.from_seed("alice")
        )
        fees = await rpc.storage(number)
        assert fees is not None
        pledged = await rpc.balance(BOB.address) - PRICE
        here = ("--config", config, "--json")
        with process("run", "--config", config) as service:
            await _ready(state)
            [parcel] = json.loads(agent("upload", "--once", *here))
            listed = json.loads(agent("parcel", "list", *here))
            assert [one["parcel_id"] for one in listed] == [parcel]
            checked = json.loads(agent("parcel", "verify", parcel, *here))
            assert checked["intact"]
            assert "agent-started/1" in checked["metrics"]
            buyer("request", node, storage, parcel, str(PRICE))
            [asking] = json.loads(agent("wallet", "requests", *here))
            assert (asking["buyer"], asking["payment_mote"]) == (BOB.address, str(PRICE))
            assert asking["verdict"] == "ask"
            assert "NotThereError" in buyer("fetch", node, storage, parcel, code=1)
            agent("wallet", "grant", parcel, BOB.address, "--yes", *here)
            assert "agent-started/1" in json.loads(buyer("fetch", node, storage, parcel))
            bought = ("--key", _bobs(tmp_path), "--rpc", node, "--storage", storage)
            assert agent("parcel", "open", parcel, *bought) == agent(
                "parcel", "open", parcel, "--config", config
            )
            told = json.loads(agent("wallet", "balance", *here))
            due = int(str(fees["registration_fee"])) + int(str(fees["hosting_fee"]))
            assert told == {"mote": str(GIVEN + PRICE - due), "believed": "stated by one endpoint"}
            assert await rpc.balance(BOB.address) == pledged
            agent("wallet", "revoke", parcel, BOB.address, *here)
            assert "NotThereError" in buyer("fetch", node, storage, parcel, code=1)
            agent("wallet", "grant", parcel, BOB.address, "--yes", *here, code=2)
            history = [one["what"] for one in json.loads(agent("wallet", "history", *here))]
            assert history.index("consent revoked") < history.index("consent granted")
            service.send_signal(signal.SIGTERM)
            assert service.wait(WAIT_S) == 0
    agent("log", "verify", state)
    agent("parcel", "verify", "00000001" + "AB" * 32, *here, code=2)


async def test_without_a_running_agent_a_command_does_it_alone(
    tmp_path: Path, places: tuple[str, str, int]
) -> None:
    node, storage, number = places
    state, config = tmp_path / "state", tmp_path / "agent.toml"
    config.write_text(
        f'state = "{state}"\n[[bus]]\nuri = "virtual:alone"\n[upload]\n'
        f'rpc = ["{node}"]\nstorage = "{storage}"\n[wallet]\nfee_mote = 5\n'
    )
    here = ("--config", config)
    agent("wallet", "balance", *here, code=2)  # there is no log
    agent("wallet", "create", "--state", state, "--phrase-out", tmp_path / "words", "--unprotected")
    owner = json.loads(agent("wallet", "show", "--state", state, "--json"))["address"]
    with process("run", "--config", config) as service:
        await _ready(state)
        service.send_signal(signal.SIGTERM)
        assert service.wait(WAIT_S) == 0
    carol = Account.from_seed("carol").address
    async with RpcClient([node], clock=SystemClock()) as rpc:
        gift = payload.transfer(owner, mote=GIVEN)
        await rpc.submit("transfer", gift, Account.from_seed("alice"))
        before = await rpc.balance(carol)
        agent("wallet", "transfer", carol, "1.5", *here, code=2)  # nobody is there to ask
        agent("wallet", "transfer", carol, "1.5", "--yes", *here)
        assert await rpc.balance(carol) == before + 3 * payload.AMO // 2
        agent("wallet", "transfer", carol, "1e3", "--yes", *here, code=2)
        agent("wallet", "transfer", "CAROL", "1", "--yes", *here, code=2)
        agent("wallet", "transfer", carol, "1000", "--yes", *here, code=1)
        assert len(json.loads(agent("upload", "--once", *here, "--json"))) == 1
        fees = await rpc.storage(number)
        assert fees is not None
        left = GIVEN - 3 * payload.AMO // 2 - 2 * 5 - int(str(fees["registration_fee"]))
        assert json.loads(agent("wallet", "balance", *here, "--json"))["mote"] == str(left)
    rules = tmp_path / "rules.toml"
    rules.write_text('version = 1\n[[rule]]\nname = "all"\nverdict = "grant"\nlevels = [1]\n')
    assert "Lv1" in agent("wallet", "policy", "check", rules, code=1)
    agent("wallet", "policy", "set", rules, *here, code=2)
    rules.write_text('version = 1\n[[rule]]\nname = "all"\nverdict = "grant"\nlevels = [3]\n')
    agent("wallet", "policy", "set", rules, *here)
    assert agent("wallet", "policy", "show", *here) == rules.read_text()
    told = agent("wallet", "history", *here)
    assert "transfer done" in told
    agent("log", "verify", state)


def _bobs(folder: Path) -> str:
    """URI of a file with bob's key."""
    path = folder / "bob.key"
    keyfile.write(path, keyfile.encode("account", sha256(b"bob").digest(), None))
    return f"file:{path}"


async def _ready(state: Path) -> None:
    """Until the agent takes commands."""
    async with asyncio.timeout(WAIT_S):
        while True:
            with suppress(ConnectionRefusedError):
                await asked(state, "show")
                return
            await asyncio.sleep(0.05)

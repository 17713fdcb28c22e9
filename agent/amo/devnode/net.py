"""A whole AMO far side on loopback: a node, a storage service, and an operator who runs both."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from aiohttp import web
from nacl.signing import SigningKey

from agent.amo import transaction
from agent.amo.devnode.genesis import Genesis, dev_genesis, load_genesis
from agent.amo.devnode.keys import load_validator_key, operator_in, validator_key_in
from agent.amo.devnode.node import DevNode
from agent.amo.devnode.rpc_server import listen
from agent.amo.devnode.storage import storage_app
from agent.clock import Clock
from agent.errors import StoreError, UsageError

HOST: Final = "127.0.0.1"
CHAIN_ID: Final = "amo-devnet"
STORAGE_ID: Final = 1


@dataclass(frozen=True, slots=True)
class Foundation:
    """A chain somebody else defined: its genesis document and the key of its validator."""

    genesis: Genesis
    validator: SigningKey

    @classmethod
    def load(cls, genesis: Path, validator_key: Path) -> Self:
        """From Tendermint's genesis.json and priv_validator_key.json. Raises UsageError."""
        return cls(load_genesis(genesis), load_validator_key(validator_key))


class DevNet:
    """
    start: who has how much at the beginning, address in hex -> mote; or a Foundation, and then
        nothing is done on the chain that nobody asked for: the storage is not set up either
    directory: where chain, keys and parcels are kept; None: in memory
    port, storage_port: 0 for any free one

    Raises UsageError where a port is in use or the directory holds another chain.
    """

    def __init__(
        self,
        start: Mapping[str, int] | Foundation,
        *,
        clock: Clock,
        directory: Path | None = None,
        port: int = 0,
        storage_port: int = 0,
        block_interval_s: float = 0.2,
        empty_blocks: bool = False,
    ) -> None:
        self._ports = port, storage_port
        self._directory = directory
        if directory is not None:
            _make_directory(directory)
        self._operator = operator_in(directory)
        self._own = not isinstance(start, Foundation)
        chain = start if isinstance(start, Foundation) else self._foundation(start, clock)
        self.node: Final = DevNode(
            genesis=chain.genesis,
            validator=chain.validator,
            directory=directory,
            clock=clock,
            block_interval_s=block_interval_s,
            empty_blocks=empty_blocks,
        )
        self._storage: web.AppRunner | None = None
        self.storage_id: Final = STORAGE_ID
        self.storage_url = ""

    @property
    def rpc_url(self) -> str:
        return self.node.url

    async def start(self) -> None:
        """Returns when both serve and the storage is known to the chain."""
        port, storage_port = self._ports
        try:
            await self.node.start(HOST, port)
            await self._start_storage(storage_port)
            if self._own:
                await self._set_up()
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        if self._storage is not None:
            await self._storage.cleanup()
            self._storage = None
        await self.node.stop()

    async def _start_storage(self, port: int) -> None:
        directory = self._directory / "parcels" if self._directory else None
        app = storage_app(
            storage_id=STORAGE_ID,
            usage=self._has_usage,
            directory=directory,
            clock=self.node.clock,
        )
        self._storage = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._storage.setup()
        self.storage_url = await listen(self._storage, HOST, port)

    async def _has_usage(self, recipient: str, parcel_id: str) -> bool:
        return self.node.state.has_usage(recipient, parcel_id)

    async def _set_up(self) -> None:
        """Tell the chain where the storage is, unless it knows."""
        present = self.node.state.storage(STORAGE_ID)
        if present is not None and present.url == self.storage_url:
            return
        payload = {
            "storage": STORAGE_ID,
            "url": self.storage_url,
            "registration_fee": "0",
            "hosting_fee": "0",
        }
        height = self.node.chain.height
        signed = transaction.build(
            "setup", payload, signer=self._operator, fee=0, last_height=height
        )
        _, delivered, _ = await self.node.submit_and_wait(signed.raw)
        if self.node.state.storage(STORAGE_ID) is None or delivered.code != 0:
            raise StoreError(f"storage {STORAGE_ID} cannot be set up: {delivered.log}")

    def _foundation(self, balances: Mapping[str, int], clock: Clock) -> Foundation:
        """What the directory holds, or a new chain."""
        validator = validator_key_in(self._directory)
        path = self._directory / "genesis.json" if self._directory else None
        made = dev_genesis(
            balances,
            validator=bytes(validator.verify_key),
            holder=self._operator.address,
            time_ns=clock.now_ns(),
            chain_id=CHAIN_ID,
        )
        if path is None:
            return Foundation(made, validator)
        if not path.exists():
            _write(path, json.dumps(made.document, indent=2))
        genesis = load_genesis(path)
        if list(genesis.balances) != list(made.balances):
            raise UsageError(f"{path} began with other balances than those asked for")
        return Foundation(genesis, validator)


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"directory {directory}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(text, encoding="utf-8")
        new.replace(path)
    except OSError as error:
        raise UsageError(f"genesis file {path}: {error.strerror}") from error

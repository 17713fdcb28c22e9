"""A whole AMO far side on loopback: a node, a storage service, and an operator who runs both."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from aiohttp import web
from aiohttp.typedefs import Middleware
from nacl.signing import SigningKey

from agent.amo import transaction
from agent.amo.devnode.faults import ABSENT_VALIDATOR, chosen
from agent.amo.devnode.genesis import Genesis, dev_genesis, load_genesis
from agent.amo.devnode.keys import load_validator_key, operator_in, validator_key_in
from agent.amo.devnode.node import DevNode
from agent.amo.devnode.rpc_server import bare_app, listen
from agent.amo.devnode.storage import StorageForm, storage_app
from agent.clock import Clock
from agent.errors import StoreError, UsageError

HOST: Final = "127.0.0.1"
CHAIN_ID: Final = "amo-devnet"
STORAGE_ID: Final = 1
MAX_VALIDATORS: Final = 4


@dataclass(frozen=True, slots=True)
class Foundation:
    """A chain somebody else defined: its genesis document and the key of its validator.

    others: keys of further validators that sign
    """

    genesis: Genesis
    validator: SigningKey
    others: tuple[SigningKey, ...] = ()

    @classmethod
    def load(cls, genesis: Path, validator_key: Path) -> Self:
        """From Tendermint's genesis.json and priv_validator_key.json. Raises UsageError."""
        return cls(load_genesis(genesis), load_validator_key(validator_key))


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """
    storage_form: as in `storage_app`
    validators:   how many sign the blocks and propose them in turn, 1 to MAX_VALIDATORS
    faults:       names out of `faults.FAULTS`, the outermost first
    """

    storage_form: StorageForm = "strict"
    validators: int = 1
    faults: Sequence[str] = ()


PLAIN: Final = Traits()


class DevNet:
    """
    start: who has how much at the beginning, address in hex -> mote; or a Foundation, and then
        nothing is done on the chain that nobody asked for: the storage is not set up either
    directory: where chain, keys and parcels are kept; None: in memory
    port, storage_port: 0 for any free one; both may be the same

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
        traits: Traits = PLAIN,
    ) -> None:
        self._faults = chosen(traits.faults)
        self._ports = port, storage_port
        self._form = traits.storage_form
        self._directory = directory
        if directory is not None:
            _make_directory(directory)
        self._operator = operator_in(directory)
        self._own = not isinstance(start, Foundation)
        chain = (
            start
            if isinstance(start, Foundation)
            else self._foundation(start, clock, traits.validators)
        )
        others = chain.others
        if ABSENT_VALIDATOR in traits.faults:
            if len(others) + 1 < MAX_VALIDATORS:
                raise UsageError(
                    f"{ABSENT_VALIDATOR} with {len(others) + 1} validators: more than two thirds "
                    f"make a block final, so there have to be {MAX_VALIDATORS}"
                )
            others = others[:-1]
        self.node: Final = DevNode(
            genesis=chain.genesis,
            validator=chain.validator,
            directory=directory,
            clock=clock,
            block_interval_s=block_interval_s,
            empty_blocks=empty_blocks,
            others=others,
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
            if port and port == storage_port:
                await self.node.start(HOST, port, self._app(self._edge("rpc", "storage")))
                self.storage_url = self.node.url
            else:
                await self.node.start(HOST, port, bare_app(self._edge("rpc")))
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
        app = self._app(self._edge("storage"))
        self._storage = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._storage.setup()
        self.storage_url = await listen(self._storage, HOST, port)

    def _app(self, edge: Sequence[Middleware]) -> web.Application:
        """The storage service, behind its faults."""
        app = storage_app(
            storage_id=STORAGE_ID,
            usage=self._has_usage,
            directory=self._directory / "parcels" if self._directory else None,
            form=self._form,
            clock=self.node.clock,
        )
        app.middlewares[:0] = edge
        return app

    def _edge(self, *sides: str) -> list[Middleware]:
        """What the faults put in front of these sides, once each."""
        made: list[Middleware] = []
        for fault in self._faults:
            make = next(filter(None, (getattr(fault, side) for side in sides)), None)
            made += [make(self.node.chain, self.node.clock)] if make else []
        return made

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

    def _foundation(self, balances: Mapping[str, int], clock: Clock, validators: int) -> Foundation:
        """What the directory holds, or a new chain."""
        if not 1 <= validators <= MAX_VALIDATORS:
            raise UsageError(f"{validators} validators; there can be 1 to {MAX_VALIDATORS}")
        numbers = range(1, validators + 1)
        first, *others = [validator_key_in(self._directory, number) for number in numbers]
        holders = [operator_in(self._directory, number).address for number in numbers[1:]]
        publics = [bytes(key.verify_key) for key in others]
        made = dev_genesis(
            balances,
            validator=bytes(first.verify_key),
            holder=self._operator.address,
            time_ns=clock.now_ns(),
            chain_id=CHAIN_ID,
            others=list(zip(publics, holders, strict=True)),
        )
        genesis = made if self._directory is None else _kept(self._directory, made)
        return Foundation(genesis, first, tuple(others))


def _kept(directory: Path, made: Genesis) -> Genesis:
    """The genesis document in the directory, which at first is the one made now."""
    path = directory / "genesis.json"
    if not path.exists():
        _write(path, json.dumps(made.document, indent=2))
    genesis = load_genesis(path)
    if list(genesis.balances) != list(made.balances):
        raise UsageError(f"{path} began with other balances than those asked for")
    if list(genesis.stakes) != list(made.stakes):
        raise UsageError(f"{path} began with {len(genesis.stakes)} validators of its own")
    return genesis


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

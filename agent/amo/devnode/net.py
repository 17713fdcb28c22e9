"""A whole AMO far side on loopback: a node, a storage service, and an operator who runs both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware
from nacl.signing import SigningKey

from agent.amo import transaction
from agent.amo.devnode.faults import ABSENT_VALIDATOR, chosen
from agent.amo.devnode.foundation import MAX_VALIDATORS, Foundation, founded
from agent.amo.devnode.keys import operator_in
from agent.amo.devnode.node import DevNode
from agent.amo.devnode.rpc_server import bare_app, listen
from agent.amo.devnode.storage import StorageForm, storage_app
from agent.clock import Clock
from agent.errors import StoreError, UsageError

HOST: Final = "127.0.0.1"
STORAGE_ID: Final = 1


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
            else founded(
                start,
                directory,
                operator=self._operator.address,
                validators=traits.validators,
                time_ns=clock.now_ns(),
            )
        )
        self.node: Final = DevNode(
            genesis=chain.genesis,
            validator=chain.validator,
            directory=directory,
            clock=clock,
            block_interval_s=block_interval_s,
            empty_blocks=empty_blocks,
            others=_present(chain.others, traits.faults),
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


def _present(others: tuple[SigningKey, ...], faults: Sequence[str]) -> tuple[SigningKey, ...]:
    """The keys that do sign beside the first one."""
    if ABSENT_VALIDATOR not in faults:
        return others
    if len(others) + 1 < MAX_VALIDATORS:
        raise UsageError(
            f"{ABSENT_VALIDATOR} with {len(others) + 1} validators: more than two thirds "
            f"make a block final, so there have to be {MAX_VALIDATORS}"
        )
    return others[:-1]


def _make_directory(directory: Path) -> None:
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"directory {directory}: {error.strerror}") from error

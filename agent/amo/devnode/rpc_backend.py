"""What the RPC methods need of the node, and how a method is described."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol

from agent.amo.devnode.chain import Chain
from agent.amo.devnode.mempool import Mempool
from agent.amo.devnode.outcome import Outcome
from agent.amo.devnode.rpc_arguments import Arguments, Signature
from agent.amo.devnode.rpc_error import internal_error

Result = dict[str, object]


class Backend(Protocol):
    @property
    def chain(self) -> Chain: ...

    @property
    def mempool(self) -> Mempool: ...

    @property
    def url(self) -> str: ...

    def submit(self, raw: bytes) -> Outcome:
        """The mempool's verdict. Raises NotTakenError."""

    async def submit_and_wait(self, raw: bytes) -> tuple[Outcome, Outcome, int]:
        """Check, result, height of the block. Raises NotTakenError and RpcError."""


@dataclass(frozen=True, slots=True)
class Method:
    signature: Signature
    answer: Callable[[Backend, Arguments], Result | Awaitable[Result]]


_PER_PAGE: Final = 30
_MAX_PER_PAGE: Final = 100


def integer(given: Arguments, name: str, default: int = 0) -> int:
    value = given.get(name)
    return value if isinstance(value, int) else default


def octets(given: Arguments, name: str) -> bytes:
    value = given.get(name)
    return value if isinstance(value, bytes) else b""


def text(given: Arguments, name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def page_of(given: Arguments, total: int) -> slice:
    """The part of a list that `page` and `per_page` ask for. Raises RpcError."""
    size = integer(given, "per_page")
    size = _PER_PAGE if size < 1 else min(size, _MAX_PER_PAGE)
    pages = max(1, -(-total // size))
    page = integer(given, "page")
    if not 0 <= page <= pages:
        raise internal_error(f"page should be within [0, {pages}] range, given {page}")
    start = (max(page, 1) - 1) * size
    return slice(start, start + size)


def existing_height(backend: Backend, given: Arguments, *, ahead: int = 0) -> int:
    """The asked height, by default the latest. ahead: how far above the latest is known.

    Raises RpcError.
    """
    latest = backend.chain.height + ahead
    height = integer(given, "height", latest)
    if given.get("height") is not None and height <= 0:
        raise internal_error(f"height must be greater than 0, but got {height}")
    if height > latest:
        limit = f"the current blockchain height {latest}"
        raise internal_error(f"height {height} must be less than or equal to {limit}")
    return height

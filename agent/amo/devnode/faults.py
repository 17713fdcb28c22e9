"""Faults that a node or a storage service can have, for clients to be tried on.

Each is middleware at the edge of the HTTP server: what stands behind it is honest and knows
nothing of it. Those of several faults that are named first stand outermost.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from agent.amo.devnode import lies
from agent.amo.devnode.chain import Chain
from agent.amo.devnode.lies import Make, asked_in, body_of
from agent.clock import SECOND, Clock
from agent.errors import UsageError

LATE_S: Final = 15.0
RETRY_AFTER_S: Final = 7
ABSENT_VALIDATOR: Final = "absent-validator"
_STEP_NS: Final = SECOND // 20
_PIECE: Final = b" " * 65_536
_MAX_KEPT: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Fault:
    """words: what it does; rpc, storage: what stands in front of either, if anything."""

    words: str
    rpc: Make | None = None
    storage: Make | None = None


def chosen(names: Sequence[str]) -> list[Fault]:
    """Raises UsageError for a name that is none."""
    for name in names:
        if name not in FAULTS:
            raise UsageError(f"fault {name[:80]!r} is none of {', '.join(FAULTS)}")
    return [FAULTS[name] for name in names]


def _late(_chain: Chain, clock: Clock) -> Middleware:
    @web.middleware
    async def late(request: web.Request, handler: Handler) -> web.StreamResponse:
        until_ns = clock.mono_ns() + int(LATE_S * SECOND)
        while clock.mono_ns() < until_ns and _is_open(request):  # whoever left is not waited for
            await clock.sleep_until(clock.mono_ns() + _STEP_NS)
        return await handler(request)

    return late


def _instead(answer: Callable[[], web.Response]) -> Make:
    """Nothing is done, and this is answered."""

    def make(_chain: Chain, _clock: Clock) -> Middleware:
        @web.middleware
        async def instead(request: web.Request, handler: Handler) -> web.StreamResponse:
            del request, handler
            return answer()

        return instead

    return make


def _endless(_chain: Chain, _clock: Clock) -> Middleware:
    @web.middleware
    async def endless(request: web.Request, handler: Handler) -> web.StreamResponse:
        del handler
        response = web.StreamResponse()
        response.content_type = "application/json"
        await response.prepare(request)
        while _is_open(request):
            await response.write(_PIECE)
        return response

    return endless


def _cut(_chain: Chain, _clock: Clock) -> Middleware:
    @web.middleware
    async def cut(request: web.Request, handler: Handler) -> web.StreamResponse:
        honest = await handler(request)
        body = body_of(honest)
        response = web.StreamResponse(status=honest.status)
        response.content_type = "application/json"
        response.content_length = len(body) + 1
        await response.prepare(request)
        await response.write(body[: len(body) // 2])
        if request.transport is not None:
            request.transport.close()
        return response

    return cut


def _replayed(_chain: Chain, _clock: Clock) -> Middleware:
    """The first answer to each kind of question, byte for byte."""
    kept: dict[str, bytes] = {}

    @web.middleware
    async def replayed(request: web.Request, handler: Handler) -> web.StreamResponse:
        asked = await asked_in(request)
        service = "/".join(request.path.split("/")[:4])  # /api/v1/auth, /api/v1/parcels
        kind = asked.method if asked else f"{request.method} {service}"
        if kind in kept:
            return web.Response(body=kept[kind], content_type="application/json")
        honest = await handler(request)
        worth_it = asked is not None or service.startswith("/api/")
        fits = honest.status == web.HTTPOk.status_code and 0 < len(body_of(honest)) <= _MAX_KEPT
        if worth_it and fits:
            kept[kind] = body_of(honest)
        return honest

    return replayed


def _both(words: str, make: Make) -> Fault:
    return Fault(words, make, make)


def _server_error() -> web.Response:
    return web.Response(status=502, text="<h1>Bad Gateway</h1>", content_type="text/html")


def _rate_limit() -> web.Response:
    return web.Response(status=429, headers={"Retry-After": str(RETRY_AFTER_S)})


def _garbage() -> web.Response:
    return web.Response(body=b"\xff\x00<html>{[", content_type="application/json")


FAULTS: Final[Mapping[str, Fault]] = {
    "late": _both(f"answers after {LATE_S:.0f} seconds", _late),
    "5xx": _both("answers with status 502", _instead(_server_error)),
    "rate-limit": _both(
        f"answers with status 429 and Retry-After: {RETRY_AFTER_S}", _instead(_rate_limit)
    ),
    "garbage": _both("answers with something that is not JSON", _instead(_garbage)),
    "endless": _both("an answer never ends", _endless),
    "cut": _both("closes the connection in the middle of an answer", _cut),
    "replayed-response": _both("gives an old answer to a new question", _replayed),
    "lying-balance": Fault("every account is said to have more", rpc=lies.lying(lies.balance)),
    "forged-header": Fault(
        "headers have another app hash than was signed", rpc=lies.lying(lies.header)
    ),
    "fork": Fault(
        "from the next block on another history, signed by the same validators",
        rpc=lies.lying(lies.fork),
    ),
    "forged-proof": Fault("proofs of transactions are wrong", rpc=lies.lying(lies.proof)),
    "wrong-code": Fault(
        "a failed transaction is said to have succeeded, and the reverse",
        rpc=lies.lying(lies.code),
    ),
    "tx-dropped": Fault("takes a transaction and throws it away", rpc=lies.dropping),
    "withheld-body": Fault("a body is said not to be there", storage=lies.body(withheld=True)),
    "changed-body": Fault("a body has another first byte", storage=lies.body(withheld=False)),
    ABSENT_VALIDATOR: Fault("one of four validators never signs"),
}
"""By name. The last one is no matter of the edge: the chain is made without that key."""


def _is_open(request: web.Request) -> bool:
    return request.transport is not None and not request.transport.is_closing()

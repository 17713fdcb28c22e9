"""HTTP in front of the RPC methods: POST of JSON-RPC to `/`, and GET of `/method?argument=…`."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Middleware

from agent.amo.devnode import rpc_arguments
from agent.amo.devnode.rpc_backend import Backend
from agent.amo.devnode.rpc_calls import GET_ID, METHODS, answer_body, envelope, run
from agent.amo.devnode.rpc_error import RpcError, invalid_request
from agent.clock import SECOND, Clock
from agent.errors import UsageError

MAX_BODY_BYTES: Final = 1_000_000
_BODY_TIMEOUT_S: Final = 10.0
_STOP_TIMEOUT_S: Final = 1.0
_MAX_LINE_BYTES: Final = 1_048_576  # a GET carries a transaction in its first line
_ESCAPES: Final = str.maketrans(
    {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}
)


class RpcServer:
    """One listening socket. A broken request is answered or dropped; it never ends the server."""

    def __init__(self, backend: Backend, clock: Clock) -> None:
        self._backend = backend
        self._clock = clock
        self._runner: web.AppRunner | None = None
        self.url = ""

    async def start(self, host: str, port: int, before: web.Application | None = None) -> None:
        """Raises UsageError naming host and port where they cannot be had.

        before: what stands in front: its middleware, and the paths it has routes for
        """
        app = before if before is not None else bare_app()
        app.router.add_route("*", "/{path:.*}", self._serve)
        self._runner = web.AppRunner(
            app,
            access_log=None,
            shutdown_timeout=_STOP_TIMEOUT_S,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        await self._runner.setup()
        self.url = await listen(self._runner, host, port)

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _serve(self, request: web.Request) -> web.Response:
        name = request.path.strip("/") if request.path != "/" else ""
        if not name:
            return self._listing() if request.method == "GET" else await self._post(request)
        if name not in METHODS:
            return web.Response(status=404, text="404 page not found\n")
        return await self._get(name, request.query)

    async def _post(self, request: web.Request) -> web.Response:
        try:
            body = await _body(request)
            if not body:
                return self._listing()
            answer = await answer_body(self._backend, body)
        except web.HTTPRequestEntityTooLarge:
            large = invalid_request("error reading request body: http: request body too large")
            return self._json(envelope(None, "error", large.to_json()))
        except TimeoutError:
            slow = invalid_request("error reading request body: i/o timeout")
            return self._json(envelope(None, "error", slow.to_json()))
        except RpcError as error:
            call_id = None if error.status == 200 else GET_ID  # noqa: PLR2004
            return self._json(envelope(call_id, "error", error.to_json()), status=error.status)
        return web.Response() if answer is None else self._json(answer)

    async def _get(self, name: str, query: Mapping[str, str]) -> web.Response:
        method = METHODS[name]
        try:
            arguments = rpc_arguments.from_query(method.signature, query)
            result = await run(self._backend, method, arguments)
        except RpcError as error:
            return self._json(envelope(GET_ID, "error", error.to_json()))
        return self._json(envelope(GET_ID, "result", result))

    def _json(self, value: object, *, status: int = 200) -> web.Response:
        text = json.dumps(value, indent=2, ensure_ascii=False).translate(_ESCAPES)
        body = text.encode("utf-8", "replace")
        headers = {"X-Server-Time": str(self._clock.now_ns() // SECOND)}
        return web.Response(
            body=body, status=status, content_type="application/json", headers=headers
        )

    def _listing(self) -> web.Response:
        rows = [
            f"<a href='/{name}?{'&amp;'.join(f'{each}=_' for each in method.signature)}'>{name}</a>"
            for name, method in sorted(METHODS.items())
        ]
        return web.Response(
            text="<html><body>" + "<br>".join(rows) + "</body></html>", content_type="text/html"
        )


def bare_app(edge: Sequence[Middleware] = ()) -> web.Application:
    """Nothing but middleware, to stand before a server."""
    return web.Application(client_max_size=MAX_BODY_BYTES + 1, middlewares=edge)


async def _body(request: web.Request) -> bytes:
    """Raises HTTPRequestEntityTooLarge and TimeoutError."""
    async with asyncio.timeout(_BODY_TIMEOUT_S):
        body = await request.read()
    if len(body) > MAX_BODY_BYTES:  # the library's own limit is one more or one less
        raise web.HTTPRequestEntityTooLarge(MAX_BODY_BYTES)
    return body


async def listen(runner: web.AppRunner, host: str, port: int) -> str:
    """Open the socket and give its URL. Raises UsageError naming host and port."""
    site = web.TCPSite(runner, host, port)
    try:
        await site.start()
    except OSError as error:
        await runner.cleanup()
        raise UsageError(f"{host}:{port} cannot be listened on: {error.strerror}") from error
    taken = runner.addresses[0][1]
    return f"http://[{host}]:{taken}" if ":" in host else f"http://{host}:{taken}"

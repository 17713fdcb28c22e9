"""A real HTTP server that answers JSON-RPC with what it is told, for clients to be tried on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from copy import deepcopy
from typing import Any

from aiohttp import web

from tests.amo.recorded import recorded

Handler = Callable[[web.Request, dict[str, Any]], web.StreamResponse | dict[str, Any]]


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    """The URL of an application on a free port of 127.0.0.1."""
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        [(host, port)] = [address[:2] for address in runner.addresses]
        yield f"http://{host}:{port}"
    finally:
        await runner.cleanup()


class Node:
    """Answers by method: a list is used up one by one, its last element stays."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Handler | dict[str, Any]]] = {}
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def on(self, method: str, *answers: Handler | dict[str, Any]) -> None:
        self.answers[method] = list(answers)

    def count(self, method: str) -> int:
        return sum(1 for name, _ in self.asked if name == method)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        call = await request.json()
        self.asked.append((call["method"], call["params"]))
        waiting = self.answers[call["method"]]
        told = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        answer = told(request, call) if callable(told) else told
        if isinstance(answer, web.StreamResponse):
            return answer
        return web.json_response({**answer, "id": call["id"]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_post("/", self.handle)
        return app


def sample(name: str) -> dict[str, Any]:
    """A whole answer recorded from a real node."""
    found: dict[str, Any] = deepcopy(recorded()["rpc_samples"]["samples"][name])
    return found


def result(value: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "result": value}


@asynccontextmanager
async def deaf() -> AsyncIterator[str]:
    """The URL of a server that takes connections and never answers."""
    done = asyncio.Event()

    async def hold(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await done.wait()
        writer.close()

    server = await asyncio.start_server(hold, "127.0.0.1", 0)
    try:
        port = server.sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}"
    finally:
        done.set()
        server.close()

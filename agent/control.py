"""The owner's commands reach the agent that runs by a socket of the kernel, with nothing on disk.

The name of the socket follows from the state directory; it is in the abstract namespace of unix(7).
Both ends look who the other is (SO_PEERCRED): the agent listens to root and to its own user, and a
command believes root and whoever owns the log. One line of JSON is asked, one is answered.
"""

import asyncio
import hashlib
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from agent import errors
from agent.books import Happened
from agent.desk import Balance, Shown
from agent.errors import (
    AgentError,
    MalformedInputError,
    RefusedError,
    RemoteError,
    UsageError,
)
from agent.eventstore.state import EVENTS
from agent.outgoing import Sent
from agent.requests import Asking

ASKED_BYTES: Final = 1 << 17
"""A policy of 64 KiB, escaped."""
ANSWER_BYTES: Final = 16 << 20
HEAR_S: Final = 5.0
WAIT_S: Final = 120.0
"""A transaction is followed for 60 s, and another may be before it."""
MOST: Final = 8
"""Connections at a time."""

_PEER: Final = struct.Struct("3i")
_log = structlog.get_logger()


class Method(NamedTuple):
    """takes: how many arguments, all of them texts; gives: the type of the answer"""

    takes: int
    gives: Any


METHODS: Final[Mapping[str, Method]] = {
    "show": Method(0, Shown),
    "balance": Method(0, Balance),
    "transfer": Method(2, Sent),
    "requests": Method(0, list[Asking]),
    "grant": Method(2, Sent),
    "refuse": Method(2, None),
    "revoke": Method(2, Sent),
    "history": Method(0, list[Happened]),
    "policy": Method(0, str),
    "set_policy": Method(1, None),
    "upload": Method(0, list[str]),
}
"""What may be asked for."""

Do = Callable[..., Awaitable[object]]
"""One of METHODS. Raises AgentError."""


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    method: str
    arguments: list[str]


class Failure(msgspec.Struct, frozen=True):
    """error: a class of agent.errors"""

    error: str
    message: str
    code: int = 0


def name_of(state: Path) -> str:
    """The socket of a state directory."""
    digest = hashlib.sha256(os.fsencode(state.resolve())).hexdigest()[:32]
    return f"\0amo-agent/{digest}"


class Control:
    """The agent's end."""

    def __init__(self, state: Path, methods: Mapping[str, Do]) -> None:
        """methods: those of METHODS that can be done here"""
        self._state = state
        self._methods = methods
        self._open = 0
        self._server: asyncio.AbstractServer | None = None

    async def open(self) -> None:
        """Raises UsageError where somebody has the name already."""
        try:
            self._server = await asyncio.start_unix_server(
                self._serve, path=name_of(self._state), limit=ASKED_BYTES
            )
        except OSError as error:
            raise UsageError(
                f"{self._state}: commands cannot reach it: {error.strerror}"
            ) from error

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open += 1
        try:
            if self._open <= MOST and _uid(writer) in {0, os.geteuid()}:
                writer.write(await self._answer(reader))
                await asyncio.wait_for(writer.drain(), HEAR_S)
        except (OSError, TimeoutError):
            _log.info("a command went away before its answer")
        finally:
            self._open -= 1
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader) -> bytes:
        try:
            async with asyncio.timeout(HEAR_S):
                line = await reader.readuntil(b"\n")
            told: object = {"result": await self._done(line)}
        except (AgentError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            told = _failure(error)
        except Exception as error:  # noqa: BLE001 - a fault of ours ends one command, not the agent
            _log.error("a command failed", error=type(error).__name__)
            told = Failure("UsageError", f"a fault of the agent: {type(error).__name__}")
        return msgspec.json.encode(told) + b"\n"

    async def _done(self, line: bytes) -> object:
        try:
            ask = msgspec.json.decode(line, type=Ask)
        except msgspec.DecodeError as error:
            raise MalformedInputError(f"no command: {error}") from error
        do = self._methods.get(ask.method)
        if do is None or ask.method not in METHODS:
            raise UsageError(f"the agent does not do {ask.method[:40]!r} as it is configured")
        if len(ask.arguments) != METHODS[ask.method].takes:
            raise UsageError(f"{ask.method}: {len(ask.arguments)} arguments")
        return await do(*ask.arguments)


async def asked(state: Path, method: str, *arguments: str) -> Any:
    """What the running agent answers, of the type in METHODS.

    Raises what it raised; ConnectionRefusedError where none runs or it takes no commands;
    RemoteError where no answer came: what was asked for may be done all the same.
    """
    reader, writer = await asyncio.open_unix_connection(name_of(state), limit=ANSWER_BYTES)
    try:
        if _uid(writer) not in {0, (state / EVENTS).stat().st_uid}:
            raise UsageError(f"{state}: who answers for its agent is another user")
        writer.write(msgspec.json.encode(Ask(method, list(arguments))) + b"\n")
        async with asyncio.timeout(WAIT_S):
            line = await reader.readuntil(b"\n")
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError) as error:
        raise RemoteError(
            f"{state}: its agent gave no answer within {WAIT_S:g} s; {method} may still be done: "
            "see `amo-agent wallet history` before asking again"
        ) from error
    finally:
        writer.close()
    return _told(line, METHODS[method].gives)


def _told(line: bytes, gives: Any) -> Any:
    told = msgspec.json.decode(line)
    if "error" in told:
        raise _error(msgspec.convert(told, Failure))
    return msgspec.convert(told["result"], gives)


def _error(failure: Failure) -> AgentError:
    kind: type[AgentError] = getattr(errors, failure.error, UsageError)
    if issubclass(kind, RefusedError):
        return kind(failure.message, code=failure.code)
    return kind(failure.message)


def _failure(error: Exception) -> Failure:
    if not isinstance(error, AgentError):
        return Failure("UsageError", "no whole command came")
    kind = type(error).__name__
    if kind == "LyingEndpointError":  # it is made of other words
        kind = "RemoteError"
    return Failure(kind, str(error), getattr(error, "code", 0))


def _uid(writer: asyncio.StreamWriter) -> int:
    peer = writer.get_extra_info("socket")
    packed = peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _PEER.size)
    return int(_PEER.unpack(packed)[1])

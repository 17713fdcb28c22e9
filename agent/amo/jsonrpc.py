"""JSON-RPC 2.0 as Tendermint 0.33 speaks it, over several endpoints that serve as one.

One endpoint that is silent, broken or busy is passed over for the next (agent.amo.endpoints); a
node that understood and refused is believed.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from agent.amo.endpoints import Endpoints
from agent.amo.rawjson import decode
from agent.amo.web import Http
from agent.clock import Clock, SystemClock
from agent.errors import MalformedInputError, PushbackError, RefusedError, RemoteError

_OK: Final = 200
_OUR_FAULT: Final = (-32700, -32600, -32601, -32602)
_TOO_LARGE: Final = "Tx too large"
_BUSY: Final = "mempool is full"
_MOTE: Final = re.compile(r"[0-9]{1,78}", re.ASCII)
_WHOLE: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reply:
    """A part of an answer, and who gave it. Every reader raises RemoteError."""

    endpoint: str
    value: object

    def at(self, *names: str) -> "Reply":
        """The member of that name, one level down for each name."""
        value = self.value
        for name in names:
            if not isinstance(value, dict) or name not in value:
                raise self._malformed(f"no {'.'.join(names)}")
            value = value[name]
        return Reply(self.endpoint, value)

    def whole(self) -> int:
        """A whole number, bare or, as 64-bit integers are written, in quotes."""
        if isinstance(self.value, int) and not isinstance(self.value, bool):
            return self.value
        if isinstance(self.value, str) and _WHOLE.fullmatch(self.value):
            return int(self.value)
        raise self._malformed("a number is not whole")

    def text(self) -> str:
        if not isinstance(self.value, str):
            raise self._malformed("a text is missing")
        return self.value

    def mote(self) -> int:
        """An amount, which is a decimal string and not negative."""
        if isinstance(self.value, str) and _MOTE.fullmatch(self.value):
            return int(self.value)
        raise self._malformed("an amount is missing")

    def members(self) -> dict[str, object]:
        if not isinstance(self.value, dict):
            raise self._malformed("an object is missing")
        return self.value

    def items(self) -> list["Reply"]:
        """The elements of a list; null stands for an empty one."""
        if self.value is None:
            return []
        if not isinstance(self.value, list):
            raise self._malformed("a list is missing")
        return [Reply(self.endpoint, value) for value in self.value]

    def _malformed(self, what: str) -> RemoteError:
        return RemoteError(f"{self.endpoint}: malformed answer: {what}")


class JsonRpc:
    """Calls with named parameters; 64-bit integers go as decimal strings."""

    def __init__(self, endpoints: Sequence[str], http: Http, clock: Clock | None = None) -> None:
        """clock: for the waits of endpoints that failed; the machine's where none is given"""
        self.endpoints = Endpoints(endpoints, clock or SystemClock())
        self._http = http
        self._ids = itertools.count(1)

    async def call(self, method: str, params: Mapping[str, object]) -> Reply:
        """Raises RefusedError, PushbackError, or RemoteError when every endpoint failed."""
        reply = await self.find(method, params, absent="")
        assert reply is not None  # without a word for absence there is none
        return reply

    async def find(self, method: str, params: Mapping[str, object], *, absent: str) -> Reply | None:
        """As `call`; None where the node's error says what `absent` says."""
        failures: list[RemoteError] = []
        for endpoint in self.endpoints.in_turn():
            try:
                reply = await self._ask(endpoint.url, method, params, absent)
            except RefusedError:
                self.endpoints.answered(endpoint)
                raise
            except RemoteError as error:
                self.endpoints.failed(endpoint, error)
                failures.append(error)
            else:
                self.endpoints.answered(endpoint)
                return reply
        busy = (failure for failure in failures if isinstance(failure, PushbackError))
        raise next(busy, failures[-1])

    async def _ask(
        self, endpoint: str, method: str, params: Mapping[str, object], absent: str
    ) -> Reply | None:
        number = next(self._ids)
        answer = await self._http.send(
            "POST",
            endpoint,
            json={"jsonrpc": "2.0", "id": number, "method": method, "params": params},
        )
        try:
            value = decode(answer.body)
        except MalformedInputError as error:
            raise RemoteError(f"{endpoint}: status {answer.status}, {error}") from error
        reply = Reply(endpoint, value)
        if "error" in reply.members():
            words = _words(reply.at("error"))
            if absent and absent in words:
                return None
            raise _failure(reply.at("error"), words)
        if answer.status != _OK:
            raise RemoteError(f"{endpoint}: status {answer.status}")
        if reply.at("id").value != number:
            raise RemoteError(f"{endpoint}: malformed answer: it is for another call")
        return reply.at("result")


def _words(error: Reply) -> str:
    """What the node says, which stands in `data`; `message` names only the kind of error."""
    members = error.members()
    return str(members.get("data", members.get("message", "")))


def _failure(error: Reply, words: str) -> RemoteError:
    code = error.at("code").whole()
    message = f"{error.endpoint}: JSON-RPC {code}: {' '.join(words.split())[:200]}"
    if words.startswith(_BUSY):
        return PushbackError(message)
    if code in _OUR_FAULT or words.startswith(_TOO_LARGE):
        return RefusedError(message, code=code)
    return RemoteError(message)

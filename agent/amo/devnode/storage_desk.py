"""What both forms of the storage service share: the things they work with, and who asks."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Final

from aiohttp import hdrs, web

from agent.amo.devnode.storage_shelf import Shelf
from agent.amo.devnode.storage_token import Tokens
from agent.amo.p256 import public_from_hex, verify
from agent.amo.rawjson import decode
from agent.clock import Clock
from agent.errors import MalformedInputError

Usage = Callable[[str, str], Awaitable[bool]]
"""Whether the chain holds a usage of this recipient and parcel id."""

API: Final = "/api/v1"
PARCEL: Final = "{id:[A-Za-z0-9]+}"
TOKEN, PUBLIC_KEY, SIGNATURE = "X-Auth-Token", "X-Public-Key", "X-Signature"

_OPERATION_OF: Final = {
    hdrs.METH_GET: "download",
    hdrs.METH_POST: "upload",
    hdrs.METH_DELETE: "remove",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """storage_id: the number of this storage on the chain."""

    storage_id: int
    usage: Usage
    shelf: Shelf
    tokens: Tokens
    clock: Clock

    def parcel_id(self, local: bytes) -> str:
        """Storage id in 8 upper-case hex digits, local id in 64."""
        return f"{self.storage_id:08X}{local.hex().upper()}"


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks and for what, as the token says it; the slot that keeps the token open."""

    user: str
    operation: Mapping[str, object]
    slot: str


class DeniedError(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status
        self.words = words


def expect(holds: bool, status: int, words: str) -> None:  # noqa: FBT001  it reads as a sentence
    if not holds:
        raise DeniedError(status, words)


def expect_headers(request: web.Request) -> None:
    present = all(name in request.headers for name in (TOKEN, PUBLIC_KEY, SIGNATURE))
    expect(present, 401, "One or more required fields do not exist in the header")


def expect_fitting(request: web.Request, operation: Mapping[str, object]) -> None:
    """The operation of the token is the one of the method."""
    name = str(operation.get("name"))
    fits = _OPERATION_OF.get(request.method) == name
    expect(fits, 401, f"Token is only available to perform {name}")


def expect_signed(request: web.Request) -> None:
    """The key in the headers signed the token in the headers."""
    try:
        public = public_from_hex(request.headers[PUBLIC_KEY])
        signature = bytes.fromhex(request.headers[SIGNATURE])
    except (MalformedInputError, ValueError) as error:
        raise DeniedError(401, "Verification failed") from error
    token = request.headers[TOKEN].encode("utf-8", "replace")
    expect(verify(public, token, signature), 401, "Verification failed")


def asking_in(claims: Mapping[str, object], slot_of: Callable[[str, object], str]) -> Asking:
    user, operation = str(claims.get("user")), claims.get("operation")
    known = operation if isinstance(operation, dict) else {}
    return Asking(user, known, slot_of(user, known))


async def sent_json(request: web.Request) -> object:
    """The body of a JSON request; None where it is said to be something else.

    Raises aiohttp's 400 where it is not JSON.
    """
    if request.content_type != "application/json":
        return None
    try:
        return decode(await request.read())
    except MalformedInputError as error:
        raise web.HTTPBadRequest from error

"""The later form of the storage service (N): a posted form, text bodies, one slot a task.

It checks no more than the released one does. Errors of a token request come with status
200; a request without a readable token gets no answer at all; what is stored is given
back as UTF-8 text, so a binary body is damaged. All of that is kept here.
"""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, NoReturn

from aiohttp import web

from agent.amo.devnode.storage_desk import (
    API,
    PARCEL,
    PUBLIC_KEY,
    TOKEN,
    Asking,
    DeniedError,
    Desk,
    asking_in,
    expect,
    expect_fitting,
    expect_headers,
    expect_signed,
    sent_json,
)
from agent.amo.devnode.storage_schema import SchemaError, auth_request
from agent.amo.devnode.storage_shelf import Stored
from agent.amo.p256 import public_from_hex
from agent.amo.rawjson import decode
from agent.clock import SECOND
from agent.errors import MalformedInputError, RemoteError

TOKEN_HEADER: Final = {"alg": "HS256", "typ": "JWT"}

_SILENCE_S: Final = 30.0
"""How long a request that gets no answer is held; our choice, a client gives up sooner."""
_ABSENT: Final = "Cannot convert undefined or null to object"

_FAULTS: Final = {
    "required": "must have required property '{wanted}'",
    "type": "must be {wanted}",
    "enum": "must be equal to one of the allowed values",
    "pattern": 'must match pattern "{wanted}"',
}


class FormN:
    """Routes of the service and what they do."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._stopping = asyncio.Event()

    def add_to(self, app: web.Application) -> None:
        app.middlewares.append(_wording)
        app.on_shutdown.append(self._stop)
        app.router.add_get("/", self.root, allow_head=False)
        app.router.add_post(f"{API}/auth", self.auth)
        app.router.add_post(f"{API}/parcels", self.upload)
        app.router.add_get(f"{API}/parcels/{PARCEL}", self.inspect, allow_head=False)
        app.router.add_get(f"{API}/parcels/download/{PARCEL}", self.download, allow_head=False)
        app.router.add_delete(f"{API}/parcels/{PARCEL}", self.remove)

    async def root(self, _: web.Request) -> web.Response:
        return _answer({"name": "AMO Storage API"})

    async def auth(self, request: web.Request) -> web.Response:
        sent = await sent_json(request)
        asked = auth_request({} if sent is None else sent)
        slot = _slot(str(asked["user"]), asked["operation"])
        issued = self._desk.clock.now_ns() // SECOND
        return _answer({"token": self._desk.tokens.issue({**asked, "iat": issued}, slot)})

    async def upload(self, request: web.Request) -> web.Response:
        await self._admit(request)
        fields = await _fields(request)
        expect(bool(fields.get("owner")), 400, "'owner' field is missing")
        for name in ("metadata", "file"):
            expect(name in fields, 200, _ABSENT)
            expect(bool(fields[name]), 400, f"'{name}' field is missing")
        metadata = _object_metadata(fields["metadata"])
        if not "".join(metadata.values()).isascii():
            await self._be_silent(request)
        local = hashlib.sha256(fields["owner"] + fields["metadata"] + fields["file"]).digest()
        parcel = self._desk.parcel_id(local)
        owner = fields["owner"].decode("utf-8", "replace")
        await self._desk.shelf.put(parcel, Stored(owner, metadata, fields["file"]))
        return _answer({"id": parcel})

    async def inspect(self, request: web.Request) -> web.Response:
        await self._claims(request)
        key = request.query.get("key")
        expect(key in ("metadata", "owner"), 400, "Query key is invalid.")
        stored = await self._stored(request)
        if key == "owner":
            return _answer({"owner": stored.metadata.get("owner")})
        return _answer({"metadata": stored.metadata})

    async def download(self, request: web.Request) -> web.Response:
        asking = await self._admit(request)
        stored, parcel = await self._stored(request), request.match_info["id"]
        owner = stored.metadata.get("owner")
        allowed = owner == asking.user or await self._is_granted(request, asking.user)
        expect(allowed, 403, f"No permission to download data parcel {parcel}")
        self._desk.tokens.close(asking.slot)
        known = {"id": parcel, "owner": owner, "metadata": stored.metadata}
        return _answer({**known, "data": stored.body.decode("utf-8", "replace")})

    async def remove(self, request: web.Request) -> web.Response:
        asking = await self._admit(request)
        stored = await self._stored(request)
        owned = stored.metadata.get("owner") == asking.user
        expect(owned, 405, "Not allowed to remove parcel")
        await self._desk.shelf.drop(request.match_info["id"])
        self._desk.tokens.close(asking.slot)
        return web.Response(status=204)

    async def _stored(self, request: web.Request) -> Stored:
        parcel = request.match_info["id"]
        stored = await self._desk.shelf.get(parcel)
        if stored is None:
            raise DeniedError(404, f"Metadata for Key {parcel} is Not Found")
        return stored

    async def _is_granted(self, request: web.Request, user: str) -> bool:
        try:
            return await self._desk.usage(user, request.match_info["id"])
        except RemoteError:  # the service has no answer for a node out of reach
            await self._be_silent(request)

    async def _claims(self, request: web.Request) -> dict[str, object]:
        claims = self._desk.tokens.claims(request.headers.get(TOKEN, ""))
        if claims is None:
            await self._be_silent(request)
        return claims

    async def _admit(self, request: web.Request) -> Asking:
        """The checks before every operation, in the service's order."""
        asking = asking_in(await self._claims(request), _slot)
        expect_headers(request)
        expect(self._desk.tokens.is_open(asking.slot), 401, "Token does not exist")
        expect_fitting(request, asking.operation)
        try:
            public_from_hex(request.headers[PUBLIC_KEY])
        except MalformedInputError as error:
            raise DeniedError(200, "Unknown point format") from error
        expect_signed(request)
        return asking

    async def _be_silent(self, request: web.Request) -> NoReturn:
        """Hold the request without an answer until the service stops or patience ends."""
        waiting = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([waiting], timeout=_SILENCE_S)
        waiting.cancel()
        if request.transport is not None:
            request.transport.abort()
        raise web.HTTPGatewayTimeout

    async def _stop(self, _: web.Application) -> None:
        self._stopping.set()


async def _fields(request: web.Request) -> dict[str, bytes]:
    """Bytes of the fields of a posted form, or of the texts of a JSON object."""
    if request.content_type == "application/json":
        sent = await sent_json(request)
        members = sent if isinstance(sent, dict) else {}
    else:
        members = dict(await _posted(request))
    found: dict[str, bytes] = {}
    for name, value in members.items():
        if isinstance(value, web.FileField):
            found[name] = value.file.read()
        elif isinstance(value, str):
            found[name] = value.encode("utf-8", "replace")
    return found


async def _posted(request: web.Request) -> Mapping[str, object]:
    try:
        return await request.post()
    except ValueError as error:  # a part without an end, a length that is no number
        raise web.HTTPBadRequest from error


def _object_metadata(text: bytes) -> dict[str, str]:
    """Metadata as an object store keeps it: lower-case keys, every value a text."""
    try:
        value = decode(text)
    except MalformedInputError as error:
        raise DeniedError(200, f"Unexpected token {chr(text[0])} in JSON at position 0") from error
    members = value if isinstance(value, dict) else {}
    texts = {name.lower(): _as_text(member) for name, member in members.items()}
    return {"content-type": "binary/octet-stream", **texts}


def _as_text(value: object) -> str:
    """ECMAScript's String() of a JSON value."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        return "[object Object]"
    if isinstance(value, list):
        return ",".join(_as_text(member) for member in value)
    return json.dumps(value)


def _slot(user: str, operation: object) -> str:
    """One slot for each kind of operation of a user."""
    return f"{user}:{operation.get('name') if isinstance(operation, dict) else ''}"


def _answer(value: object, status: int = 200) -> web.Response:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    return web.Response(text=text, status=status, content_type="application/json", charset="utf-8")


@web.middleware
async def _wording(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors as this form words them; any unknown path or method is the same 404."""
    try:
        return await handler(request)
    except DeniedError as refusal:
        return _answer({"error": refusal.words}, refusal.status)
    except SchemaError as fault:
        return _answer({"error": [_FAULTS[fault.how].format(**vars(fault))]})
    except (web.HTTPNotFound, web.HTTPMethodNotAllowed):
        return _answer({"message": "unknown path or endpoint"}, 404)
    except web.HTTPException as error:
        page = f"<!DOCTYPE html><title>{error.reason}</title>"
        return web.Response(
            text=page, status=error.status, content_type="text/html", charset="utf-8"
        )

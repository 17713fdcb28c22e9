"""The released form of the storage service (R): hex inside JSON, a parcel is its digest.

The released service does not ask whose key signed, nor whether the token is for what is
done, nor whether the owner is the user: anyone acts as anyone. It asks the chain with a
word the chain no longer knows, so it serves owners alone. `strict` is the same API with
all of that put right.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable
from typing import Final

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
from agent.amo.devnode.storage_schema import SchemaError, auth_request, upload_request
from agent.amo.devnode.storage_shelf import Stored
from agent.amo.p256 import address_of, public_from_hex
from agent.errors import RemoteError, StoreError

TOKEN_HEADER: Final = {"typ": "JWT", "alg": "HS256"}

_FAULTS: Final = {
    "required": "'{wanted}' is a required property",
    "type": "{value!r} is not of type '{wanted}'",
    "enum": "{value!r} is not one of {wanted}",
    "pattern": "{value!r} does not match '{wanted}'",
}


class FormR:
    """Routes of the service and what they do."""

    def __init__(self, desk: Desk, *, strict: bool) -> None:
        self._desk = desk
        self._strict = strict

    def add_to(self, app: web.Application) -> None:
        app.middlewares.append(_wording)
        app.router.add_post(f"{API}/auth", self.auth)
        app.router.add_post(f"{API}/parcels", self.upload)
        app.router.add_get(f"{API}/parcels", self.download, allow_head=False)
        app.router.add_get(f"{API}/parcels/{PARCEL}", self.read, allow_head=False)
        app.router.add_delete(f"{API}/parcels/{PARCEL}", self.remove)

    async def auth(self, request: web.Request) -> web.Response:
        asked = auth_request(await sent_json(request))
        slot = _slot(str(asked["user"]), asked["operation"])
        return _answer({"token": self._desk.tokens.issue(asked, slot)})

    async def upload(self, request: web.Request) -> web.Response:
        asking = self._admit(request)
        owner, metadata, body = upload_request(await sent_json(request))
        digest = hashlib.sha256(body).digest()
        if self._strict:
            ours = owner.upper() == asking.user.upper() == str(metadata["owner"]).upper()
            expect(ours, 403, "Owner is not the user of the token")
            told = str(asking.operation.get("hash", "")).upper()
            expect(told == digest.hex().upper(), 401, "Token is for another body")
        parcel = self._desk.parcel_id(digest)
        new = await self._desk.shelf.put(parcel, Stored(owner, metadata, body))
        expect(new, 409, f"Parcel ID {parcel} already exists")
        self._desk.tokens.close(asking.slot)
        return _answer({"id": parcel})

    async def read(self, request: web.Request) -> web.Response:
        """Inspect, which asks for no token, where a key is named; else download."""
        key = request.query.get("key")
        if key is None:
            return await self.download(request)
        if key not in ("metadata", "owner"):
            return _answer({}, 400)
        stored = await self._desk.shelf.get(request.match_info["id"])
        if stored is None:
            return _answer({}, 404)
        return _answer({key: stored.owner if key == "owner" else stored.metadata})

    async def download(self, request: web.Request) -> web.Response:
        asking = self._admit(request)
        parcel = request.match_info.get("id", "")
        stored = await self._desk.shelf.get(parcel)
        if stored is None:
            return _answer({}, 404)
        allowed = _owns(asking, stored) or await self._is_granted(asking.user, parcel)
        expect(allowed, 403, f"No permission to download data parcel {parcel}")
        self._desk.tokens.close(asking.slot)
        known = {"id": parcel, "owner": stored.owner, "metadata": stored.metadata}
        return _answer({**known, "data": stored.body.hex()})

    async def remove(self, request: web.Request) -> web.Response:
        asking = self._admit(request)
        parcel = request.match_info["id"]
        stored = await self._desk.shelf.get(parcel)
        if stored is None:
            raise DeniedError(410, "Parcel does not exist")
        expect(_owns(asking, stored), 405, "Not allowed to remove parcel")
        await self._desk.shelf.drop(parcel)
        self._desk.tokens.close(asking.slot)
        return web.Response(status=204, content_type="application/json")

    async def _is_granted(self, user: str, parcel: str) -> bool:
        if not self._strict:
            return False
        try:
            return await self._desk.usage(user.upper(), parcel)
        except RemoteError as error:
            raise DeniedError(502, str(error)) from error

    def _admit(self, request: web.Request) -> Asking:
        """The checks before every operation, in the service's order."""
        expect_headers(request)
        claims = self._desk.tokens.claims(request.headers[TOKEN])
        if claims is None:
            raise DeniedError(401, "Invalid token")
        asking = asking_in(claims, _slot)
        expect(self._desk.tokens.is_open(asking.slot), 401, "Token does not exist")
        expect_fitting(request, asking.operation)
        expect_signed(request)
        if self._strict:
            _expect_own(request, asking)
        return asking


def _expect_own(request: web.Request, asking: Asking) -> None:
    """The key is the user's, and the token is for the parcel in the path."""
    signer = address_of(public_from_hex(request.headers[PUBLIC_KEY]))
    expect(signer == asking.user.upper(), 401, "Public key is not the one of the token's user")
    if "id" in request.match_info:
        told = str(asking.operation.get("id", "")).upper()
        expect(told == request.match_info["id"].upper(), 401, "Token is for another parcel")


def _owns(asking: Asking, stored: Stored) -> bool:
    return asking.user.upper() == stored.owner.upper()


def _slot(user: str, operation: object) -> str:
    """One slot for each exact operation of a user."""
    return f"{user}:{json.dumps(operation, sort_keys=True)}"


def _answer(value: object, status: int = 200) -> web.Response:
    """Compact JSON with sorted keys and a line feed."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":")) + "\n"
    return web.Response(text=text, status=status, content_type="application/json")


@web.middleware
async def _wording(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Errors as this form words them; what the framework refuses is a page for people."""
    try:
        return await handler(request)
    except DeniedError as refusal:
        return _answer({"error": refusal.words}, refusal.status)
    except SchemaError as fault:
        return _answer({"error": _FAULTS[fault.how].format(**vars(fault))}, 400)
    except StoreError:
        return _answer({"error": "Error occurred on saving ownership and metadata"}, 500)
    except web.HTTPException as error:
        page = f"<!doctype html><title>{error.status} {error.reason}</title>"
        return web.Response(text=page, status=error.status, content_type="text/html")

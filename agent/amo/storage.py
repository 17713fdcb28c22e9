"""Client of an AMO storage service, which holds bodies of parcels off the chain.

Two forms are in use. The released one (R) takes and gives hex inside JSON and names a
parcel by the digest of its body; the later one (N) takes a form with a text file, which
is base64 here because what N gives back has been read as UTF-8, and answers many errors
with status 200. Neither form proves who it talks to, so bodies go up encrypted, and what
comes back is checked.
"""

import asyncio
import base64
import hashlib
import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import Final, Self

import msgspec
from aiohttp import ClientSession, FormData

from agent.amo.chain import line
from agent.amo.jsonrpc import Reply
from agent.amo.p256 import address_of
from agent.amo.payload import parcel_of
from agent.amo.rawjson import decode
from agent.amo.tls import Trust
from agent.amo.token import signed_headers
from agent.amo.transaction import Signer
from agent.amo.web import SYSTEM_TRUST, Answer, Http, Limits, checked_url
from agent.errors import MalformedInputError, RefusedError, RemoteError, UsageError

LIMITS: Final = Limits(timeout_s=60.0, answer_bytes=128 * 1024 * 1024)

_NAME_OF_N: Final = "AMO Storage API"
_PARCEL_ID: Final = re.compile(r"[0-9A-Fa-f]{72}")
_OK, _NO_CONTENT = 200, 204
_BAD_REQUEST, _NOT_FOUND, _CONFLICT, _GONE = 400, 404, 409, 410
GONE: Final = frozenset({_NOT_FOUND, _GONE})
"""HTTP statuses that say a parcel is not there."""
_SERVER_ERROR: Final = 500
_USED_UP: Final = "Token does not exist"


class _Held(msgspec.Struct):
    """An answer with a body of megabytes, which a careful reader would stop everything else for."""

    id: str
    data: str


_HELD: Final = msgspec.json.Decoder(_Held)


class Form(Enum):
    """R: the released service, and all that follow it. N: the later one on Node.js."""

    R = "R"
    N = "N"


class StorageClient:
    """One storage service, used inside `async with`.

    form: asked of the service where it is not given.
    Every method raises RemoteError, PushbackError, or RefusedError with the HTTP status.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        form: Form | None = None,
        session: ClientSession | None = None,
        limits: Limits = LIMITS,
        trust: Trust = SYSTEM_TRUST,
    ) -> None:
        self._endpoint = checked_url(endpoint)
        self._api = f"{self._endpoint}/api/v1"
        self._form = form
        self._http = Http(session, limits, trust)

    async def __aenter__(self) -> Self:
        await self._http.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._http.__aexit__(*exc)

    async def form(self) -> Form:
        """Which form the service has; N says its name at the root, the others have no root."""
        if self._form is None:
            answer = await self._http.send("GET", f"{self._endpoint}/")
            if answer.status >= _SERVER_ERROR:
                raise RemoteError(f"{self._endpoint}: status {answer.status}")
            self._form = Form.N if _named(answer) == _NAME_OF_N else Form.R
        return self._form

    async def upload(self, body: bytes, signer: Signer, metadata: Mapping[str, object]) -> str:
        """Store a body; its parcel id in upper case. Storing it again is success.

        metadata gets an `owner`; form N wants it flat, with ASCII texts. Raises UsageError
        for metadata that the form cannot hold.
        """
        if not body:
            raise UsageError("a body of 0 bytes cannot be stored; at least 1 is needed")
        owner = address_of(signer.public)
        described = {**metadata, "owner": owner}
        if await self.form() is Form.N:
            return await self._upload_text(body, signer, owner, described)
        return await self._upload_hex(body, signer, owner, described)

    async def download(self, parcel_id: str, signer: Signer) -> bytes:
        """The body, for its owner and for whoever has a usage on the chain.

        In form R it is checked against the id; in form N the id covers metadata that the
        service rewrites, so the reader has to know the body by other means.
        """
        parcel = parcel_of(parcel_id)
        body = await self.stored(parcel, signer)
        if await self.form() is Form.R and _digest(body) != parcel[8:]:
            raise RemoteError(f"{self._endpoint}: body of {parcel} does not fit its id")
        return body

    async def stored(self, parcel_id: str, signer: Signer) -> bytes:
        """As `download`, but unchecked. Raises RefusedError with one of GONE where it is gone."""
        parcel, form = parcel_of(parcel_id), await self.form()
        headers = await self._signed(signer, {"name": "download", "id": parcel})
        path = f"parcels/download/{parcel}" if form is Form.N else f"parcels/{parcel}"
        answer = await self._http.send("GET", f"{self._api}/{path}", headers=headers)
        return await asyncio.to_thread(self._held_in, answer, parcel, form)  # it may be large

    async def remove(self, parcel_id: str, signer: Signer) -> bool:
        """Whether it was there; it is not there now."""
        parcel = parcel_of(parcel_id)
        headers = await self._signed(signer, {"name": "remove", "id": parcel})
        answer = await self._http.send("DELETE", f"{self._api}/parcels/{parcel}", headers=headers)
        if answer.status not in (_NO_CONTENT, _GONE, _NOT_FOUND):
            self._read(answer)
            raise RemoteError(f"{self._endpoint}: status {answer.status} for a removal")
        return answer.status == _NO_CONTENT

    async def inspect(self, parcel_id: str, signer: Signer) -> dict[str, object] | None:
        """The metadata of a parcel; None where the service does not have it."""
        parcel = parcel_of(parcel_id)
        headers = await self._signed(signer, {"name": "inspect", "id": parcel})
        url = f"{self._api}/parcels/{parcel}?key=metadata"
        answer = await self._http.send("GET", url, headers=headers)
        if answer.status == _NOT_FOUND:
            return None
        return self._read(answer).at("metadata").members()

    async def _upload_hex(
        self, body: bytes, signer: Signer, owner: str, metadata: Mapping[str, object]
    ) -> str:
        sent = {"owner": owner, "metadata": metadata, "data": body.hex()}
        headers = await self._signed(signer, {"name": "upload", "hash": _digest(body)})
        answer = await self._http.send("POST", f"{self._api}/parcels", json=sent, headers=headers)
        if answer.status == _CONFLICT:
            parcel = await self._stored_before(answer, signer, owner)
        else:
            parcel = self._parcel(self._read(answer).at("id").text())
        if parcel[8:] != _digest(body):
            raise RemoteError(f"{self._endpoint}: stored as {parcel}, which is another body's id")
        return parcel

    async def _upload_text(
        self, body: bytes, signer: Signer, owner: str, metadata: Mapping[str, object]
    ) -> str:
        text = base64.b64encode(body)
        form = FormData()
        form.add_field("owner", owner)
        form.add_field("metadata", _flat(metadata))
        form.add_field("file", text, filename="body", content_type="text/plain")
        headers = await self._signed(signer, {"name": "upload", "hash": _digest(text)})
        answer = await self._http.send("POST", f"{self._api}/parcels", form=form, headers=headers)
        return self._parcel(self._read(answer).at("id").text())

    async def _stored_before(self, answer: Answer, signer: Signer, owner: str) -> str:
        """The id of a body that is there already, if it is there as this owner's."""
        named = _PARCEL_ID.search(answer.body.decode("utf-8", "replace"))
        if named is None:
            raise RemoteError(f"{self._endpoint}: status {answer.status} without a parcel id")
        metadata = await self.inspect(named[0], signer)
        if metadata is None or str(metadata.get("owner", "")).upper() != owner:
            raise RefusedError(
                f"{self._endpoint}: {named[0]} is stored as another owner's", code=_CONFLICT
            )
        return named[0].upper()

    async def _signed(self, signer: Signer, operation: Mapping[str, str]) -> dict[str, str]:
        """Headers for one request of this operation."""
        asked = {"user": address_of(signer.public), "operation": operation}
        answer = await self._http.send("POST", f"{self._api}/auth", json=asked)
        token = self._read(answer).at("token").text()
        try:
            return signed_headers(token, signer, operation)
        except MalformedInputError as error:
            raise RemoteError(f"{self._endpoint}: {error}") from error

    def _held_in(self, answer: Answer, parcel: str, form: Form) -> bytes:
        """The body in an answer to a download."""
        try:
            held = _HELD.decode(answer.body if answer.status == _OK else b"")
        except msgspec.DecodeError:  # an error, or no answer at all
            reply = self._read(answer)
            held = _Held(reply.at("id").text(), reply.at("data").text())
        if held.id.upper() != parcel:
            raise RemoteError(f"{self._endpoint}: malformed answer: it is about another parcel")
        return self._body(held.data, form)

    def _read(self, answer: Answer) -> Reply:
        """The answer's object, where it is no error; an error may come with status 200."""
        try:
            reply = Reply(self._endpoint, decode(answer.body))
            words = reply.members().get("error")
        except (MalformedInputError, RemoteError) as error:
            raise self._error(answer.status, str(error)) from error
        if words is not None or answer.status != _OK:
            raise self._error(answer.status, str(words or ""))
        return reply

    def _error(self, status: int, words: str) -> RemoteError:
        """A used-up token is no refusal: another request of the user may have used it."""
        message = f"{self._endpoint}: status {status}: {line(words)}"
        if _BAD_REQUEST <= status < _SERVER_ERROR and words != _USED_UP:
            return RefusedError(message, code=status)
        return RemoteError(message)

    def _parcel(self, text: str) -> str:
        if not _PARCEL_ID.fullmatch(text):
            raise RemoteError(f"{self._endpoint}: malformed answer: no parcel id of 72 hex digits")
        return text.upper()

    def _body(self, text: str, form: Form) -> bytes:
        try:
            if form is Form.N:
                return base64.b64decode(text, validate=True)
            return bytes.fromhex(text)
        except ValueError as error:
            raise RemoteError(f"{self._endpoint}: malformed answer: body is not text") from error


def _named(answer: Answer) -> object:
    """The name a service gives itself at its root; None where it gives none."""
    try:
        value = decode(answer.body)
    except MalformedInputError:  # a page for people
        return None
    return value.get("name") if isinstance(value, dict) else None


def _flat(metadata: Mapping[str, object]) -> str:
    """Metadata as form N keeps it: lower-case keys and ASCII texts."""
    for key, value in metadata.items():
        if not (isinstance(value, str) and (key + value).isascii() and key == key.lower()):
            raise UsageError(
                f"metadata {key[:80]!r}: this storage keeps lower-case ASCII keys to texts"
            )
    return json.dumps(metadata, separators=(",", ":"))


def _digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest().upper()

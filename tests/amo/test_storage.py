import base64
import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import pytest
from aiohttp import web
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.amo.devnode.storage import storage_app
from agent.amo.p256 import Account
from agent.amo.payload import parcel_id, transfer
from agent.amo.storage import Form, StorageClient
from agent.amo.token import claims_of, signed_headers
from agent.amo.transaction import signing_bytes
from agent.amo.web import Limits
from agent.errors import (
    MalformedInputError,
    PushbackError,
    RefusedError,
    RemoteError,
    UsageError,
)
from tests.amo.nodes import deaf, served
from tests.amo.recorded import recorded

ServiceForm = Literal["R", "N", "strict"]

ALICE, BOB = Account.from_seed("alice"), Account.from_seed("bob")
BODY = bytes(range(256))
PARCEL = parcel_id(7, hashlib.sha256(BODY).digest())
FORMS = pytest.mark.parametrize("form", ["R", "N", "strict"])


async def nobody(_recipient: str, _parcel: str) -> bool:
    return False


async def everybody(_recipient: str, _parcel: str) -> bool:
    return True


@asynccontextmanager
async def client(
    form: ServiceForm, usage: Callable[[str, str], Awaitable[bool]] = nobody
) -> AsyncIterator[StorageClient]:
    app = storage_app(storage_id=7, usage=usage, form=form)
    async with served(app) as url, StorageClient(url) as storage:
        yield storage


Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def odd_client(form: Form = Form.R, **answers: Answer) -> AsyncIterator[StorageClient]:
    """A client of a service with answers of our own; tokens are good where not said."""
    app = web.Application()
    app.router.add_post("/api/v1/auth", answers.get("auth", good_token))
    app.router.add_post("/api/v1/parcels", answers.get("upload", never))
    app.router.add_route("*", "/api/v1/parcels/{rest:.*}", answers.get("parcel", never))
    limits = Limits(timeout_s=2.0, answer_bytes=100_000)
    async with served(app) as url, StorageClient(url, form=form, limits=limits) as storage:
        yield storage


async def never(_: web.Request) -> web.StreamResponse:
    raise AssertionError("this is not asked for")


def jwt(claims: object) -> str:
    def piece(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    return f"{piece({'alg': 'HS256'})}.{piece(claims)}.{piece('mac')}"


async def good_token(request: web.Request) -> web.StreamResponse:
    return web.json_response({"token": jwt(await request.json())})


def answering(value: object, status: int = 200) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        if isinstance(value, bytes):
            return web.Response(body=value, status=status)
        return web.json_response(value, status=status)

    return answer


@FORMS
async def test_body_comes_back_byte_for_byte(form: ServiceForm) -> None:
    async with client(form) as storage:
        parcel = await storage.upload(BODY, ALICE, {"kind": "trip"})
        assert await storage.download(parcel, ALICE) == BODY
        assert await storage.download(parcel.lower(), ALICE) == BODY


@pytest.mark.parametrize("form", ["R", "strict"])
async def test_id_is_the_digest_of_the_body_in_the_released_form(form: ServiceForm) -> None:
    async with client(form) as storage:
        assert await storage.upload(BODY, ALICE, {}) == PARCEL


async def test_id_covers_owner_metadata_and_text_in_the_later_form() -> None:
    async with client("N") as storage:
        parcel = await storage.upload(BODY, ALICE, {"kind": "trip"})
    metadata = f'{{"kind":"trip","owner":"{ALICE.address}"}}'.encode()
    hashed = hashlib.sha256(ALICE.address.encode() + metadata + base64.b64encode(BODY))
    assert parcel == parcel_id(7, hashed.digest())


@FORMS
async def test_same_body_again_is_the_same_parcel(form: ServiceForm) -> None:
    async with client(form) as storage:
        first = await storage.upload(BODY, ALICE, {})
        assert await storage.upload(BODY, ALICE, {}) == first


async def test_body_that_another_owner_has_stored_is_not_taken_for_ours() -> None:
    async with client("strict") as storage:
        await storage.upload(BODY, BOB, {})
        with pytest.raises(RefusedError, match="another owner") as caught:
            await storage.upload(BODY, ALICE, {})
    assert caught.value.code == 409


@FORMS
async def test_metadata_comes_back_with_the_owner(form: ServiceForm) -> None:
    async with client(form) as storage:
        parcel = await storage.upload(BODY, ALICE, {"kind": "trip"})
        metadata = await storage.inspect(parcel, ALICE)
    assert metadata is not None
    assert (metadata["kind"], metadata["owner"]) == ("trip", ALICE.address)


@FORMS
async def test_unknown_parcel_has_no_metadata_and_no_body(form: ServiceForm) -> None:
    async with client(form) as storage:
        assert await storage.inspect(PARCEL, ALICE) is None
        with pytest.raises(RefusedError) as caught:
            await storage.download(PARCEL, ALICE)
    assert caught.value.code == 404


@FORMS
async def test_removed_parcel_is_gone_and_removing_it_again_is_harmless(form: ServiceForm) -> None:
    async with client(form) as storage:
        parcel = await storage.upload(BODY, ALICE, {})
        assert await storage.remove(parcel, ALICE) is True
        assert await storage.remove(parcel, ALICE) is False
        assert await storage.inspect(parcel, ALICE) is None


@FORMS
async def test_stranger_may_neither_read_nor_remove(form: ServiceForm) -> None:
    async with client(form) as storage:
        parcel = await storage.upload(BODY, ALICE, {})
        with pytest.raises(RefusedError) as reading:
            await storage.download(parcel, BOB)
        with pytest.raises(RefusedError) as removing:
            await storage.remove(parcel, BOB)
    assert (reading.value.code, removing.value.code) == (403, 405)


@pytest.mark.parametrize("form", ["N", "strict"])
async def test_buyer_with_a_usage_reads_the_body(form: ServiceForm) -> None:
    async with client(form, everybody) as storage:
        parcel = await storage.upload(BODY, ALICE, {})
        assert await storage.download(parcel, BOB) == BODY


@pytest.mark.parametrize(("form", "wanted"), [("R", Form.R), ("N", Form.N), ("strict", Form.R)])
async def test_form_of_a_service_is_found_out(form: ServiceForm, wanted: Form) -> None:
    async with client(form) as storage:
        assert await storage.form() is wanted


async def test_form_is_not_guessed_from_a_service_in_trouble() -> None:
    app = web.Application()
    app.router.add_get("/", answering({}, 502))
    async with served(app) as url, StorageClient(url) as storage:
        with pytest.raises(RemoteError, match="502"):
            await storage.form()


@pytest.mark.parametrize("metadata", [{"a": 1}, {"a": "ü"}, {"A": "b"}, {"ü": "b"}, {"a": {}}])
async def test_metadata_the_later_form_would_damage_is_not_sent(metadata: dict[str, Any]) -> None:
    async with client("N") as storage:
        with pytest.raises(UsageError):
            await storage.upload(BODY, ALICE, metadata)


async def test_empty_body_is_not_sent() -> None:
    async with odd_client() as storage:
        with pytest.raises(UsageError, match="0 bytes"):
            await storage.upload(b"", ALICE, {})


async def test_token_that_is_a_transaction_is_never_signed() -> None:
    message = signing_bytes(
        "transfer", ALICE.address, 0, 1, json.dumps(transfer(BOB.address, mote=1))
    )
    async with odd_client(auth=answering({"token": message.decode()})) as storage:
        with pytest.raises(RemoteError, match="token"):
            await storage.download(PARCEL, ALICE)


@given(st.text(max_size=30), st.dictionaries(st.text(max_size=5), st.text(max_size=5)))
def test_no_transaction_has_the_form_of_a_token(kind: str, asked: dict[str, str]) -> None:
    message = signing_bytes(kind, ALICE.address, 0, 1, json.dumps(asked)).decode()
    with pytest.raises(MalformedInputError):
        signed_headers(message, ALICE, {"name": "download", "id": PARCEL})


@pytest.mark.parametrize(
    "claims",
    [
        {"user": BOB.address, "operation": {"name": "download", "id": PARCEL}},
        {"user": ALICE.address, "operation": {"name": "remove", "id": PARCEL}},
        {"user": ALICE.address, "operation": {"name": "download", "id": "00" * 36}},
        {"user": ALICE.address},
        [],
        "x",
    ],
)
async def test_token_for_something_else_is_not_signed(claims: object) -> None:
    async with odd_client(auth=answering({"token": jwt(claims)})) as storage:
        with pytest.raises(RemoteError, match="token"):
            await storage.download(PARCEL, ALICE)


def test_recorded_token_carries_its_claims() -> None:
    [case] = recorded()["storage_token"]
    assert claims_of(case["token"]) == case["payload"]


@pytest.mark.parametrize(
    ("value", "status", "refused"),
    [
        ({"error": "'user' is a required property"}, 400, True),
        ({"error": ["must be string"]}, 200, False),
        ({"error": "", "token": "a.b.c"}, 200, False),
        ({"error": "Token does not exist"}, 401, False),
        (b"<html>", 404, True),
        (b"<html>", 200, False),
        (b"", 200, False),
        (b"[]", 200, False),
        ({}, 200, False),
        ({"token": 5}, 200, False),
        ({"token": "x\r\nX-Evil: 1"}, 200, False),
        (b"oops", 500, False),
    ],
)
async def test_error_is_looked_for_before_the_token(
    value: object, status: int, refused: bool
) -> None:
    async with odd_client(auth=answering(value, status)) as storage:
        with pytest.raises(RemoteError, match=r"http://127\.0\.0\.1") as caught:
            await storage.download(PARCEL, ALICE)
    assert isinstance(caught.value, RefusedError) is refused


@pytest.mark.parametrize(
    "answer",
    [
        {"id": PARCEL[:-1]},
        {"id": "00000007" + "AB" * 32},  # not the digest of the body
        {"id": 5},
        {"id": None},
        {},
        b"x",
        {"error": "Unexpected token"},
    ],
)
async def test_upload_is_not_believed_under_a_false_id(answer: object) -> None:
    async with odd_client(upload=answering(answer)) as storage:
        with pytest.raises(RemoteError):
            await storage.upload(BODY, ALICE, {})


async def test_conflict_without_an_id_is_a_remote_error() -> None:
    async with odd_client(upload=answering({"error": "already exists"}, 409)) as storage:
        with pytest.raises(RemoteError, match="409"):
            await storage.upload(BODY, ALICE, {})


@pytest.mark.parametrize(
    "answer",
    [
        {"id": PARCEL, "data": (BODY + b"x").hex()},
        {"id": PARCEL, "data": BODY.hex()[:-1]},
        {"id": PARCEL, "data": "zz"},
        {"id": PARCEL, "data": None},
        {"id": PARCEL},
        {"id": "00000007" + "AB" * 32, "data": BODY.hex()},
        {"data": BODY.hex()},
    ],
)
async def test_body_that_does_not_fit_its_id_is_not_believed(answer: object) -> None:
    async with odd_client(parcel=answering(answer)) as storage:
        with pytest.raises(RemoteError) as caught:
            await storage.download(PARCEL, ALICE)
    assert not isinstance(caught.value, RefusedError)


async def test_text_of_the_later_form_that_is_no_base64_is_not_believed() -> None:
    answer = answering({"id": PARCEL, "data": "\ufffd"})
    async with odd_client(Form.N, parcel=answer) as storage:
        with pytest.raises(RemoteError, match="body"):
            await storage.download(PARCEL, ALICE)


async def test_answer_above_the_limit_is_not_read_to_its_end() -> None:
    async with odd_client(parcel=answering(b" " * 200_000)) as storage:
        with pytest.raises(RemoteError, match="100000"):
            await storage.download(PARCEL, ALICE)


@pytest.mark.parametrize("status", [429, 503])
async def test_busy_service_asks_for_a_slower_pace(status: int) -> None:
    async with odd_client(upload=answering({}, status)) as storage:
        with pytest.raises(PushbackError):
            await storage.upload(BODY, ALICE, {})


@pytest.mark.parametrize("status", [200, 500, 502])
async def test_removal_that_is_not_confirmed_is_a_remote_error(status: int) -> None:
    async with odd_client(parcel=answering({}, status)) as storage:
        with pytest.raises(RemoteError):
            await storage.remove(PARCEL, ALICE)


async def test_service_that_hangs_is_given_up() -> None:
    async with deaf() as url, StorageClient(url, limits=Limits(timeout_s=0.1)) as storage:
        with pytest.raises(RemoteError, match=r"no answer within 0\.1 s"):
            await storage.upload(BODY, ALICE, {})


@pytest.mark.parametrize("parcel", ["", "00000007", "../../etc/passwd", "zz" * 36])
async def test_id_that_is_none_is_not_asked_for(parcel: str) -> None:
    async with odd_client() as storage:
        with pytest.raises(UsageError):
            await storage.download(parcel, ALICE)


@given(st.binary(min_size=1, max_size=300))
@settings(max_examples=15, deadline=None)
async def test_any_body_survives_the_text_of_the_later_form(body: bytes) -> None:
    async with client("N") as storage:
        assert await storage.download(await storage.upload(body, ALICE, {}), ALICE) == body

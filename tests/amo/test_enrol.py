"""A certificate comes from an authority, by EST, and is believed only where it is ours."""

import base64
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import NameOID

from agent.amo.enrol import (
    EST_LIMITS,
    Est,
    certificates_in,
    fitting,
    named,
    renewal,
    request,
    request_by,
)
from agent.amo.tls import Trust
from agent.amo.web import Answer, Http
from agent.errors import PushbackError, RefusedError, RemoteError, UsageError
from agent.wallet.curve import new_scalar
from agent.wallet.keys import FileKey
from tests.amo.authority import DAY, NOW, Authority, served_by_tls

ENROL = "/.well-known/est/simpleenroll"
NOW_NS = int(NOW.timestamp()) * 1_000_000_000
SUBJECT = named("car 7")


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "est")


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def certs_only(*certificates: x509.Certificate) -> bytes:
    der = pkcs7.serialize_certificates(list(certificates), Encoding.DER)
    return base64.encodebytes(der)


async def enrolled(
    authority: Authority,
    csr: bytes,
    answer: Callable[[x509.CertificateSigningRequest], web.Response],
    login: bytes | None = None,
) -> list[x509.Certificate]:
    """What the client makes of that answer; the server sees the request as RFC 7030 has it."""

    async def serve(asked: web.Request) -> web.Response:
        assert asked.content_type == "application/pkcs10"
        if login is not None and asked.headers.get("Authorization") != "Basic dTpw":
            return web.Response(status=401)
        return answer(x509.load_der_x509_csr(base64.b64decode(await asked.read())))

    app = web.Application()
    app.router.add_post(ENROL, serve)
    async with (
        served_by_tls(authority.issue(), app) as url,
        Http(None, EST_LIMITS, Trust(ca=authority.pem)) as http,
    ):
        return await Est(http, url, login).enrol(csr)


def common_name(csr: x509.CertificateSigningRequest | x509.Certificate) -> object:
    return csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def test_both_ways_to_sign_a_request_verify(key: ec.EllipticCurvePrivateKey) -> None:
    device = FileKey(new_scalar(), protected=False)
    for long in ("x", "x" * 64):
        by_device = x509.load_der_x509_csr(request_by(device, named(long)))
        assert by_device.is_signature_valid
        assert common_name(by_device) == long
        point = by_device.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
        assert point == device.public
    by_key = x509.load_der_x509_csr(request(key, SUBJECT))
    assert by_key.is_signature_valid
    assert by_key.public_key() == key.public_key()


def test_renewal_keeps_the_names(authority: Authority, key: ec.EllipticCurvePrivateKey) -> None:
    old = x509.load_pem_x509_certificate(authority.issue()[0].read_bytes())
    asked = x509.load_der_x509_csr(renewal(key, old))
    assert asked.is_signature_valid
    assert asked.subject == old.subject
    names = x509.SubjectAlternativeName
    assert (
        asked.extensions.get_extension_for_class(names).value
        == old.extensions.get_extension_for_class(names).value
    )


@pytest.mark.parametrize("name", ["", "x" * 65, "a\nb"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="1 to 64 printable"):
        named(name)


async def test_est_gives_what_was_signed_with_ours_first(
    authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    own = x509.load_pem_x509_certificate(authority.pem.read_bytes())
    came = await enrolled(
        authority,
        request(key, SUBJECT),
        lambda csr: web.Response(body=certs_only(own, authority.sign(csr))),
        login=b"u:p",
    )
    ours = fitting(came, key.public_key(), NOW_NS)
    assert len(ours) == 2
    assert common_name(ours[0]) == "car 7"
    ours[0].verify_directly_issued_by(own)


@pytest.mark.parametrize(
    ("answer", "error", "words"),
    [
        (web.Response(status=401), RefusedError, "status 401"),
        (web.Response(body=b"!!"), RemoteError, "no base64 of certs-only PKCS #7"),
        (web.Response(body=b"MAA="), RemoteError, "no base64 of certs-only PKCS #7"),
        (web.Response(body=b"A" * 70_000), RemoteError, "longer than 65536 bytes"),
        (
            web.Response(status=202, headers={"Retry-After": "3600"}),
            PushbackError,
            "has yet to decide",
        ),
    ],
    ids=["401", "garbage", "empty", "long", "202"],
)
async def test_an_answer_without_a_certificate_says_why(
    authority: Authority,
    key: ec.EllipticCurvePrivateKey,
    answer: web.Response,
    error: type[RemoteError],
    words: str,
) -> None:
    with pytest.raises(error, match=words) as raised:
        await enrolled(authority, request(key, SUBJECT), lambda _csr: answer)
    if isinstance(raised.value, PushbackError):
        assert raised.value.retry_after_s == 3600


async def test_a_wrong_login_is_refused(
    authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    with pytest.raises(RefusedError) as raised:
        await enrolled(authority, request(key, SUBJECT), lambda _csr: web.Response(), b"u:q")
    assert raised.value.code == 401


def test_a_certificate_that_is_not_ours_or_not_of_now_is_refused(
    authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    csr = x509.load_der_x509_csr(request(key, SUBJECT))
    other = x509.load_pem_x509_certificate(authority.issue()[0].read_bytes())
    for came, words in (
        ([other], "for another key than ours"),
        ([authority.sign(csr, NOW - 9 * DAY)], "is valid from"),
        ([authority.sign(csr, NOW + DAY)], "the clock here is wrong"),
        ([], "0 certificates"),
        ([authority.sign(csr)] * 9, "9 certificates"),
    ):
        with pytest.raises(RefusedError, match=re.escape(words)):
            fitting(came, key.public_key(), NOW_NS)


def test_whatever_becomes_of_an_answer_on_the_way_it_is_refused_in_our_words(
    authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    csr = x509.load_der_x509_csr(request(key, SUBJECT))
    good = pkcs7.serialize_certificates([authority.sign(csr)], Encoding.DER)
    draw = random.Random(1)
    refused = 0
    for _ in range(400):
        bad = bytearray(good)
        bad[draw.randrange(len(bad))] = draw.randrange(256)
        try:
            came = certificates_in("u", Answer(200, base64.b64encode(bad)))
            renewal(key, fitting(came, key.public_key(), NOW_NS)[0])
        except RemoteError:
            refused += 1
    assert refused > 100


async def test_est_is_asked_by_https_alone() -> None:
    async with Http(None, EST_LIMITS) as http:
        with pytest.raises(UsageError, match="https"):
            Est(http, "http://127.0.0.1:1")

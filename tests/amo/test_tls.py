"""Node and storage are believed by an authority of one's own choice, and by pins."""

import base64
import re
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.amo.tls import Trust, pin_of
from agent.amo.web import Http, Limits
from agent.errors import ConfigError, RemoteError
from tests.amo.authority import DAY, NOW, Authority, served_by_tls

LIMITS = Limits(timeout_s=5)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "ours")


@pytest.fixture
def other(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "other")


def pin(certificate: Path) -> str:
    der = x509.load_pem_x509_certificate(certificate.read_bytes()).public_bytes(Encoding.DER)
    return "sha256/" + base64.b64encode(pin_of(der)).decode()


def hello(asked: list[str]) -> web.Application:
    async def answer(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(text="hello")

    app = web.Application()
    app.router.add_get("/", answer)
    return app


async def fetch(
    trust: Trust, shown: tuple[Path, Path], asked: list[str], **server: Any
) -> bytes | str:
    """The body, or the error in its words."""
    async with served_by_tls(shown, hello(asked), **server) as url, Http(None, LIMITS, trust) as it:
        try:
            return (await it.send("GET", url)).body
        except RemoteError as error:
            return str(error).removeprefix(f"{url}: ")


async def test_server_of_the_named_authority_is_believed_and_of_another_is_not(
    ours: Authority, other: Authority
) -> None:
    asked: list[str] = []
    trust = Trust(ca=ours.pem)
    assert await fetch(trust, ours.issue(), asked) == b"hello"
    refused = await fetch(trust, other.issue(), asked)
    assert isinstance(refused, str)
    assert refused.startswith("certificate refused: ")
    assert asked == ["/"]


async def test_authorities_of_the_system_do_not_know_ours(ours: Authority) -> None:
    refused = await fetch(Trust(), ours.issue(), [])
    assert isinstance(refused, str)
    assert refused.startswith("certificate refused: ")


@pytest.mark.parametrize(
    ("issue", "words"),
    [
        ({"host": "127.0.0.2"}, "IP address mismatch"),
        ({"begins": NOW - 9 * DAY, "days": 8}, "expired; or the clock here is wrong"),
        ({"begins": NOW + DAY, "days": 8}, "not yet valid; or the clock here is wrong"),
    ],
)
async def test_certificate_of_another_host_or_time_is_refused_with_the_reason(
    ours: Authority, issue: dict[str, Any], words: str
) -> None:
    refused = await fetch(Trust(ca=ours.pem), ours.issue(**issue), [])
    assert isinstance(refused, str)
    assert words in refused


async def test_a_pin_that_does_not_fit_ends_it_before_anything_is_asked(ours: Authority) -> None:
    shown, spare = ours.issue(), ours.issue()
    asked: list[str] = []
    fits = Trust(ca=ours.pem, pins=(pin(spare[0]), pin(shown[0])))
    assert await fetch(fits, shown, asked) == b"hello"
    refused = await fetch(Trust(ca=ours.pem, pins=(pin(spare[0]),)), shown, asked)
    assert refused == "certificate refused: its public key is none of those pinned"
    assert asked == ["/"]


async def test_server_that_asks_for_a_certificate_gets_ours(
    ours: Authority, other: Authority
) -> None:
    shown, mine = ours.issue(), other.issue()
    trust = Trust(ca=ours.pem, certificate=mine[0], key=mine[1])
    assert await fetch(trust, shown, [], asks_for=other.pem) == b"hello"
    asked: list[str] = []
    assert isinstance(await fetch(Trust(ca=ours.pem), shown, asked, asks_for=other.pem), str)
    assert not asked


def test_files_and_pins_of_no_use_are_named(ours: Authority, tmp_path: Path) -> None:
    certificate, key = ours.issue()
    none = tmp_path / "none.pem"
    empty = tmp_path / "empty.pem"
    empty.write_bytes(b"")
    for trust, words in (
        (Trust(ca=none), f"ca '{none}': No such file"),
        (Trust(ca=empty), f"ca '{empty}': "),
        (Trust(pins=("sha256/AAAA",)), "pin 'sha256/AAAA'"),
        (Trust(certificate=certificate), "certificate and certificate_key go together"),
        (Trust(certificate=certificate, key=none), f"certificate_key '{none}': No such file"),
        (Trust(certificate=certificate, key=empty), f"certificate_key '{empty}'"),
        (Trust(certificate=certificate, key=ours.issue()[1]), f"certificate '{certificate}'"),
    ):
        with pytest.raises(ConfigError, match=re.escape(words)):
            trust.context()
    Trust(certificate=certificate, key=key).context()

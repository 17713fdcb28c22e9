"""`amo-agent enrol`: request and certificate by files."""

import asyncio
import base64
from pathlib import Path

import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7

from agent.amo.tls import Trust
from agent.wallet.keys import create_keys
from tests.amo.authority import Authority, served_by_tls
from tests.cli.conftest import Cli


@pytest.fixture
def state(tmp_path: Path) -> Path:
    place = tmp_path / "state"
    place.mkdir(mode=0o700)
    create_keys(place / "keys")
    return place


def test_request_and_certificate_go_by_files(cli: Cli, state: Path, tmp_path: Path) -> None:
    out, back = tmp_path / "car.csr", tmp_path / "car.crt"
    assert cli("enrol", "--state", str(state), "--csr-out", str(out)).code == 0
    csr = x509.load_pem_x509_csr(out.read_bytes())
    assert csr.is_signature_valid
    back.write_bytes(Authority(tmp_path, "ca").sign(csr).public_bytes(Encoding.PEM))
    took = cli("enrol", "--state", str(state), "--certificate-in", str(back))
    assert took.code == 0
    certificate, key = state / "keys/tls.crt", state / "keys/tls.key"
    assert f'certificate = "{certificate}"\ncertificate_key = "{key}"' in took.out
    assert key.stat().st_mode & 0o777 == 0o600
    Trust(certificate=certificate, key=key).context()


async def test_est_server_is_asked_with_the_login(cli: Cli, state: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ca")

    async def sign(asked: web.Request) -> web.Response:
        if asked.headers.get("Authorization") != "Basic dTpw":
            return web.Response(status=401)
        new = authority.sign(x509.load_der_x509_csr(base64.b64decode(await asked.read())))
        der = pkcs7.serialize_certificates([new], Encoding.DER)
        return web.Response(body=base64.encodebytes(der))

    app = web.Application()
    app.router.add_post("/.well-known/est/simpleenroll", sign)
    login = tmp_path / "login"
    login.write_text("u:p\n")
    login.chmod(0o600)
    async with served_by_tls(authority.issue(), app) as url:
        asking = ("enrol", "--state", str(state), "--est", url, "--ca", str(authority.pem))
        refused = await asyncio.to_thread(cli, *asking)
        assert refused.code == 1
        assert "status 401" in refused.complaint
        took = await asyncio.to_thread(cli, *asking, "--login", str(login))
    assert took.code == 0
    Trust(certificate=state / "keys/tls.crt", key=state / "keys/tls.key").context()


def test_a_request_by_the_device_key_names_the_device(
    cli: Cli, state: Path, tmp_path: Path
) -> None:
    out = tmp_path / "device.csr"
    uri = f"file:{state}/keys/device.key"
    assert cli("enrol", "--csr-out", str(out), "--device-key", uri, "--name", "car").code == 0
    assert x509.load_pem_x509_csr(out.read_bytes()).is_signature_valid
    assert not (state / "keys/tls.key").exists()


def test_a_certificate_of_another_is_refused(cli: Cli, state: Path, tmp_path: Path) -> None:
    other = Authority(tmp_path, "ca").issue()[0]
    result = cli("enrol", "--state", str(state), "--certificate-in", str(other))
    assert result.code == 1
    assert "another key than ours" in result.complaint
    assert not (state / "keys/tls.crt").exists()


def test_wrong_usage_is_told(cli: Cli, state: Path, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage"
    garbage.write_bytes(b"garbage")
    garbage.chmod(0o600)
    for options in (
        (),
        ("--csr-out", str(tmp_path / "a"), "--est", "https://127.0.0.1:1"),
        ("--est", "https://127.0.0.1:1", "--device-key", "file:a"),
        ("--est", "http://127.0.0.1:1"),
        ("--csr-out", str(state / "keys/device.key")),
        ("--est", "https://127.0.0.1:1", "--login", str(garbage)),
        ("--certificate-in", str(garbage)),
        ("--certificate-in", str(tmp_path / "none")),
        ("--csr-out", str(tmp_path / "a"), "--name", "x" * 65),
    ):
        assert cli("enrol", "--state", str(state), *options).code == 2
    assert cli("enrol", "--state", str(tmp_path), "--csr-out", str(tmp_path / "a")).code == 2

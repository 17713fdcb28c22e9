"""`amo-agent enrol`: a certificate for our connections, by EST or by files."""

import asyncio
from pathlib import Path
from typing import Final

import click
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from agent.amo.enrol import EST_LIMITS, Est, fitting, named, request, request_by
from agent.amo.tls import Trust
from agent.amo.web import Http
from agent.clock import SystemClock
from agent.enrolling import CERTIFICATE, KEY, keep_certificates, load_certificates, own_key
from agent.errors import UsageError
from agent.export.target import apart, new_file
from agent.wallet import keyfile
from agent.wallet.keys import key_at

_MAX_LOGIN: Final = 1024
_FILE: Final = click.Path(path_type=Path, dir_okay=False)
_GIVEN: Final = click.Path(path_type=Path, dir_okay=False, exists=True)


@click.command()
@click.option(
    "--state",
    type=click.Path(path_type=Path),
    default="/var/lib/amo-agent",
    help="Its keys/ takes tls.key and tls.crt.",
)
@click.option("--name", default="amo-agent", help="The name (CN) that is asked for.")
@click.option("--est", help="Ask this EST server, an https address (RFC 7030).")
@click.option("--ca", type=_GIVEN, help="The authority that vouches for the EST server, in PEM.")
@click.option("--login", type=_GIVEN, help="A private file with user:password for the EST server.")
@click.option("--csr-out", type=_FILE, help="Write the request to a file instead.")
@click.option("--device-key", help="With --csr-out: a request by the device key at this URI.")
@click.option("--certificate-in", type=_GIVEN, help="Take over the certificate that was signed.")
def command(
    *,
    state: Path,
    name: str,
    est: str | None,
    ca: Path | None,
    login: Path | None,
    csr_out: Path | None,
    device_key: str | None,
    certificate_in: Path | None,
) -> None:
    """Make a key for TLS, ask for its certificate, and take it over.

    Example: amo-agent enrol --est https://ca.example --ca ca.pem --login login.txt
    """
    if (est is not None) + (csr_out is not None) + (certificate_in is not None) != 1:
        raise UsageError("one of --est, --csr-out and --certificate-in")
    if (device_key and csr_out is None) or ((ca or login) and est is None):
        raise UsageError("--device-key goes with --csr-out, --ca and --login go with --est")
    if csr_out is not None:
        _write_request(csr_out, state, name, device_key)
        return
    key = own_key(_keys(state) / KEY)
    if est is not None:
        came = asyncio.run(_ask(est, Trust(ca=ca), login, request(key, named(name))))
    else:
        assert certificate_in is not None
        came = load_certificates(certificate_in)
    _take_over(state, key, came)


def _write_request(path: Path, state: Path, name: str, device_key: str | None) -> None:
    out, subject = apart(path, state), named(name)
    if device_key is not None:
        der = request_by(key_at(device_key, "device"), subject)
    else:
        der = request(own_key(_keys(state) / KEY), subject)
    with new_file(out) as file:
        file.write(x509.load_der_x509_csr(der).public_bytes(Encoding.PEM))


async def _ask(url: str, trust: Trust, login: Path | None, csr: bytes) -> list[x509.Certificate]:
    given = None if login is None else _login(login)
    async with Http(None, EST_LIMITS, trust) as http:
        return await Est(http, url, given).enrol(csr)


def _login(path: Path) -> bytes:
    given = keyfile.read_private(path, _MAX_LOGIN)
    if len(given) > _MAX_LOGIN or b":" not in given:
        raise UsageError(f"{path}: user:password in at most {_MAX_LOGIN} bytes")
    return given.strip()


def _take_over(state: Path, key: ec.EllipticCurvePrivateKey, came: list[x509.Certificate]) -> None:
    place = _keys(state)
    ours = fitting(came, key.public_key(), SystemClock().now_ns())
    keep_certificates(place / CERTIFICATE, ours)
    click.echo("# for [upload] in the configuration")
    click.echo(f'certificate = "{place / CERTIFICATE}"')
    click.echo(f'certificate_key = "{place / KEY}"')


def _keys(state: Path) -> Path:
    """Made by the first start: keys are put into a directory that is empty, or not at all."""
    place = state.absolute() / "keys"
    try:
        keyfile.check_private(place, place.lstat())
    except OSError as error:
        raise UsageError(f"{place}: {error.strerror}; the agent's first start makes it") from error
    return place

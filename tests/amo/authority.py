"""A small certificate authority, and web servers that show what it signed."""

import datetime as dt
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from pathlib import Path

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)
NOW = dt.datetime.now(dt.UTC)


class Authority:
    """pem: its own certificate, in a file of `folder`."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder = folder
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._count = 0
        own = self._builder(self._name, self._key.public_key(), NOW - DAY, NOW + 9 * DAY)
        own = own.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        self.pem = folder / f"{name}.pem"
        self.pem.write_bytes(own.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM))

    def issue(
        self, host: str = "127.0.0.1", begins: dt.datetime = NOW - DAY, days: int = 8
    ) -> tuple[Path, Path]:
        """Certificate and key, as files in PEM."""
        self._count += 1
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "leaf")])
        made = self._builder(name, key.public_key(), begins, begins + days * DAY)
        alternative = x509.SubjectAlternativeName([x509.IPAddress(ip_address(host))])
        made = made.add_extension(alternative, critical=False)
        stem = self._folder / f"{self.pem.stem}-{self._count}"
        stem.with_suffix(".crt").write_bytes(
            made.sign(self._key, hashes.SHA256()).public_bytes(Encoding.PEM)
        )
        stem.with_suffix(".key").write_bytes(
            key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        )
        return stem.with_suffix(".crt"), stem.with_suffix(".key")

    def sign(
        self, csr: x509.CertificateSigningRequest, begins: dt.datetime = NOW - DAY, days: int = 8
    ) -> x509.Certificate:
        """What was asked for, with the names in the request."""
        public = csr.public_key()
        assert isinstance(public, ec.EllipticCurvePublicKey)
        made = self._builder(csr.subject, public, begins, begins + days * DAY)
        for extension in csr.extensions:
            made = made.add_extension(extension.value, extension.critical)
        return made.sign(self._key, hashes.SHA256())

    def _builder(
        self,
        name: x509.Name,
        public: ec.EllipticCurvePublicKey,
        begins: dt.datetime,
        ends: dt.datetime,
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begins)
            .not_valid_after(ends)
        )


@asynccontextmanager
async def served_by_tls(
    shown: tuple[Path, Path], answer: web.Application, asks_for: Path | None = None
) -> AsyncIterator[str]:
    """The URL. asks_for: of an authority that has to have signed the client's certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*shown)
    if asks_for is not None:
        context.load_verify_locations(asks_for)
        context.verify_mode = ssl.CERT_REQUIRED
    runner = web.AppRunner(answer)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"https://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()

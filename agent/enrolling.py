"""The key and certificate of our connections, in files, and the renewal in good time."""

from pathlib import Path
from typing import Final

import structlog
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from agent import files
from agent.amo.enrol import EST_LIMITS, MAX_CERTIFICATES, UNREADABLE, Est, at, fitting, renewal
from agent.amo.tls import Trust
from agent.amo.web import Http
from agent.clock import SECOND, Clock
from agent.errors import AgentError, SealError, UsageError
from agent.wallet import keyfile

KEY: Final = "tls.key"
CERTIFICATE: Final = "tls.crt"
LOOK_S: Final = 600.0
"""Between two looks at the date: many trips are short."""
_PAUSE_NS: Final = 86_400 * SECOND
"""After a try to renew, whether it came to anything or not."""
_MAX_BYTES: Final = 64 * 1024

_log = structlog.get_logger()


def own_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """The P-256 key in that file, made where there is none. Raises SealError, StoreError."""
    if path.exists():
        return load_key(path)
    key = ec.generate_private_key(ec.SECP256R1())
    _keep(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return key


def load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    """Raises SealError."""
    pem = keyfile.read_private(path)
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SealError(f"{path}: no private key in PEM without a passphrase") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise SealError(f"{path}: not a key of an elliptic curve")
    return key


def load_certificates(path: Path) -> list[x509.Certificate]:
    """Raises UsageError for anything but some certificates in PEM."""
    try:
        with path.open("rb") as file:
            pem = file.read(_MAX_BYTES + 1)
        if len(pem) > _MAX_BYTES:
            raise UsageError(f"{path}: more than {_MAX_BYTES} bytes are no certificate")
        return x509.load_pem_x509_certificates(pem)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}") from error
    except (ValueError, *UNREADABLE) as error:
        raise UsageError(f"{path}: no certificate in PEM") from error


def keep_certificates(path: Path, certificates: list[x509.Certificate]) -> None:
    """All of them, or what was there before. Raises StoreError."""
    _keep(path, b"".join(it.public_bytes(Encoding.PEM) for it in certificates[:MAX_CERTIFICATES]))


def _keep(path: Path, content: bytes) -> None:
    try:
        files.replace(path, content)
    except OSError as error:
        raise files.store_error(path, f"{path}: {error.strerror}") from error


class Renewing:
    """Renews in the last third of a certificate's life, with the same key.

    The new one is shown from the next start on; until then the old one is, and is still valid.
    """

    def __init__(self, url: str, trust: Trust, clock: Clock) -> None:
        """trust: with certificate and key."""
        assert trust.certificate is not None
        assert trust.key is not None
        self._url, self._trust, self._clock = url, trust, clock
        self._certificate, self._key = trust.certificate, trust.key
        self._due_ns = clock.mono_ns()

    async def once(self) -> None:
        """Look, and try at most once a day. A failure is logged; the old certificate stays."""
        if self._clock.mono_ns() < self._due_ns:
            return
        try:
            await self._renew()
        except AgentError as error:
            _log.warning("certificate not renewed", reason=str(error))

    async def _renew(self) -> None:
        old = load_certificates(self._certificate)[0]
        now_ns = self._clock.now_ns()
        third = (old.not_valid_after_utc - old.not_valid_before_utc) / 3
        if at(now_ns) < old.not_valid_after_utc - third:
            return
        self._due_ns = self._clock.mono_ns() + _PAUSE_NS
        key = load_key(self._key)
        async with Http(None, EST_LIMITS, self._trust) as http:
            came = await Est(http, self._url).renew(renewal(key, old))
        new = fitting(came, key.public_key(), now_ns)
        keep_certificates(self._certificate, new)
        _log.info("certificate renewed", until=f"{new[0].not_valid_after_utc:%F}")

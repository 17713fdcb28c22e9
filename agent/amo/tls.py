"""Whom a connection by TLS believes, and who it says it is.

Without a CA of one's own, those of the system count. A pin is SHA-256 of the SubjectPublicKeyInfo
in the certificate that the server shows (RFC 7469, section 2.4), and comes on top of the CA.
"""

import base64
import binascii
import hashlib
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from agent.errors import ConfigError

PIN: Final = "sha256/"
_PIN_BYTES: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """
    ca:          a file of certificates in PEM; only what they sign is believed
    pins:        "sha256/BASE64" of the server's public key; one of them must be shown
    certificate, key: our own, in PEM, where the server asks for one
    """

    ca: Path | None = None
    pins: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None

    def context(self) -> ssl.SSLContext:
        """TLS 1.2 or later, host name checked. Raises ConfigError for a file or pin of no use."""
        digests = frozenset(map(_digest, self.pins))
        if (self.certificate is None) != (self.key is None):
            raise ConfigError("certificate and certificate_key go together")
        made = _authorities(self.ca)
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        if digests:
            made.sslobject_class = _pinned(digests)
        if self.certificate is not None and self.key is not None:
            _show(made, self.certificate, self.key)
        return made


def _pinned(digests: frozenset[bytes]) -> type[ssl.SSLObject]:
    """A connection that ends with the handshake, before anything is sent, unless a pin fits."""

    class Pinned(ssl.SSLObject):
        def do_handshake(self) -> None:
            super().do_handshake()
            shown = self.getpeercert(binary_form=True)
            if shown is None or pin_of(shown) not in digests:
                raise ssl.SSLCertVerificationError(1, "its public key is none of those pinned")

    return Pinned


def _authorities(ca: Path | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca)
    except (OSError, ssl.SSLError) as error:  # SSLError: no certificate in it
        raise ConfigError(f"ca {str(ca)!r}: {error.strerror or error}") from error


def _show(context: ssl.SSLContext, certificate: Path, key: Path) -> None:
    try:
        # a key with a passphrase is refused: OpenSSL would ask for it on the terminal
        context.load_cert_chain(certificate, key, password="")
    except (OSError, ssl.SSLError) as error:
        what = f"certificate {str(certificate)!r} with certificate_key {str(key)!r}"
        raise ConfigError(f"{what}: {error.strerror or error}") from error


def pin_of(certificate: bytes) -> bytes:
    """SHA-256 of the SubjectPublicKeyInfo of a certificate in DER."""
    public = x509.load_der_x509_certificate(certificate).public_key()
    return hashlib.sha256(
        public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    ).digest()


def _digest(pin: str) -> bytes:
    try:
        digest = base64.b64decode(pin.removeprefix(PIN), validate=True)
    except (binascii.Error, ValueError):
        digest = b""
    if not pin.startswith(PIN) or len(digest) != _PIN_BYTES:
        raise ConfigError(f"pin {pin[:80]!r}: sha256/ and the base64 of 32 bytes")
    return digest

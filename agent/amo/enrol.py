"""How the agent comes by a certificate for TLS: it asks, an authority signs.

The request is PKCS #10 (RFC 2986); it goes by EST (RFC 7030) or as a file. The key of a connection
lies in a file of its own, since Python's ssl takes none from a token; a request may be signed by
the device key as well, so that an authority can vouch for the device.
"""

import base64
import datetime as dt
from collections.abc import Sequence
from typing import Final, Protocol

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, pkcs7
from cryptography.x509.oid import NameOID

from agent.amo.web import Answer, Http, Limits, checked_url
from agent.errors import PushbackError, RefusedError, RemoteError, UsageError

EST_LIMITS: Final = Limits(timeout_s=30.0, answer_bytes=64 * 1024)
"""Our choice: an authority may think for a while, and some certificates need no more room."""
MAX_CERTIFICATES: Final = 8
NAME_CHARACTERS: Final = 64
"""ub-common-name of RFC 5280, appendix A.1."""
UNREADABLE: Final = (UnsupportedAlgorithm, x509.InvalidVersion, x509.DuplicateExtension)
"""What cryptography raises, beside ValueError, for a certificate that is none."""

_PATH: Final = "/.well-known/est/"
_OK: Final = 200
_ACCEPTED: Final = 202
_RS_BYTES: Final = 64
_SEQUENCE: Final = 0x30
_BIT_STRING: Final = 0x03
_VERSION_1: Final = bytes.fromhex("020100")
_NO_ATTRIBUTES: Final = bytes.fromhex("a000")
_ECDSA_SHA256: Final = bytes.fromhex("300a06082a8648ce3d040302")  # RFC 5758 section 3.2


class Signer(Protocol):
    @property
    def public(self) -> bytes:
        """65 bytes, uncompressed."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA P-256 over SHA-256 of message: r and s, 64 bytes. Raises SealError."""


def named(common_name: str) -> x509.Name:
    """Raises UsageError."""
    if not 1 <= len(common_name) <= NAME_CHARACTERS or not common_name.isprintable():
        raise UsageError(f"name {common_name[:80]!r}: 1 to {NAME_CHARACTERS} printable characters")
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def request(key: ec.EllipticCurvePrivateKey, subject: x509.Name) -> bytes:
    """PKCS #10 in DER, for a first certificate."""
    made = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def renewal(key: ec.EllipticCurvePrivateKey, old: x509.Certificate) -> bytes:
    """The same with the names of the certificate to be renewed (RFC 7030 section 4.2.2).

    Raises RefusedError for a certificate that cannot be read so far.
    """
    try:
        made = x509.CertificateSigningRequestBuilder().subject_name(old.subject)
        for extension in old.extensions:
            if isinstance(extension.value, x509.SubjectAlternativeName):
                made = made.add_extension(extension.value, extension.critical)
    except (ValueError, *UNREADABLE) as error:
        raise RefusedError("the names in the old certificate cannot be read") from error
    return made.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def request_by(signer: Signer, subject: x509.Name) -> bytes:
    """The same as `request`, for a key that only signs (RFC 2986 section 4). Raises SealError."""
    public = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), signer.public)
    spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    asked = _der(_SEQUENCE, _VERSION_1 + subject.public_bytes() + spki + _NO_ATTRIBUTES)
    rs = signer.sign(asked)
    half = _RS_BYTES // 2
    signature = encode_dss_signature(*(int.from_bytes(n) for n in (rs[:half], rs[half:])))
    return _der(_SEQUENCE, asked + _ECDSA_SHA256 + _der(_BIT_STRING, b"\0" + signature))


def fitting(
    certificates: Sequence[x509.Certificate], public: ec.EllipticCurvePublicKey, now_ns: int
) -> list[x509.Certificate]:
    """Ours first, then the others that came with it. Raises RefusedError.

    Some certificate must have our key, and be valid now.
    """
    if not 1 <= len(certificates) <= MAX_CERTIFICATES:
        raise RefusedError(f"{len(certificates)} certificates came, not 1 to {MAX_CERTIFICATES}")
    ours = [it for it in certificates if _is_for(it, public)]
    if not ours:
        raise RefusedError("the certificate is for another key than ours")
    begins, ends = ours[0].not_valid_before_utc, ours[0].not_valid_after_utc
    if not begins <= at(now_ns) <= ends:
        raise RefusedError(
            f"the certificate is valid from {begins:%F} to {ends:%F}; or the clock here is wrong"
        )
    return [ours[0], *(it for it in certificates if it is not ours[0])]


def at(now_ns: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(now_ns // 1_000_000_000, dt.UTC)


class Est:
    """An authority's server, by its address without the path of RFC 7030 section 3.2.2."""

    def __init__(self, http: Http, url: str, login: bytes | None = None) -> None:
        """login: b"user:password", for HTTP Basic. Raises UsageError."""
        self._url = checked_url(url)
        if not self._url.startswith("https://"):
            raise UsageError(f"EST {url[:200]!r}: an https address (RFC 7030, section 3.3)")
        self._http = http
        self._login = login

    async def enrol(self, csr: bytes) -> list[x509.Certificate]:
        """csr: in DER -> what the authority signed, unchecked.

        Raises PushbackError where a person has to say yes first, RefusedError, RemoteError.
        """
        return await self._ask("simpleenroll", csr)

    async def renew(self, csr: bytes) -> list[x509.Certificate]:
        """As `enrol`; the connection shows the certificate that is to be renewed."""
        return await self._ask("simplereenroll", csr)

    async def _ask(self, what: str, csr: bytes) -> list[x509.Certificate]:
        headers = {"Content-Type": "application/pkcs10", "Content-Transfer-Encoding": "base64"}
        if self._login is not None:
            headers["Authorization"] = f"Basic {base64.b64encode(self._login).decode()}"
        url = f"{self._url}{_PATH}{what}"
        answer = await self._http.send("POST", url, body=base64.encodebytes(csr), headers=headers)
        return certificates_in(url, answer)


def certificates_in(url: str, answer: Answer) -> list[x509.Certificate]:
    """The certs-only answer of RFC 7030 section 4.2.3. Raises as `Est.enrol`."""
    if answer.status == _ACCEPTED:
        raise PushbackError(
            f"{url}: the authority has yet to decide", retry_after_s=answer.retry_after_s
        )
    if answer.status != _OK:
        raise RefusedError(f"{url}: status {answer.status}", code=answer.status)
    try:
        der = base64.b64decode(b"".join(answer.body.split()), validate=True)
        return pkcs7.load_der_pkcs7_certificates(der)
    except (ValueError, *UNREADABLE) as error:  # of base64 too
        raise RemoteError(f"{url}: the answer is no base64 of certs-only PKCS #7") from error


def _is_for(certificate: x509.Certificate, public: ec.EllipticCurvePublicKey) -> bool:
    try:
        return certificate.public_key() == public
    except (ValueError, UnsupportedAlgorithm):  # a key of a kind we do not know is not ours
        return False


def _der(tag: int, content: bytes) -> bytes:
    length = len(content)
    if length < 0x80:  # noqa: PLR2004 - X.690, 8.1.3.4: one octet holds it
        return bytes((tag, length)) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes((tag, 0x80 | len(octets))) + octets + content

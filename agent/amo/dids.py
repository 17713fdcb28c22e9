"""Decentralised identifiers (DID) and verifiable credentials (VC): their payloads and documents.

The chain takes documents that nobody can change or remove again: it stores what it does
not understand, and then cannot read it back. So a document is held to the plain form the
chain reads: one text as `@context` and as `controller`, no field in another spelling of a
known name. A DID is `did:amo:` and an address in upper case, a credential's id `amo:cred:`
and 64 digits. Each function raises UsageError for anything else.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from agent.amo import p256
from agent.amo.payload import Payload
from agent.errors import MalformedInputError, UsageError

CONTEXT: Final = "https://www.w3.org/ns/did/v1"
_PREFIX: Final = "did:amo:"
_DID: Final = re.compile(r"did:amo:[0-9A-F]{40}", re.ASCII)
_CREDENTIAL: Final = re.compile(r"amo:cred:[0-9A-F]{64}", re.ASCII)
_COORDINATE_BYTES: Final = 32
_TEXTS: Final = ("@context", "id", "controller")
_LISTS: Final = ("verificationMethod", "authentication", "assertionMethod")
_METHOD_TEXTS: Final = ("id", "type", "controller")
_DATED: Final = ("id", "issuer", "issued", "issuanceDate")


def did_of(address: str) -> str:
    """The DID of an account. address: 40 hex digits in upper case"""
    return _checked_did(_PREFIX + address)


def document_of(public: bytes) -> Payload:
    """The document in which an account shows its public key, 65 bytes, as a JWK (RFC 7517)."""
    did = did_of(p256.address_of(public))
    key = f"{did}#keys-1"
    jwk = {"kty": "EC", "crv": "P-256", "x": _base64url(public[1:33]), "y": _base64url(public[33:])}
    method = {"id": key, "type": "JsonWebKey2020", "controller": did, "publicKeyJwk": jwk}
    return {
        "@context": CONTEXT,
        "id": did,
        "verificationMethod": [method],
        "authentication": [key],
        "assertionMethod": [key],
    }


def claim(document: Mapping[str, object]) -> Payload:
    """Put a document under the DID it names, or another in its place."""
    _expect_plain(document, (*_TEXTS, *_LISTS))
    for name in _TEXTS[:2] + tuple(set(_TEXTS[2:]) & set(document)):
        _expect_text(document, name)
    methods, names = (_entries(document, name) for name in _LISTS[:2])
    if "assertionMethod" in document:
        _entries(document, "assertionMethod")
    first, *_ = [_method_id(method) for method in methods]
    if first not in names:
        raise UsageError(f"verificationMethod[0], {first[:80]!r}, is not in authentication")
    return {"target": _checked_did(str(document["id"])), "document": dict(document)}


def dismiss(did: str) -> Payload:
    """Take the document away; the DID can be claimed again."""
    return {"target": _checked_did(did)}


def issue(credential: Mapping[str, object]) -> Payload:
    """Publish a credential under the id it names; its issuer is the sender's DID."""
    _expect_plain(credential, _DATED)
    for name in ("id", "issuer", *(set(_DATED[2:]) & set(credential))):
        _expect_text(credential, name)
    _checked_did(str(credential["issuer"]))
    if not (credential.get("issued") or credential.get("issuanceDate")):
        raise UsageError("the credential has neither issued nor issuanceDate")
    return {"target": _checked_credential(str(credential["id"])), "credential": dict(credential)}


def revoke(credential_id: str) -> Payload:
    """Take a credential away."""
    return {"target": _checked_credential(credential_id)}


def public_in(document: object, address: str) -> bytes | None:
    """The key of the document's first method, 65 bytes; None unless it is this address's own.

    The chain does not compare the two, so a document may show any key. Forms: `publicKeyJwk`,
    and `publicKeyHex` of the uncompressed point.
    """
    try:
        method = document["verificationMethod"][0]  # type: ignore[index]  # of a stranger
        jwk, digits = method.get("publicKeyJwk"), method.get("publicKeyHex")
        public = _point(jwk) if jwk is not None else p256.public_from_hex(digits)
        ours = p256.address_of(public) == address and p256.on_curve(public)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, MalformedInputError):
        return None
    return public if ours else None


def _point(jwk: Mapping[str, str]) -> bytes:
    if (jwk["kty"], jwk["crv"]) != ("EC", "P-256"):
        raise MalformedInputError(f"key of type {str(jwk['kty'])[:20]!r} is not of P-256")
    x, y = (_coordinate(jwk[name]) for name in ("x", "y"))
    return b"\x04" + x + y


def _coordinate(text: str) -> bytes:
    """32 bytes; RFC 7518 section 6.2.1.2 wants all of them, without padding."""
    try:
        value = base64.b64decode(text.encode("ascii") + b"=", altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise MalformedInputError("coordinate is not base64url") from error
    if len(value) != _COORDINATE_BYTES:
        raise MalformedInputError(f"coordinate of {len(value)} bytes; it has {_COORDINATE_BYTES}")
    return value


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).decode().rstrip("=")


def _expect_plain(document: Mapping[str, object], known: tuple[str, ...]) -> None:
    """The chain finds fields without regard to case, so "ID" would stand for "id"."""
    spelt = {name.casefold(): name for name in known}
    for name in document:
        if spelt.get(name.casefold(), name) != name:
            raise UsageError(f"field {name[:40]!r} would be read as {spelt[name.casefold()]!r}")


def _expect_text(document: Mapping[str, object], name: str) -> None:
    if not isinstance(document.get(name), str):
        raise UsageError(f"{name} is not one text; the chain could never read it back")


def _entries(document: Mapping[str, object], name: str) -> list[object]:
    found = document.get(name)
    if not isinstance(found, list) or not found:
        raise UsageError(f"{name} is not a list with at least 1 entry")
    if not all(isinstance(entry, str | Mapping) for entry in found):
        raise UsageError(f"{name} holds what is neither a text nor an object")
    return found


def _method_id(method: object) -> str:
    if not isinstance(method, Mapping):
        raise UsageError("a verificationMethod is not an object")
    _expect_plain(method, _METHOD_TEXTS)
    for name in _METHOD_TEXTS:
        _expect_text(method, name)
    return str(method["id"])


def _checked_did(text: str) -> str:
    if not _DID.fullmatch(text):
        raise UsageError(f"DID {text[:80]!r} is not did:amo: and 40 hex digits in upper case")
    return text


def _checked_credential(text: str) -> str:
    if not _CREDENTIAL.fullmatch(text):
        raise UsageError(f"credential id {text[:80]!r} is not amo:cred: and 64 digits, upper case")
    return text

"""Tokens of a storage service, and the signature that lets a request use one.

The signature over a token is made by the key that also signs transactions, over the same
digest. A service that handed out a transaction's bytes as a token would get a signed
transaction back. So only a JWT (RFC 7519) for this very user and operation is signed: it
is three pieces of base64url, and no transaction is.
"""

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Final

from agent.amo.p256 import address_of
from agent.amo.rawjson import decode
from agent.amo.transaction import Signer
from agent.errors import MalformedInputError

_JWT: Final = re.compile(r"[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]+")


def claims_of(token: str) -> dict[str, object]:
    """The claims a JWT carries; its signature is its service's to check.

    Raises MalformedInputError.
    """
    match = _JWT.fullmatch(token)
    if match is None:
        raise MalformedInputError("token is not three pieces of base64url")
    try:
        claims = decode(base64.b64decode(match[1] + "==", altchars=b"-_", validate=False))
    except binascii.Error as error:
        raise MalformedInputError("claims of the token are no base64url") from error
    if not isinstance(claims, dict):
        raise MalformedInputError("claims of the token are no object")
    return claims


def signed_headers(token: str, signer: Signer, operation: Mapping[str, str]) -> dict[str, str]:
    """Headers of the one request the token is for.

    Raises MalformedInputError where the token is for another user or operation.
    """
    claims = claims_of(token)
    if claims.get("user") != address_of(signer.public) or claims.get("operation") != operation:
        raise MalformedInputError(f"token is not this user's for {operation.get('name')}")
    return {
        "X-Auth-Token": token,
        "X-Public-Key": signer.public.hex().upper(),
        "X-Signature": signer.sign(token.encode("ascii")).hex().upper(),
    }

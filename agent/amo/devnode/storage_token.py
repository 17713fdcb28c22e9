"""Tokens as the storage services hand them out: a JWT, and a slot that says it is open.

A service looks whether the slot is open, not whether the token is the one that opened it,
so an older token of the same slot works too. Slots are kept in memory, the newest
SLOTS of them.
"""

import base64
import hmac
import json
import secrets
import uuid
from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from agent.amo.rawjson import decode
from agent.errors import MalformedInputError

SLOTS: Final = 10_000
_PARTS: Final = 3


class Tokens:
    """JWT with HS256 (RFC 7519, RFC 7515) under a secret of this process, and open slots."""

    def __init__(self, header: Mapping[str, str], secret: bytes | None = None) -> None:
        self._header = header
        self._secret = secret or secrets.token_bytes(32)
        self._open: OrderedDict[str, None] = OrderedDict()

    def issue(self, claims: Mapping[str, object], slot: str) -> str:
        """A token with these claims, its issuer and a number of its own."""
        self._open[slot] = None
        self._open.move_to_end(slot)
        if len(self._open) > SLOTS:
            self._open.popitem(last=False)
        named = {**claims, "iss": "amo-storage", "jti": str(uuid.uuid4())}
        signed = f"{_piece(self._header)}.{_piece(named)}"
        return f"{signed}.{self._mac(signed)}"

    def claims(self, token: str) -> dict[str, object] | None:
        """The claims of a token of this service; None for any other text."""
        signed, _, mac = token.rpartition(".")
        if token.count(".") != _PARTS - 1 or not hmac.compare_digest(
            mac.encode("utf-8", "replace"), self._mac(signed).encode()
        ):
            return None
        header, claims = (_object(piece) for piece in signed.split("."))
        return claims if header is not None and header.get("alg") == "HS256" else None

    def is_open(self, slot: str) -> bool:
        return slot in self._open

    def close(self, slot: str) -> None:
        self._open.pop(slot, None)

    def _mac(self, signed: str) -> str:
        return _base64url(hmac.digest(self._secret, signed.encode("utf-8", "replace"), "sha256"))


def _piece(value: Mapping[str, object]) -> str:
    return _base64url(json.dumps(value, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _object(piece: str) -> dict[str, object] | None:
    try:
        value = decode(base64.urlsafe_b64decode(piece + "=="))
    except (ValueError, MalformedInputError):
        return None
    return value if isinstance(value, dict) else None

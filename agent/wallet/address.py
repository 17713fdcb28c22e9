"""AMO account addresses."""

import hashlib
from typing import Final

ADDRESS_BYTES: Final = 20


def address(public: bytes) -> str:
    """Uncompressed P-256 public key (65 bytes) -> 40 upper-case hex digits."""
    return hashlib.sha256(public).digest()[:ADDRESS_BYTES].hex().upper()

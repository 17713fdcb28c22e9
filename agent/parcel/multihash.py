"""Digests that name their own algorithm (multihash): code, length, digest."""

import hashlib
from collections.abc import Callable, Mapping
from typing import Final

from agent.errors import MalformedInputError

SHA3_256: Final = b"\x16\x20"
SHA2_256: Final = b"\x12\x20"
SIZE: Final = 34
"""Bytes of every multihash used here."""

_DIGESTS: Final[Mapping[bytes, Callable[[bytes], bytes]]] = {
    SHA3_256: lambda data: hashlib.sha3_256(data).digest(),
    SHA2_256: lambda data: hashlib.sha256(data).digest(),
}


def multihash(data: bytes) -> bytes:
    """The SHA3-256 multihash of data, 34 bytes."""
    return SHA3_256 + hashlib.sha3_256(data).digest()


def check(name: bytes, data: bytes) -> None:
    """Raises MalformedInputError when name is not the multihash of data, by SHA3-256 or SHA-256."""
    digest = _DIGESTS.get(name[:2])
    if digest is None or len(name) != SIZE:
        raise MalformedInputError(f"multihash begins with {name[:2].hex()!r}, not 1620 or 1220")
    if digest(data) != name[2:]:
        raise MalformedInputError(f"{len(data)} bytes do not have the digest {name.hex()}")

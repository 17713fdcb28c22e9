"""Amino, the binary encoding of Tendermint 0.33 (go-amino 0.14), as far as blocks need it.

A struct is a run of fields, each a key `number << 3 | kind` and a value; fields that are zero
or empty are left out. Bare values stand alone, without a key.
"""

from typing import Final

_VARINT: Final = 0
_FIXED64: Final = 1
_BYTES: Final = 2
_U64: Final = (1 << 64) - 1
_BYTE_BITS: Final = 7
_MORE: Final = 0x80

ED25519_PREFIX: Final = bytes.fromhex("1624DE6420")
"""What stands before the 32 bytes of a public key where any kind of key could stand."""


def uvarint(number: int) -> bytes:
    """LEB128. A negative number counts as its 64-bit two's complement: ten bytes."""
    number &= _U64
    out = bytearray()
    while number >= _MORE:
        out.append(number & (_MORE - 1) | _MORE)
        number >>= _BYTE_BITS
    out.append(number)
    return bytes(out)


def zigzag(number: int) -> bytes:
    """A signed varint: 0, -1, 1, -2 become 0, 1, 2, 3."""
    return uvarint(number << 1 if number >= 0 else (-number << 1) - 1)


def sized(data: bytes) -> bytes:
    """The data behind its length, even when it is empty."""
    return uvarint(len(data)) + data


def bare_bytes(data: bytes) -> bytes:
    """The data behind its length; nothing at all when it is empty."""
    return sized(data) if data else b""


def varint_field(number: int, value: int) -> bytes:
    return _key(number, _VARINT) + uvarint(value) if value else b""


def fixed64_field(number: int, value: int) -> bytes:
    """value: a signed 64-bit integer, little-endian on the wire."""
    return _key(number, _FIXED64) + value.to_bytes(8, "little", signed=True) if value else b""


def bytes_field(number: int, data: bytes) -> bytes:
    """Bytes, text or an encoded struct; left out when empty."""
    return element(number, data) if data else b""


def element(number: int, data: bytes) -> bytes:
    """One element of a list: written even when it is empty."""
    return _key(number, _BYTES) + sized(data)


def _key(number: int, kind: int) -> bytes:
    return uvarint(number << 3 | kind)

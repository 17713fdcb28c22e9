"""The key file of the reference Go client: many keys by name. AMO protocol, section 1.5.

Its encryption is one plain hash of the passphrase, without salt or stretching: who gets the file
tries billions of passphrases a second. It is read and written so that keys can move, not to keep.
"""

import hashlib
from typing import Final

import msgspec
from nacl.exceptions import CryptoError
from nacl.secret import SecretBox

from agent.errors import SealError, UsageError
from agent.wallet.address import address
from agent.wallet.curve import load_private, public_bytes

MAX_BYTES: Final = 1 << 20
WEAK: Final = (
    "its encryption is one plain hash of the passphrase: move the key, then remove the file"
)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """priv_key: 32 bytes, or nonce and box (72 bytes) of them; base64 in the file."""

    address: str
    pub_key: bytes
    priv_key: bytes
    encrypted: bool

    def __repr__(self) -> str:
        return f"Entry({self.address}, encrypted={self.encrypted})"


def parse(data: bytes) -> dict[str, Entry]:
    """Entries by name; an empty file has none. Raises UsageError, which shows no value."""
    if len(data) > MAX_BYTES:
        raise UsageError(f"a keyring of over {MAX_BYTES} bytes")
    try:
        return msgspec.json.decode(data, type=dict[str, Entry]) if data.strip() else {}
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise UsageError(f"{len(data)} bytes are no keyring") from None


def find(ring: dict[str, Entry], name: str) -> Entry:
    """Raises UsageError, which has the names there are."""
    if name not in ring:
        raise UsageError(f"the keyring has no key {name!r}; it has {sorted(ring)}")
    return ring[name]


def scalar(entry: Entry, passphrase: bytes | None) -> bytes:
    """The private key, 32 bytes. Raises SealError for a wrong passphrase and for halves of keys
    that do not belong together.
    """
    key = _opened(entry.priv_key, passphrase) if entry.encrypted else entry.priv_key
    public = public_bytes(load_private(key))
    if (entry.pub_key, entry.address.upper()) != (public, address(public)):
        raise SealError(f"the key of {entry.address}: its halves do not belong together")
    return key


def build(name: str, key: bytes, passphrase: bytes) -> bytes:
    """A keyring with one encrypted key. key: 32 bytes. Raises SealError where it is no scalar."""
    public = public_bytes(load_private(key))
    box = bytes(SecretBox(hashlib.sha256(passphrase).digest()).encrypt(key))
    entry = Entry(address=address(public), pub_key=public, priv_key=box, encrypted=True)
    return msgspec.json.encode({name: entry})


def _opened(box: bytes, passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise SealError("the key is encrypted, and no passphrase was given")
    try:
        return SecretBox(hashlib.sha256(passphrase).digest()).decrypt(box)
    except (CryptoError, ValueError):
        raise SealError("the key does not open with this passphrase") from None

"""Every key of a wallet in one encrypted file. Form: docs/formats/recovery.md.

It holds the key files as they are, so one that a passphrase guards needs that one too. The key of
the next seal is left out: a copy would let somebody make seals of before; its root, wrapped for the
owner, is there, and after a restore a new chain of keys begins.
"""

from contextlib import closing
from pathlib import Path
from typing import Final, Literal

import msgspec
from nacl import bindings
from nacl.exceptions import CryptoError

from agent.errors import SealError
from agent.files import replace
from agent.wallet import cbor, keyfile
from agent.wallet.keyfile import Protection
from agent.wallet.keys import USES, has_keys
from agent.wallet.sealkey import ROOT
from agent.wallet.segments import SegmentStore
from agent.wallet.tokenfile import URI

SEGMENTS: Final = "segments.db"
MAX_BYTES: Final = 256 << 20
"""Segment keys take 17 MB a year of driving day and night."""

_LABEL: Final = b"amo-agent backup v1"
_OWNER: Final = frozenset({"owner.key", f"owner{URI}"})
_NAMES: Final = frozenset(
    {*(f"{use}{suffix}" for use in USES for suffix in (".key", URI)), ROOT, SEGMENTS}
)


class Backup(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """files: ciphertext and tag of a CBOR map, name -> content."""

    version: Literal[1] = 1
    protection: Protection
    files: bytes


def pack(directory: Path, passphrase: bytes) -> bytes:
    """The keys of a directory, also while they are in use. Raises SealError."""
    if not has_keys(directory):
        raise SealError(f"{directory}: there are no keys")
    keyfile.check_private(directory, directory.lstat())
    found = {
        name: keyfile.read_private(directory / name, MAX_BYTES)
        for name in _NAMES - {SEGMENTS}
        if (directory / name).exists()
    }
    if (directory / SEGMENTS).exists():
        with closing(SegmentStore(directory / SEGMENTS)) as store:
            found[SEGMENTS] = store.image()
    protection = keyfile.new_protection()
    sealed = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
        cbor.dump(found), _LABEL, protection.nonce, keyfile.stretch(passphrase, protection)
    )
    return cbor.dump(Backup(protection=protection, files=sealed))


def unpack(data: bytes, passphrase: bytes) -> dict[str, bytes]:
    """Contents by file name. Raises SealError for a wrong passphrase and for what is no backup."""
    try:
        read = cbor.load(data, Backup)
    except ValueError as error:
        raise SealError(f"no backup of version 1: {error}") from error
    key = keyfile.stretch(passphrase, read.protection)
    try:
        plain = bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            read.files, _LABEL, read.protection.nonce, key
        )
        files = cbor.load(plain, dict[str, bytes])
    except (CryptoError, ValueError):
        raise SealError("the backup does not open with this passphrase, or was changed") from None
    if not files.keys() & _OWNER or not files.keys() <= _NAMES:
        raise SealError(f"the backup has other files than {sorted(_NAMES)}")
    return files


def write_new(path: Path, data: bytes) -> None:
    """A new file of mode 0600, whole and on disk when this returns; nothing is overwritten.

    Raises SealError.
    """
    keyfile.write(path, b"")  # the name is ours from here on
    try:
        replace(path, data)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise SealError(f"{path}: {error.strerror}") from error

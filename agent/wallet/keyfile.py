"""One private key in one file, readable by its owner alone. Form: docs/formats/custody.md.

With a passphrase the scalar is encrypted (argon2id, XChaCha20-Poly1305); without one the file's
mode is all that protects it, and the file says so.
"""

import os
import secrets
import stat
from pathlib import Path
from typing import Annotated, Final

import msgspec
from nacl import bindings
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id

from agent.errors import SealError
from agent.wallet import cbor, curve

VERSION: Final = 1
OPERATIONS: Final = 3
MEMORY_BYTES: Final = 64 << 20
"""Argon2id at 64 MiB and three passes: the small choice of RFC 9106 section 4, with one lane."""

_MAX_FILE: Final = 4096
_LABEL: Final = b"amo-agent key v1"


class Protection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a passphrase becomes the file key. Limits keep a hostile file from taking all memory."""

    salt: Annotated[bytes, msgspec.Meta(min_length=16, max_length=16)]
    nonce: Annotated[bytes, msgspec.Meta(min_length=24, max_length=24)]
    operations: Annotated[int, msgspec.Meta(ge=1, le=16)]
    memory: Annotated[int, msgspec.Meta(ge=8192, le=1 << 30)]


class KeyFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """key: the scalar, or its ciphertext and tag when `protection` is there."""

    version: int
    use: str
    public: bytes
    key: bytes
    protection: Protection | None

    def __repr__(self) -> str:
        return f"KeyFile(use={self.use!r}, protected={self.protection is not None})"


def encode(use: str, scalar: bytes, passphrase: bytes | None) -> bytes:
    """use: "account", "device", "owner" or "polls"; it is bound to the encrypted key."""
    public = curve.public_bytes(curve.load_private(scalar))
    protection = None
    if passphrase is not None:
        protection = new_protection()
        scalar = bindings.crypto_aead_xchacha20poly1305_ietf_encrypt(
            scalar, _bound(use, public), protection.nonce, stretch(passphrase, protection)
        )
    written = KeyFile(version=VERSION, use=use, public=public, key=scalar, protection=protection)
    return cbor.dump(written)


def decode(data: bytes, use: str, passphrase: bytes | None) -> tuple[bytes, bool]:
    """Contents of a key file -> (scalar, protected).

    Raises SealError for a broken file, a key of another use, a missing or wrong passphrase.
    """
    read = _parse(data, use)
    if read.version != VERSION or read.use != use:
        raise SealError(f"{use} key: file is of version {read.version} for {read.use!r}")
    scalar = read.key if read.protection is None else _decrypt(read, read.protection, passphrase)
    if curve.public_bytes(curve.load_private(scalar)) != read.public:
        raise SealError(f"{use} key: private and public half do not belong together")
    return scalar, read.protection is not None


def is_protected(data: bytes, use: str) -> bool:
    """Whether a passphrase is needed. Raises SealError for a broken file."""
    return _parse(data, use).protection is not None


def new_protection() -> Protection:
    return Protection(
        salt=secrets.token_bytes(16),
        nonce=secrets.token_bytes(24),
        operations=OPERATIONS,
        memory=MEMORY_BYTES,
    )


def stretch(passphrase: bytes, protection: Protection) -> bytes:
    """A passphrase -> the key of a file, 32 bytes. Raises SealError for want of memory."""
    operations, memory = protection.operations, protection.memory
    try:
        return argon2id.kdf(
            curve.SCALAR_BYTES, passphrase, protection.salt, opslimit=operations, memlimit=memory
        )
    except CryptoError as error:
        raise SealError(f"no {memory} bytes of memory to stretch the passphrase") from error


def public_of(data: bytes, use: str) -> bytes:
    """What the file says the public half is; no passphrase is needed. Raises SealError."""
    return _parse(data, use).public


def write(path: Path, data: bytes) -> None:
    """A new file of mode 0600, on disk when this returns. Raises SealError."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise SealError(f"{path}: {error.strerror}") from error


def read_private(path: Path, limit: int = _MAX_FILE) -> bytes:
    """The bytes of a file that nobody else can read or replace, one over `limit` at most.

    Raises SealError.
    """
    # a pipe in its place must not make us wait for a writer
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise SealError(f"{path} is not a regular file")
            check_private(path, found)
            return os.read(descriptor, limit + 1)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise SealError(f"{path}: {error.strerror}") from error


def check_private(path: Path, found: os.stat_result) -> None:
    """Raises SealError unless found belongs to us and to nobody else, naming mode or owner."""
    mode = stat.S_IMODE(found.st_mode)
    if mode & 0o077:
        raise SealError(f"{path} has mode {mode:04o}; others must have no access")
    if found.st_uid != os.geteuid():
        raise SealError(f"{path} belongs to user {found.st_uid}, not to {os.geteuid()}")


def _parse(data: bytes, use: str) -> KeyFile:
    if len(data) > _MAX_FILE:
        raise SealError(f"{use} key: file is over {_MAX_FILE} bytes")
    try:
        return cbor.load(data, KeyFile)
    except ValueError as error:
        raise SealError(f"{use} key: file of {error}") from error


def _decrypt(read: KeyFile, protection: Protection, passphrase: bytes | None) -> bytes:
    if passphrase is None:
        raise SealError(f"{read.use} key is protected by a passphrase, and none was given")
    file_key = stretch(passphrase, protection)
    try:
        return bindings.crypto_aead_xchacha20poly1305_ietf_decrypt(
            read.key, _bound(read.use, read.public), protection.nonce, file_key
        )
    except (CryptoError, ValueError) as error:
        raise SealError(f"{read.use} key does not open with this passphrase") from error


def _bound(use: str, public: bytes) -> bytes:
    return _LABEL + bytes((len(use),)) + use.encode() + public

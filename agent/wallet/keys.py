"""The wallet's keys: what they can do, and where they lie.

Three P-256 keys with one use each: `account` signs AMO transactions, `device` signs seals of the
log, `owner` opens what was sealed for the owner. Others see a Signer or an Opener, never a
private key, so that a key may move into a token or a TPM without a change elsewhere.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple, NoReturn, Protocol

from agent.errors import ConfigError, SealError
from agent.files import sync_directory
from agent.wallet import curve, hpke, keyfile
from agent.wallet.address import address

USES: Final = ("account", "device", "owner")


class Signer(Protocol):
    @property
    def public(self) -> bytes:
        """65 bytes, uncompressed."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA P-256 over SHA-256 of message: r and s, 64 bytes, s low. Raises SealError."""


class Opener(Protocol):
    @property
    def public(self) -> bytes:
        """65 bytes, uncompressed."""

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The inverse of hpke.seal_to for this key. Raises SealError."""


class FileKey:
    """A key from a file; a Signer and an Opener. It shows its address and can not be copied out."""

    def __init__(self, scalar: bytes, *, protected: bool) -> None:
        self._private = curve.load_private(scalar)
        self.public = curve.public_bytes(self._private)
        self.protected = protected

    def sign(self, message: bytes) -> bytes:
        return curve.sign(self._private, message)

    def open(self, sealed: bytes, info: bytes) -> bytes:
        return hpke.open_with(self._private, sealed, info)

    def __repr__(self) -> str:
        return f"FileKey({address(self.public)}, protected={self.protected})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a private key is not pickled")


class Keys(NamedTuple):
    """protected: whether a passphrase guards every key file; show the owner when it does not."""

    account: Signer
    device: Signer
    owner: Opener
    protected: bool


def key_at(uri: str, use: str, passphrase: bytes | None = None) -> FileKey:
    """URI ("file:/var/lib/amo-agent/keys/owner.key") -> key.

    Raises ConfigError for a scheme that is not known, SealError for a key that cannot be used.
    """
    scheme, _, place = uri.partition(":")
    if scheme not in SCHEMES:
        raise ConfigError(f"key {uri!r}: no such scheme; have {sorted(SCHEMES)}")
    return SCHEMES[scheme](place, use, passphrase)


def create_keys(directory: Path, passphrase: bytes | None = None) -> Keys:
    """Three new keys in a new directory of mode 0700; all of them on disk, or none.

    The directory may exist if it is empty. Raises SealError when it is not, and when the disk
    refuses.
    """
    unfinished = directory.with_name(f".{directory.name}-unfinished")
    try:
        if directory.exists() and any(directory.iterdir()):
            raise SealError(f"{directory} is not empty; keys are never replaced")
        _make_empty(unfinished)
        for use in USES:
            data = keyfile.encode(use, curve.new_scalar(), passphrase)
            keyfile.write(unfinished / f"{use}.key", data)
        sync_directory(unfinished)
        unfinished.rename(directory)  # replaces an empty directory, refuses any other
        sync_directory(directory.parent)
    except OSError as error:
        raise SealError(f"{directory}: keys not created: {error.strerror}") from error
    return load_keys(directory, passphrase)


def load_keys(directory: Path, passphrase: bytes | None = None) -> Keys:
    """Raises SealError naming the file that is missing, broken or open to others."""
    try:
        keyfile.check_private(directory, directory.lstat())
    except OSError as error:
        raise SealError(f"{directory}: {error.strerror}") from error
    account, device, owner = (
        key_at(f"file:{directory / use}.key", use, passphrase) for use in USES
    )
    protected = account.protected and device.protected and owner.protected
    return Keys(account, device, owner, protected)


def _from_file(place: str, use: str, passphrase: bytes | None) -> FileKey:
    scalar, protected = keyfile.decode(keyfile.read_private(Path(place)), use, passphrase)
    return FileKey(scalar, protected=protected)


SCHEMES: Final[Mapping[str, Callable[[str, str, bytes | None], FileKey]]] = {"file": _from_file}
"""Where keys can lie. A key in a token or a TPM is one line here."""


def _make_empty(directory: Path) -> None:
    """What an interrupted creation left behind was never used by anybody."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700)

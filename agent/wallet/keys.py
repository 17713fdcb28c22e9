"""The wallet's keys: what they can do, and where they lie.

Three P-256 keys with one use each: `account` signs AMO transactions, `device` signs seals of the
log, `owner` opens what was sealed for the owner. Others see a Signer or an Opener, never a
private key, so that a key may move into a token or a TPM without a change elsewhere.
"""

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Final, NamedTuple, NoReturn, Protocol

from agent.errors import ConfigError, SealError
from agent.files import sync_directory
from agent.wallet import curve, hpke, keyfile
from agent.wallet.address import address
from agent.wallet.token import Counter, Custody, TokenKey, TokenOpener, open_key
from agent.wallet.tokenfile import URI, in_token, open_for

USES: Final = ("account", "device", "owner")


class Signer(Protocol):
    @property
    def public(self) -> bytes:
        """65 bytes, uncompressed."""

    @property
    def custody(self) -> Custody:
        """Where the private key lies."""

    @property
    def counter(self) -> Counter | None:
        """The hardware counter beside the key."""

    def sign(self, message: bytes) -> bytes:
        """ECDSA P-256 over SHA-256 of message: r and s, 64 bytes, s low. Raises SealError."""


class Opener(Protocol):
    @property
    def public(self) -> bytes:
        """65 bytes, uncompressed."""

    @property
    def custody(self) -> Custody:
        """Where the private key lies."""

    def open(self, sealed: bytes, info: bytes) -> bytes:
        """The inverse of hpke.seal_to for this key. Raises SealError."""


class FileKey:
    """A key from a file; a Signer and an Opener. It shows its address and can not be copied out."""

    custody: Final = "file"
    counter: Final = None

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


def key_at(uri: str, use: str, passphrase: bytes | None = None) -> Signer:
    """URI ("file:/var/lib/amo-agent/keys/device.key", "pkcs11:…", "tpm:…") -> key.

    passphrase: of a key file; the PIN of a token is in a file of its own, which the URI names
    Raises ConfigError for a URI that cannot be one, a missing library and a wrong PIN, SealError
    for a key that cannot be used.
    """
    scheme = uri.partition(":")[0]
    if scheme not in SCHEMES:
        raise ConfigError(f"key {scheme!r}: no such scheme; have {sorted(SCHEMES)}")
    return SCHEMES[scheme](uri, use, passphrase)


def create_keys(
    directory: Path,
    passphrase: bytes | None = None,
    *,
    device: Signer | None = None,
    known: Mapping[str, bytes] = MappingProxyType({}),
    tokens: Mapping[str, str] = MappingProxyType({}),
) -> Keys:
    """New keys in a new directory of mode 0700; all of them on disk, or none.

    device: the device key where it lies elsewhere; then no file is made for it
    known: scalars by use, from a recovery phrase or an older wallet; the others are random
    tokens: URIs by use, "account" or "owner", of keys that are in a token already; a file names it
    The directory may exist if it is empty. Raises SealError when it is not, and when the disk
    refuses; ConfigError and SealError for a token that cannot be used, before anything is made.
    """
    for use, uri in tokens.items():
        open_for(uri, use)
    files = {f"{use}{URI}": uri.encode() for use, uri in tokens.items()}
    elsewhere = {*tokens} if device is None else {*tokens, "device"}
    for use in USES:
        if use not in elsewhere:
            scalar = known[use] if use in known else curve.new_scalar()
            files[f"{use}.key"] = keyfile.encode(use, scalar, passphrase)
    fill(directory, files)
    return load_keys(directory, passphrase, device=device)


def fill(
    directory: Path,
    files: Mapping[str, bytes],
    finish: Callable[[Path], None] = lambda _unfinished: None,
) -> None:
    """A new directory of mode 0700 with files of mode 0600; all of it on disk, or nothing.

    finish: what is still to be done in the directory before it gets its name
    Raises SealError as create_keys.
    """
    unfinished = directory.with_name(f".{directory.name}-unfinished")
    try:
        if directory.exists() and any(directory.iterdir()):
            raise SealError(f"{directory} is not empty; keys are never replaced")
        _make_empty(unfinished)
        for name, data in files.items():
            keyfile.write(unfinished / name, data)
        finish(unfinished)
        sync_directory(unfinished)
        unfinished.rename(directory)  # replaces an empty directory, refuses any other
        sync_directory(directory.parent)
    except OSError as error:
        raise SealError(f"{directory}: keys not created: {error.strerror}") from error


def load_keys(
    directory: Path, passphrase: bytes | None = None, *, device: Signer | None = None
) -> Keys:
    """device: as in create_keys. Raises SealError naming the file that is missing, broken or
    open to others.
    """
    owner = load_owner(directory, passphrase)
    account = _account(directory, passphrase)
    if device is None:
        device = _from_file(directory / "device.key", "device", passphrase)
    files = [key for key in (account, device, owner) if isinstance(key, FileKey)]
    return Keys(account, device, owner, all(key.protected for key in files))


def load_owner(directory: Path, passphrase: bytes | None = None) -> Opener:
    """The owner's key alone. Raises SealError as load_keys, ConfigError as the token does."""
    try:
        keyfile.check_private(directory, directory.lstat())
    except OSError as error:
        raise SealError(f"{directory}: {error.strerror}") from error
    found = in_token(directory, "owner")
    if found is None:
        return _from_file(directory / "owner.key", "owner", passphrase)
    assert isinstance(found, TokenOpener)
    return found


def has_keys(directory: Path) -> bool:
    """Whether a wallet was begun there."""
    return any((directory / f"owner{suffix}").exists() for suffix in (".key", URI))


def _account(directory: Path, passphrase: bytes | None) -> Signer:
    found = in_token(directory, "account")
    if found is None:
        return _from_file(directory / "account.key", "account", passphrase)
    assert isinstance(found, TokenKey)
    return found


def _from_file(path: Path, use: str, passphrase: bytes | None) -> FileKey:
    scalar, protected = keyfile.decode(keyfile.read_private(path), use, passphrase)
    return FileKey(scalar, protected=protected)


def _in_file(uri: str, use: str, passphrase: bytes | None) -> Signer:
    return _from_file(Path(uri.removeprefix("file:")), use, passphrase)


def _in_token(uri: str, _use: str, _passphrase: bytes | None) -> Signer:
    return open_key(uri)


SCHEMES: Final[Mapping[str, Callable[[str, str, bytes | None], Signer]]] = {
    "file": _in_file,
    "pkcs11": _in_token,
    "tpm": _in_token,
}
"""Where keys can lie."""


def _make_empty(directory: Path) -> None:
    """What an interrupted creation left behind was never used by anybody."""
    if directory.exists():
        shutil.rmtree(directory)
    directory.mkdir(mode=0o700)

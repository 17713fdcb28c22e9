"""The key of the seals' MAC, which moves on with every seal and cannot be turned back.

    mac      = HMAC-SHA3-512(K(no), message)
    K(no+1)  = the first 32 bytes of HMAC-SHA3-512(K(no), "amo-agent seal key 1")

The device keeps the next key alone (`seal.key`), so that who breaks in later makes no seal of
before. Where a chain of keys begins, its first key is wrapped for the owner (`seal.root`), who can
make every later one. Forms: docs/formats/seal.md.
"""

import hashlib
import hmac
import secrets
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn, Self

import msgspec

from agent.errors import SealError
from agent.files import replace
from agent.wallet import cbor
from agent.wallet.custody import KEY_BYTES, unwrap_seal_root, wrap_seal_root
from agent.wallet.keyfile import read_private
from agent.wallet.keys import Opener

KEY: Final = "seal.key"
ROOT: Final = "seal.root"

_NEXT: Final = b"amo-agent seal key 1"
_CHECK: Final = b"amo-agent seal key check 1"
_CHECK_BYTES: Final = 8
_MAX_ROOT: Final = 1 << 20

_Number = Annotated[int, msgspec.Meta(ge=1, le=(1 << 63) - 1)]


class _KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """check: of a file that rotted it would otherwise be the owner who finds out, much later."""

    no: _Number
    key: Annotated[bytes, msgspec.Meta(min_length=KEY_BYTES, max_length=KEY_BYTES)]
    check: Annotated[bytes, msgspec.Meta(min_length=_CHECK_BYTES, max_length=_CHECK_BYTES)]

    def __repr__(self) -> str:
        return f"_KeyFile(no={self.no})"


class Root(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a chain of keys begins. first: number of its first seal; key: that key, wrapped."""

    log: bytes
    first: _Number
    key: bytes


class SealKey:
    """The key of seal `no`, the next one. Not for two threads at once."""

    def __init__(self, directory: Path, no: int, key: bytes) -> None:
        self.no = no
        self._path = directory / KEY
        self._key = key

    @classmethod
    def load(cls, directory: Path, log_id: bytes) -> Self | None:
        """None where there is no key for this log, or a file that is none any more.

        Raises SealError for one that cannot be read or that others can.
        """
        path, roots = directory / KEY, load_roots(directory)
        if not path.exists() or not roots or roots[-1].log != log_id:
            return None
        try:
            found = cbor.load(read_private(path), _KeyFile)
        except ValueError:
            return None
        whole = found.check == _check(found.no, found.key)
        return cls(directory, found.no, found.key) if whole else None

    @classmethod
    def begin(cls, directory: Path, owner_public: bytes, log_id: bytes, first: int) -> Self:
        """A new chain of keys for the seals of a log from number `first` on, kept for the owner.

        Raises SealError.
        """
        key = secrets.token_bytes(KEY_BYTES)
        wrapped = wrap_seal_root(key, owner_public, log_id, first)
        roots = [*load_roots(directory), Root(log_id, first, wrapped)]
        _keep(directory / ROOT, roots)  # before the key, or seals could be made unseen
        begun = cls(directory, first, key)
        begun._write()
        return begun

    def mac(self, no: int, message: bytes) -> bytes:
        """64 bytes. Raises SealError for any seal but the next one."""
        if no != self.no:
            raise SealError(f"the key of seal {no} is not here; the next seal is {self.no}")
        return _mac(self._key, message)

    def advance(self, no: int) -> None:
        """Seal `no` is on disk: the key becomes that of the next one. Raises SealError."""
        while self.no <= no:
            self.no, self._key = self.no + 1, _after(self._key)
        self._write()

    def _write(self) -> None:
        _keep(self._path, _KeyFile(self.no, self._key, _check(self.no, self._key)))

    def __repr__(self) -> str:
        return f"SealKey(no={self.no})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a key of seals is not pickled")


class OwnersSealKeys:
    """Every key of the seals of one log, in the owner's hands.

    firsts: the numbers at which a chain of keys begins; more than one: seals or a key were lost
    """

    def __init__(self, roots: list[Root], opener: Opener, log_id: bytes) -> None:
        """Raises SealError when a root of this log does not open, and when there is none."""
        self._roots = {
            root.first: unwrap_seal_root(root.key, opener, log_id, root.first)
            for root in roots
            if root.log == log_id
        }
        if not self._roots:
            raise SealError(f"no key of the seals of log {log_id.hex()} was kept")
        self.firsts = tuple(sorted(self._roots))
        self._last = self.firsts[0], self._roots[self.firsts[0]]

    def mac(self, no: int, message: bytes) -> bytes:
        """64 bytes, as the device made it. Quick when asked for one seal after the other.

        Raises SealError for a number before the first.
        """
        begun = [first for first in self.firsts if first <= no]
        if not begun:
            raise SealError(f"seal {no} is before the first key, that of {self.firsts[0]}")
        at, key = self._last
        if not begun[-1] <= at <= no:
            at, key = begun[-1], self._roots[begun[-1]]
        for _ in range(at, no):
            key = _after(key)
        self._last = no, key
        return _mac(key, message)


def load_roots(directory: Path) -> list[Root]:
    """Every root that was kept, in the order they were made. Raises SealError."""
    path = directory / ROOT
    if not path.exists():
        return []
    try:
        return cbor.load(read_private(path, _MAX_ROOT), list[Root])
    except ValueError as error:
        raise SealError(f"{path} is no list of keys") from error


def _mac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha3_512")


def _after(key: bytes) -> bytes:
    return _mac(key, _NEXT)[:KEY_BYTES]


def _check(no: int, key: bytes) -> bytes:
    return hashlib.sha3_256(_CHECK + no.to_bytes(8, "big") + key).digest()[:_CHECK_BYTES]


def _keep(path: Path, value: Any) -> None:
    try:
        replace(path, cbor.dump(value))
    except OSError as error:
        raise SealError(f"{path}: {error.strerror}") from error

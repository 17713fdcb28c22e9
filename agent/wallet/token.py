"""A key that is in a token for good: what all tokens have in common.

A token signs digests; what makes its answer a signature of ours (over SHA-256, s low, by the key
that was there at the start) is added here, once for all kinds of token.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal, NoReturn, Protocol

from cryptography.hazmat.primitives.asymmetric import ec

from agent.errors import ConfigError, SealError
from agent.wallet import curve, hpke
from agent.wallet.address import address

Custody = Literal["file", "pkcs11", "tpm"]
"""Where a private key lies, as seals say it: the scheme of its URI."""

_TRIAL: Final = b"amo-agent key trial 1"
"""Signed once when a key is opened, so that a wrong PIN is found then. A seal begins otherwise."""


@contextmanager
def while_running() -> Iterator[None]:
    """What was good at the start ends no run: what was a ConfigError then is a SealError now."""
    try:
        yield
    except ConfigError as error:
        raise SealError(str(error)) from error


class Counter(Protocol):
    """A number in hardware that nobody can lower: a restored disk does not bring it back."""

    def value(self) -> int:
        """Raises SealError."""

    def rise(self) -> int:
        """Raises it by one; what it is then. Raises SealError."""


class Token(Protocol):
    """One P-256 key in one token. It may wait for the hardware, so it is not for the event loop.

    Its calls raise ConfigError where a person has to change something (a PIN, the key, the URI),
    SealError where the token is away or fails; the next call then tries to reach it again.
    """

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def custody(self) -> Custody: ...

    @property
    def counter(self) -> Counter | None:
        """The one beside the key."""

    def public(self) -> bytes:
        """65 bytes, uncompressed."""

    def sign(self, digest: bytes) -> tuple[int, int]:
        """32 bytes -> r and s of ECDSA."""

    def exchange(self, public: bytes) -> bytes:
        """ECDH with the key. public: 65 bytes -> the x coordinate, 32 bytes."""

    def create(self, *, opens: bool) -> None:
        """Makes the key, which never leaves the token, unless there is one: that is an error.

        opens: for ECDH, as the owner's key is used; else for signatures
        """


class TokenKey:
    """A Signer by the key of a token."""

    def __init__(self, token: Token, public: bytes) -> None:
        """public: what the token says it is. Raises ConfigError and SealError as the token does."""
        self._token = token
        self.public = public
        self.custody = token.custody
        self.counter = token.counter
        self._sign(_TRIAL)

    @while_running()
    def sign(self, message: bytes) -> bytes:
        return self._sign(message)

    def _sign(self, message: bytes) -> bytes:
        signature = curve.fixed_width(*self._token.sign(hashlib.sha256(message).digest()))
        if not curve.verify(self.public, message, signature):
            raise SealError(f"{self._token.name}: signs with another key than at the start")
        return signature

    def __repr__(self) -> str:
        return f"TokenKey({self._token.name}, {address(self.public)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the key of a token is not pickled")


class TokenOpener:
    """An Opener by the key of a token: the token does ECDH, all else of HPKE is done here."""

    def __init__(self, token: Token, public: bytes) -> None:
        """public: what the token says it is. Raises ConfigError and SealError as the token does."""
        self._token = token
        self.public = public
        self.custody = token.custody
        trial = ec.generate_private_key(ec.SECP256R1())
        if token.exchange(curve.public_bytes(trial)) != trial.exchange(
            ec.ECDH(), curve.load_public(public)
        ):
            raise SealError(f"{token.name}: opens with another key than it shows")

    @while_running()
    def open(self, sealed: bytes, info: bytes) -> bytes:
        return hpke.open_by(self._token.exchange, self.public, sealed, info)

    def __repr__(self) -> str:
        return f"TokenOpener({self._token.name}, {address(self.public)})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("the key of a token is not pickled")


def open_opener(uri: str) -> TokenOpener:
    """Raises ConfigError and SealError as the token does."""
    token = _token(uri)
    return TokenOpener(token, token.public())


def create_opener(uri: str) -> TokenOpener:
    """A new key for ECDH alone. Raises ConfigError and SealError."""
    token = _token(uri)
    token.create(opens=True)
    return TokenOpener(token, token.public())


def open_key(uri: str) -> TokenKey:
    """Raises ConfigError and SealError as the token does."""
    token = _token(uri)
    return TokenKey(token, token.public())


def create_key(uri: str) -> TokenKey:
    """A new key, and the counter if the URI names one. Raises ConfigError and SealError."""
    token = _token(uri)
    token.create(opens=False)
    return TokenKey(token, token.public())


def _token(uri: str) -> Token:
    """What a kind of token needs is loaded, and has to be there, only where one is used."""
    scheme = uri.partition(":")[0]
    if scheme == "pkcs11":
        from agent.wallet.pkcs11 import Pkcs11Token  # noqa: PLC0415

        return Pkcs11Token(uri)
    if scheme == "tpm":
        from agent.wallet.tpm import TpmToken  # noqa: PLC0415

        return TpmToken(uri)
    raise ConfigError(f"{scheme}: is not the scheme of a token")

"""Keys in tokens with a PKCS#11 library: ATECC608, smart cards, HSMs. URI: RFC 7512.

A session is kept from one signature to the next, because a card counts each login in a cell that
wears out. When the token was away, or somebody logged us out, it is opened again.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final, NoReturn

from agent.errors import ConfigError, SealError
from agent.wallet.curve import PUBLIC_BYTES, SCALAR_BYTES, load_public
from agent.wallet.tokenuri import parse

try:
    import pkcs11
    from pkcs11 import KDF, Attribute, KeyType, Mechanism, ObjectClass
except ModuleNotFoundError as error:
    raise ConfigError("pkcs11: keys need python-pkcs11: pip install python-pkcs11") from error

P256: Final = bytes.fromhex("06082a8648ce3d030107")
"""CKA_EC_PARAMS of P-256: the object identifier 1.2.840.10045.3.1.7 in DER."""

_TOKEN: Final = ("token", "manufacturer", "model", "serial")
_OBJECT: Final = ("object", "id", "type")
_QUERY: Final = ("module-path", "pin-source")
_PIN_ERRORS: Final = (
    pkcs11.PinExpired,
    pkcs11.PinIncorrect,
    pkcs11.PinInvalid,
    pkcs11.PinLenRange,
    pkcs11.PinLocked,
)
_SIGNS: Final = pkcs11.MechanismFlag.SIGN | pkcs11.MechanismFlag.VERIFY
_LOCK: Final = threading.Lock()
"""Libraries are begun without locks of their own, so one thread at a time is in any of them."""


class Pkcs11Token:
    """The key that the URI names, in the one token that fits."""

    custody: Final = "pkcs11"
    counter: Final = None

    def __init__(self, uri: str) -> None:
        """Touches no hardware. Raises ConfigError for a URI that names no key or no library."""
        parts = parse(uri, _TOKEN + _OBJECT, _QUERY)
        self.name = parts.name
        self._pin = parts.pin()
        self._module = parts.text("module-path") or ""
        self._wanted = {name: parts.text(name) for name in _TOKEN if name in parts.path}
        self._object: dict[Attribute, Any] = {}
        if "object" in parts.path:
            self._object[Attribute.LABEL] = parts.text("object")
        if "id" in parts.path:
            self._object[Attribute.ID] = parts.octets("id")
        self._key: Any = None  # a private key; the library's types leave out what it can do
        if not self._object or parts.path.get("type", "private") != "private":
            raise ConfigError(f"{self.name}: object or id has to name a private key")
        if not Path(self._module).is_absolute() or not Path(self._module).is_file():
            raise ConfigError(f"{self.name}: module-path {self._module!r} is not a library's path")

    def public(self) -> bytes:
        with _LOCK, _one_line(self.name):
            key = self._connect()
            if key[Attribute.EXTRACTABLE]:
                raise ConfigError(f"{self.name}: the key can be taken out of its token")
            public = self._one(key.session, ObjectClass.PUBLIC_KEY)
            if public.key_type is not KeyType.EC or public[Attribute.EC_PARAMS] != P256:
                raise ConfigError(f"{self.name}: the key is not on P-256")
            # a DER octet string; some tokens leave its two first bytes out
            point: bytes = public[Attribute.EC_POINT][-PUBLIC_BYTES:]
        load_public(point)
        return point

    def sign(self, digest: bytes) -> tuple[int, int]:
        with _LOCK, _one_line(self.name):
            signature = self._trying(lambda key: _ecdsa(key, digest))
        r, s = signature[:SCALAR_BYTES], signature[SCALAR_BYTES:]
        return int.from_bytes(r, "big"), int.from_bytes(s, "big")

    def exchange(self, public: bytes) -> bytes:
        with _LOCK, _one_line(self.name):
            return self._trying(lambda key: _ecdh(key, public))

    def create(self, *, opens: bool) -> None:
        """A new key inside the token. Raises ConfigError when it already has one of this name."""
        with _LOCK, _one_line(self.name), self._open(rw=True) as session:
            if self._fitting(session, ObjectClass.PRIVATE_KEY):
                raise ConfigError(f"{self.name}: the token has this key; keys are never replaced")
            session.create_domain_parameters(
                KeyType.EC, {Attribute.EC_PARAMS: P256}, local=True
            ).generate_keypair(
                store=True,
                label=self._object.get(Attribute.LABEL),
                id=self._object.get(Attribute.ID),
                capabilities=pkcs11.MechanismFlag.DERIVE if opens else _SIGNS,
                private_template={Attribute.EXTRACTABLE: False, Attribute.SENSITIVE: True},
            )

    def _trying(self, use: Callable[[Any], bytes]) -> bytes:
        if self._key is not None:
            with suppress(pkcs11.PKCS11Error):  # the next line says whether it is over
                return use(self._key)
        return use(self._connect())

    def _connect(self) -> Any:
        try:
            self._key = self._find()
        except pkcs11.PKCS11Error:
            # many libraries see a token that was plugged in later only when they begin anew
            pkcs11.lib(self._module).reinitialize()
            self._key = self._find()
        return self._key

    def _find(self) -> Any:
        return self._one(self._open(), ObjectClass.PRIVATE_KEY)

    def _one(self, session: pkcs11.Session, kind: ObjectClass) -> Any:
        found = self._fitting(session, kind)
        if len(found) != 1:
            what = kind.name.lower().replace("_", " ")
            raise ConfigError(f"{self.name}: the token has {len(found)} of this {what}, not 1")
        return found[0]

    def _fitting(self, session: pkcs11.Session, kind: ObjectClass) -> list[pkcs11.Object]:
        return [*session.get_objects({Attribute.CLASS: kind, **self._object})]

    def _open(self, *, rw: bool = False) -> pkcs11.Session:
        token = self._token()
        try:
            # no variable holds the PIN: a traceback would keep it
            return token.open(rw=rw, user_pin=None if self._pin is None else self._pin.read())
        except pkcs11.UserAlreadyLoggedIn:  # a login is good for all sessions with a token
            return token.open(rw=rw)
        except _PIN_ERRORS as error:
            self._refuse(error)

    def _refuse(self, error: Exception) -> NoReturn:
        if self._pin is not None:
            self._pin.refuse()
        raise ConfigError(f"{self.name}: {type(error).__name__}") from error

    def _token(self) -> pkcs11.Token:
        found = [token for token in pkcs11.lib(self._module).get_tokens() if self._fits(token)]
        if not found:
            raise pkcs11.NoSuchToken("the token is not there")
        if len(found) > 1:
            raise ConfigError(f"{self.name}: {len(found)} tokens fit, not 1")
        return found[0]

    def _fits(self, token: pkcs11.Token) -> bool:
        has = {
            "token": token.label,
            "manufacturer": token.manufacturer_id,
            "model": token.model,
            "serial": token.serial.decode(errors="replace"),
        }
        return self._wanted.items() <= has.items()


def _ecdsa(key: Any, digest: bytes) -> bytes:
    if not hasattr(key, "sign"):  # the library gives a key the methods that its token allows
        raise pkcs11.PKCS11Error("the key does not sign")
    signature: bytes = key.sign(digest, mechanism=Mechanism.ECDSA)
    return signature


def _ecdh(key: Any, public: bytes) -> bytes:
    """The shared secret is an object of the session that may be read, and is removed."""
    if not hasattr(key, "derive_key"):
        raise pkcs11.PKCS11Error("the key does not open")
    secret = key.derive_key(
        KeyType.GENERIC_SECRET,
        SCALAR_BYTES * 8,
        mechanism=Mechanism.ECDH1_DERIVE,
        mechanism_param=(KDF.NULL, None, public),
        template={Attribute.SENSITIVE: False, Attribute.EXTRACTABLE: True},
    )
    try:
        value: bytes = secret[Attribute.VALUE]
    finally:
        secret.destroy()
    return value


@contextmanager
def _one_line(name: str) -> Iterator[None]:
    try:
        yield
    except pkcs11.PKCS11Error as error:
        raise SealError(f"{name}: {str(error) or type(error).__name__}") from error

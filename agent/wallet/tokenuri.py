"""Where a key in a token is, in the form of RFC 7512, and the file its PIN is read from.

pkcs11:token=car;object=device?module-path=/usr/lib/.../lib.so&pin-source=/etc/amo-agent/pin
tpm:handle=0x81010001?counter=0x01500010&pin-source=/etc/amo-agent/pin
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import unquote, unquote_to_bytes

from agent.errors import ConfigError, SealError
from agent.wallet import keyfile

_MAX_PIN: Final = 255


class Pin:
    """A PIN in a file that nobody else can read. It is read when it is needed and kept nowhere.

    A token locks itself after a few wrong PINs, so one that was refused is not sent again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._refused = False

    def read(self) -> str:
        """Raises SealError for a file that is missing, open to others, empty or not UTF-8."""
        if self._refused:
            raise SealError(f"the PIN in {self._path} was refused; restart when it is right")
        try:
            pin = keyfile.read_private(self._path).decode().removesuffix("\n")
        except UnicodeDecodeError:  # it carries what it could not decode
            raise SealError(f"{self._path} is not UTF-8") from None
        if not 0 < len(pin) <= _MAX_PIN:
            raise SealError(f"{self._path}: a PIN of {len(pin)} characters, not 1 to {_MAX_PIN}")
        return pin

    def refuse(self) -> None:
        self._refused = True

    def __repr__(self) -> str:
        return f"Pin({self._path})"


class TokenUri(NamedTuple):
    """path, query: attributes by name, as written.

    name: what messages call the key; where its PIN lies is not in it
    """

    name: str
    path: Mapping[str, str]
    query: Mapping[str, str]

    def text(self, attribute: str) -> str | None:
        """The value, decoded. Raises ConfigError where it is not UTF-8."""
        value = self.path.get(attribute, self.query.get(attribute))
        try:
            return None if value is None else unquote(value, errors="strict")
        except UnicodeDecodeError:
            raise ConfigError(f"{self.name}: {attribute} is not UTF-8") from None

    def octets(self, attribute: str) -> bytes | None:
        value = self.path.get(attribute)
        return None if value is None else unquote_to_bytes(value)

    def pin(self) -> Pin | None:
        """Raises ConfigError for a source that is not an absolute path, bare or after "file:"."""
        source = self.text("pin-source")
        if source is None:
            return None
        path = Path(source.removeprefix("file://").removeprefix("file:"))
        if not path.is_absolute():
            raise ConfigError(f"{self.name}: pin-source is not the absolute path of a file")
        return Pin(path)


def parse(uri: str, path: Collection[str], query: Collection[str]) -> TokenUri:
    """path, query: names of the attributes that may be there.

    Raises ConfigError for any other and for one that is there twice, and never shows a value: it
    may be a PIN in the wrong place.
    """
    scheme, _, rest = uri.partition(":")
    if not uri.isascii() or not uri.isprintable():
        raise ConfigError(f"{scheme!r}: the URI of a key has characters that are not of a URI")
    before, _, behind = rest.partition("?")
    return TokenUri(
        f"{scheme}:{before}",
        _attributes(scheme, before.split(";"), path),
        _attributes(scheme, behind.split("&"), query),
    )


def _attributes(scheme: str, parts: list[str], known: Collection[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in filter(None, parts):
        name, _, value = part.partition("=")
        if name == "pin-value":
            raise ConfigError(f"{scheme}: pin-value is refused; name a file by pin-source")
        if not value:
            raise ConfigError(f"{scheme}: an attribute is not of the form name=value")
        if name not in known or name in found:
            raise ConfigError(f"{scheme}: {name!r} is there twice or none of {sorted(known)}")
        found[name] = value
    return found

"""Key files of a node: the validator's, in Tendermint's own form, and the operator's account."""

import json
import secrets
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Final

from nacl.signing import SigningKey

from agent import files
from agent.amo.p256 import Account
from agent.amo.tendermint.validators import public_key_json, validator_address
from agent.errors import SealError, UsageError

_PRIVATE_TYPE: Final = "tendermint/PrivKeyEd25519"
_PRIVATE_BYTES: Final = 64
_SEED_BYTES: Final = 32
_MAX_FILE_BYTES: Final = 65_536


def load_validator_key(path: Path) -> SigningKey:
    """From a priv_validator_key.json. Raises UsageError, which never shows what was in it."""
    try:
        value = json.loads(_read(path))["priv_key"]["value"]
        private = b64decode(value, validate=True)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UsageError(f"validator key {path} is no priv_validator_key.json") from error
    key = SigningKey(private[:_SEED_BYTES]) if len(private) == _PRIVATE_BYTES else None
    if key is None or bytes(key.verify_key) != private[_SEED_BYTES:]:
        raise UsageError(f"validator key {path} is not an Ed25519 key of {_PRIVATE_BYTES} bytes")
    return key


def save_validator_key(path: Path, key: SigningKey) -> None:
    public = bytes(key.verify_key)
    document = {
        "address": validator_address(public).hex().upper(),
        "pub_key": public_key_json(public),
        "priv_key": {"type": _PRIVATE_TYPE, "value": b64encode(bytes(key) + public).decode()},
    }
    _write(path, json.dumps(document, indent=2))


def validator_key_in(directory: Path | None, number: int = 1) -> SigningKey:
    """The key kept in the directory, made there at first; without a directory a new one.

    number: which one, where there are several
    """
    if directory is None:
        return SigningKey.generate()
    path = directory / f"priv_validator_key{_nth(number)}.json"
    if not path.exists():
        save_validator_key(path, SigningKey.generate())
    return load_validator_key(path)


def operator_in(directory: Path | None, number: int = 1) -> Account:
    """The account that holds a validator's stake; kept as its key is. The first has the storage."""
    if directory is None:
        return Account.generate()
    path = directory / f"operator_key{_nth(number)}"
    if not path.exists():
        _write(path, secrets.token_hex(_SEED_BYTES))
    try:
        return Account.from_private(bytes.fromhex(_read(path).decode().strip()))
    except (ValueError, SealError) as error:
        raise UsageError(f"operator key {path} is not a private key in hex") from error


def _nth(number: int) -> str:
    return "" if number == 1 else f"_{number}"


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_MAX_FILE_BYTES)
    except OSError as error:
        raise UsageError(f"key file {path}: {error.strerror}") from error


def _write(path: Path, text: str) -> None:
    """Readable by its owner alone from the first byte on, and never half there."""
    try:
        files.replace(path, text.encode())
    except OSError as error:
        raise UsageError(f"key file {path}: {error.strerror}") from error

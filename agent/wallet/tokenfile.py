"""A key of the wallet that is in a token: in its place lies a file with the URI of the token."""

from pathlib import Path
from typing import Final

from agent.errors import SealError
from agent.wallet import keyfile
from agent.wallet.token import TokenKey, TokenOpener, open_key, open_opener

URI: Final = ".uri"
"""Suffix of a file that names the token a key is in, instead of the key."""


def token_of(directory: Path, use: str) -> str | None:
    """URI of a key of the wallet that is in a token; None where it is in a file, or not there.

    Raises SealError.
    """
    path = directory / f"{use}{URI}"
    if not path.exists():
        return None
    try:
        return keyfile.read_private(path).decode("ascii").strip()
    except UnicodeDecodeError as error:
        raise SealError(f"{path} holds no URI") from error


def in_token(directory: Path, use: str) -> TokenKey | TokenOpener | None:
    """The key that token_of tells of, open. Raises ConfigError and SealError as the token does."""
    uri = token_of(directory, use)
    return None if uri is None else open_for(uri, use)


def open_for(uri: str, use: str) -> TokenKey | TokenOpener:
    """The owner's key opens, every other signs. Raises what the token does."""
    return open_opener(uri) if use == "owner" else open_key(uri)

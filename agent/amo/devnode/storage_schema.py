"""What a storage service wants of the JSON it is sent; each form has its own words for it."""

import re
from typing import Final

OPERATIONS: Final = ["upload", "inspect", "download", "remove"]

_HEX: Final = "^[a-fA-F0-9]+$"
_ADDRESS: Final = "^[a-fA-F0-9]{40}$"
_BYTES: Final = "^([a-fA-F0-9]{2})+$"


class SchemaError(Exception):
    """how: `required`, `type`, `enum` or `pattern`; value: what was sent; wanted: instead."""

    def __init__(self, how: str, value: object, wanted: object) -> None:
        super().__init__(how)
        self.how = how
        self.value = value
        self.wanted = wanted


def auth_request(sent: object) -> dict[str, object]:
    """A user and an operation with its name and its hash or id. Raises SchemaError."""
    members = _object(sent)
    _required(members, "user", "operation")
    _string(members["user"])
    operation = _object(members["operation"])
    _required(operation, "name")
    if operation["name"] not in OPERATIONS:
        raise SchemaError("enum", operation["name"], OPERATIONS)
    if operation["name"] == "upload":
        _required(operation, "hash")
        _matching(operation["hash"], _HEX)
    else:
        _required(operation, "id")
        _string(operation["id"])
    return members


def upload_request(sent: object) -> tuple[str, dict[str, object], bytes]:
    """Owner's address, metadata with an owner, and a body of at least one byte in hex."""
    members = _object(sent)
    _required(members, "owner", "metadata", "data")
    owner = _matching(members["owner"], _ADDRESS)
    metadata = _object(members["metadata"])
    _required(metadata, "owner")
    return owner, metadata, bytes.fromhex(_matching(members["data"], _BYTES))


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise SchemaError("type", value, "object")
    return value


def _string(value: object) -> str:
    if not isinstance(value, str):
        raise SchemaError("type", value, "string")
    return value


def _required(members: dict[str, object], *names: str) -> None:
    for name in names:
        if name not in members:
            raise SchemaError("required", members, name)


def _matching(value: object, pattern: str) -> str:
    text = _string(value)
    if not re.fullmatch(pattern, text):
        raise SchemaError("pattern", text[:80], pattern)
    return text

"""Canonical CBOR (RFC 8949, section 4.2.1) of what has a form, and back."""

from typing import Any, TypeVar

import cbor2
import msgspec

T = TypeVar("T")


def dump(value: Any) -> bytes:
    return cbor2.dumps(msgspec.to_builtins(value, builtin_types=(bytes,)), canonical=True)


def load(data: bytes, form: type[T]) -> T:
    """Raises ValueError, which says nothing of what it read: that may be a key."""
    try:
        content = cbor2.loads(data, max_depth=4, allow_indefinite=False, allow_duplicate_keys=False)
        return msgspec.convert(content, form, builtin_types=(bytes,))
    except (cbor2.CBORError, msgspec.ValidationError, ValueError, OverflowError):
        raise ValueError(f"{len(data)} bytes cannot be read") from None

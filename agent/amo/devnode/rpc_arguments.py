"""Arguments of RPC methods, from JSON and from the query of a GET.

Over JSON integers are quoted, booleans are bare, transactions and hashes are base64 and query
data is hex. Over GET texts are quoted, bytes are `0x` and hex or a quoted text taken as it is.
"""

import json
import re
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from typing import Final

from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import unhex
from agent.amo.devnode.rpc_error import RpcError, invalid_params

Argument = int | bool | str | bytes | None
Arguments = Mapping[str, Argument]


class Form(Enum):
    INTEGER = auto()
    BOOLEAN = auto()
    TEXT = auto()
    BASE64 = auto()
    HEX = auto()


Signature = Mapping[str, Form]
"""Names of a method's arguments in their order. A missing one is None."""

_INT64: Final = range(-(1 << 63), 1 << 63)
_INTEGER: Final = re.compile(r"-?[0-9]{1,19}", re.ASCII)
_BASE64: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
_SHOWN: Final = 80


class _MisfitError(Exception):
    """One argument is not of its form; the message is the node's own."""


def from_json(signature: Signature, params: object) -> Arguments:
    """params: an object, or a list in the order of the arguments. Raises RpcError."""
    try:
        named = _named(signature, params)
        return {name: _JSON[form](named.get(name)) for name, form in signature.items()}
    except _MisfitError as error:
        raise invalid_params(str(error)) from error


def from_query(signature: Signature, query: Mapping[str, str]) -> Arguments:
    """Raises RpcError."""
    try:
        return {name: _from_text(form, query.get(name, "")) for name, form in signature.items()}
    except _MisfitError as error:
        raise invalid_params(str(error), "http") from error


def missing_params() -> RpcError:
    """What the reference answers when `params` is not there at all: its handler breaks."""
    text = "reflect: Call with too few input arguments"
    return RpcError(-32603, "Internal error", text, status=500)


def _named(signature: Signature, params: object) -> Mapping[str, object]:
    if params is None:
        return {}
    if isinstance(params, Mapping):
        return params
    if not isinstance(params, Sequence) or isinstance(params, str):
        raise _MisfitError("unknown type for JSON params. Expected map or array")
    if len(params) != len(signature):
        wanted = f"{len(signature)} parameters ([{' '.join(signature)}])"
        raise _MisfitError(f"expected {wanted}, got {len(params)}")
    return dict(zip(signature, params, strict=True))


def _integer(value: object) -> int | None:
    if value is None:
        return None
    if not isinstance(value, str):
        rule = "Amino:JSON int/int64/uint/uint64 expects quoted values"
        text = f"{rule} for javascript numeric support, got: {_shown(value)}."
        raise _MisfitError(f"invalid character -- {text}")
    if not _INTEGER.fullmatch(value):
        raise _MisfitError(_no_number(value))
    if int(value) not in _INT64:
        raise _MisfitError(f"json: cannot unmarshal number {value} into Go value of type int64")
    return int(value)


def _boolean(value: object) -> bool | None:
    if value is None or isinstance(value, bool):
        return value
    raise _misfit(value, "bool")


def _text(value: object) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise _misfit(value, "string")


def _base64(value: object) -> bytes | None:
    text = _bytes_text(value, "[]uint8")
    if text is None:
        return None
    plain = text.replace(b"\n", b"").replace(b"\r", b"")
    try:
        return b64decode(plain, validate=True)
    except ValueError as error:
        wrong = (at for at, byte in enumerate(plain) if byte not in _BASE64)
        at = next(wrong, len(plain) // 4 * 4)
        raise _MisfitError(f"illegal base64 data at input byte {at}") from error


def _hex(value: object) -> bytes | None:
    text = _bytes_text(value, "bytes.HexBytes")
    try:
        return None if text is None else unhex(text)
    except TxFailedError as error:
        raise _MisfitError(str(error)) from error


def _bytes_text(value: object, kind: str) -> bytes | None:
    if value is None:
        return None
    if not isinstance(value, str):
        raise _misfit(value, kind)
    return value.encode("utf-8", "replace")


def _from_text(form: Form, text: str) -> Argument:
    """One value of a query; an empty one is not there."""
    if not text:
        return None
    of_bytes = form in (Form.BASE64, Form.HEX)
    if form is Form.INTEGER and _INTEGER.fullmatch(text):
        return _integer(text)
    if text[:2].lower() == "0x" and form in (Form.BASE64, Form.HEX, Form.TEXT):
        data = _hex(text[2:]) or b""
        return data if of_bytes else data.decode("utf-8", "replace")
    try:
        value: object = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _MisfitError(_no_number(text)) from error
    if of_bytes:
        return _bytes_text(value, "[]uint8")
    return _JSON[form](value)


def _no_number(text: str) -> str:
    if not text:
        return "unexpected end of JSON input"
    return f"invalid character {text[0]!r} looking for beginning of value"


def _misfit(value: object, kind: str) -> _MisfitError:
    words = {str: "string", bool: "bool", int: "number", float: "number", list: "array"}
    word = words.get(type(value), "object")
    return _MisfitError(f"json: cannot unmarshal {word} into Go value of type {kind}")


def _shown(value: object) -> str:
    return json.dumps(value)[:_SHOWN]


_JSON: Final[Mapping[Form, Callable[[object], Argument]]] = {
    Form.INTEGER: _integer,
    Form.BOOLEAN: _boolean,
    Form.TEXT: _text,
    Form.BASE64: _base64,
    Form.HEX: _hex,
}

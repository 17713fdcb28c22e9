"""Questions to the committed state: the paths of `abci_query`.

An answer is JSON; it stands as text in `log` and as bytes in `value`.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

from agent.amo import rawjson
from agent.amo.codes import QueryCode
from agent.amo.devnode.genesis import PROTOCOLS
from agent.amo.devnode.ledger import Ledger
from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import read_hex
from agent.amo.devnode.query_paths import BY_KEY, Answer, UnansweredError
from agent.amo.devnode.records import amount_text, encode_object
from agent.errors import MalformedInputError

APP_VERSION: Final = "v1.9.1"
"""The reference this node answers like."""

_COIN_ID: Final = re.compile(r"[0-9]{1,10}", re.ASCII)
_MAX_COIN_ID: Final = 1 << 31


def ask(ledger: Ledger, path: str, data: bytes) -> Answer:
    """Never raises: what cannot be answered has a code above 1000."""
    name, *rest = path.removeprefix("/").split("/")
    try:
        if name in _WHOLE_CHAIN and not rest:
            value = _WHOLE_CHAIN[name](ledger)
            return Answer(QueryCode.OK, value.decode(), name.encode(), value)
        value = _find(ledger, name, rest, data)
    except UnansweredError as unanswered:
        return unanswered.answer
    except (TxFailedError, MalformedInputError):
        return Answer(QueryCode.BAD_KEY, "error: unmarshal")
    return Answer(QueryCode.OK, value.decode("utf-8", "replace"), data, value)


def _find(ledger: Ledger, name: str, rest: list[str], data: bytes) -> bytes:
    if name in _BY_COIN and len(rest) <= 1:
        coin = _coin_id(name, rest)
        return amount_text(_BY_COIN[name](ledger, read_hex(_value(data)), coin))
    if name not in BY_KEY or rest:
        raise UnansweredError(QueryCode.BAD_PATH, "")
    return BY_KEY[name](ledger, _value(data))


def _coin_id(name: str, rest: list[str]) -> int:
    if not rest and name == "balance":
        return 0
    if not rest or not _COIN_ID.fullmatch(rest[0]) or int(rest[0]) >= _MAX_COIN_ID:
        raise UnansweredError(QueryCode.BAD_PATH, "")
    return int(rest[0])


def _value(data: bytes) -> bytes:
    """The one JSON value of the query, without white space."""
    if not data:
        raise UnansweredError(QueryCode.NO_KEY, "error: no query_data")
    return rawjson.compact(data)


def _version(ledger: Ledger) -> bytes:
    numbers = ",".join(str(version) for version in PROTOCOLS)
    now = str(ledger.protocol).encode()
    return encode_object(
        ("app_version", f'"{APP_VERSION}"'.encode()),
        ("app_protocol_versions", f"[{numbers}]".encode()),
        ("state_protocol_version", now),
        ("app_protocol_version", now),
    )


_WHOLE_CHAIN: Final[Mapping[str, Callable[[Ledger], bytes]]] = {
    "version": _version,
    "config": lambda ledger: ledger.config.stored,
}
_BY_COIN: Final[Mapping[str, Callable[[Ledger, bytes, int], int]]] = {
    "balance": lambda ledger, address, coin: ledger.state.balance(address, coin),
    "udclock": lambda ledger, address, coin: ledger.state.udc_lock(address, coin),
}

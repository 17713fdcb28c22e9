"""What each path of `abci_query` answers about one entry of the state, as JSON."""

import re
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from agent.amo import rawjson
from agent.amo.codes import QueryCode
from agent.amo.devnode.ledger import Ledger
from agent.amo.devnode.payload import MAX_UINT32, fields, read_hex, unquote
from agent.amo.devnode.records import amount_text, encode_object, hex_text
from agent.amo.tendermint.validators import ADDRESS_BYTES
from agent.errors import AgentError

_WHOLE: Final = re.compile(rb"0|[1-9][0-9]{0,9}")


@dataclass(frozen=True, slots=True)
class Answer:
    """key and value are None where nothing was found."""

    code: QueryCode
    log: str
    key: bytes | None = None
    value: bytes | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "code": int(self.code),
            "log": self.log,
            "info": "",
            "index": "0",
            "key": None if self.key is None else b64encode(self.key).decode(),
            "value": None if self.value is None else b64encode(self.value).decode(),
            "proof": None,
            "height": "0",
            "codespace": "",
        }


class UnansweredError(AgentError):
    def __init__(self, code: QueryCode, log: str, key: bytes | None = None) -> None:
        super().__init__(log)
        self.answer = Answer(code, log, key)


def _coin(ledger: Ledger, data: bytes) -> bytes:
    coin = ledger.state.coin(_number(data))
    return b"null" if coin is None else coin.encode()


def _stake(ledger: Ledger, data: bytes) -> bytes:
    holder = read_hex(data)
    own = ledger.stakes.of_holder(holder)
    if not own:
        raise _none("error: no stake")
    delegates = [
        encode_object(
            ("delegator", hex_text(delegator)),
            ("delegatee", hex_text(holder)),
            ("amount", amount_text(amount)),
        )
        for delegator, amount in ledger.stakes.delegators(holder)
    ]
    return encode_object(
        ("validator", hex_text(own[0].public)),
        ("amount", amount_text(ledger.stakes.held(holder))),
        ("delegates", _list(delegates)),
    )


def _delegate(ledger: Ledger, data: bytes) -> bytes:
    delegation = ledger.stakes.delegation(read_hex(data))
    if delegation is None:
        raise _none("error: no delegate")
    return delegation.encode()


def _validator(ledger: Ledger, data: bytes) -> bytes:
    return hex_text(ledger.stakes.holder_of(read_hex(data)))


def _hibernate(_ledger: Ledger, data: bytes) -> bytes:
    read_hex(data)
    raise UnansweredError(QueryCode.NO_MATCH, "", data)


def _storage(ledger: Ledger, data: bytes) -> bytes:
    storage = ledger.state.storage(_number(data))
    if storage is None:
        raise _none("error: no such storage")
    return storage.encode()


def _draft(_ledger: Ledger, data: bytes) -> bytes:
    _number(data)
    raise _none("error: no draft")


def _vote(_ledger: Ledger, data: bytes) -> bytes:
    fields(data, "vote")
    raise _none("error: no vote")


def _parcel(ledger: Ledger, data: bytes) -> bytes:
    parcel_id = read_hex(data)
    parcel = ledger.state.parcel(parcel_id)
    if parcel is None:
        raise _none("error: no such parcel")
    members = [parcel.encode()[:-1]]
    for name, kind in ((b"requests", b"request:"), (b"usages", b"usage:")):
        found = ledger.state.of_parcel(kind, parcel_id)
        listed = _list([_with_recipient(record, buyer) for buyer, record in found])
        if listed:
            members.append(b'"%s":%s' % (name, listed))
    return b",".join(members) + b"}"


def _request(ledger: Ledger, data: bytes) -> bytes:
    buyer, parcel_id = _buyer_and_parcel(data)
    request = ledger.state.request(buyer, parcel_id)
    if request is None:
        raise _none("error: no request")
    return _with_recipient(request.encode(), buyer)


def _usage(ledger: Ledger, data: bytes) -> bytes:
    buyer, parcel_id = _buyer_and_parcel(data)
    usage = ledger.state.usage(buyer, parcel_id)
    if usage is None:
        raise _none("error: no usage")
    return _with_recipient(usage, buyer)


def _did(ledger: Ledger, data: bytes) -> bytes:
    return _entry(ledger, b"did:", data, "error: no such did entry")


def _credential(ledger: Ledger, data: bytes) -> bytes:
    return _entry(ledger, b"vc:", data, "error: no such VC entry")


def _entry(ledger: Ledger, kind: bytes, data: bytes, absent: str) -> bytes:
    if data[:1] != b'"':
        raise UnansweredError(QueryCode.BAD_KEY, "error: unmarshal")
    entry = ledger.state.tree.get(kind + unquote(data).encode())
    if entry is None:
        raise _none(absent)
    return entry


def _buyer_and_parcel(data: bytes) -> tuple[bytes, bytes]:
    given = {unquote(name): value for name, value in rawjson.members(data)}
    for name in ("recipient", "target"):
        if name not in given:
            raise UnansweredError(QueryCode.BAD_KEY, f"error: {name} is missing")
    buyer, parcel_id = read_hex(given["recipient"]), read_hex(given["target"])
    if len(buyer) != ADDRESS_BYTES:
        raise UnansweredError(QueryCode.BAD_KEY, "error: not avaiable address")
    return buyer, parcel_id


def _with_recipient(record: bytes, buyer: bytes) -> bytes:
    return record[:-1] + b',"recipient":' + hex_text(buyer) + b"}"


def _number(data: bytes) -> int:
    if not _WHOLE.fullmatch(data) or int(data) > MAX_UINT32:
        raise UnansweredError(QueryCode.BAD_KEY, "error: unmarshal")
    return int(data)


def _list(items: list[bytes]) -> bytes | None:
    return b"[" + b",".join(items) + b"]" if items else None


def _none(log: str) -> UnansweredError:
    return UnansweredError(QueryCode.NO_MATCH, log)


BY_KEY: Final[Mapping[str, Callable[[Ledger, bytes], bytes]]] = {
    "udc": _coin,
    "stake": _stake,
    "delegate": _delegate,
    "validator": _validator,
    "hibernate": _hibernate,
    "storage": _storage,
    "draft": _draft,
    "vote": _vote,
    "parcel": _parcel,
    "request": _request,
    "usage": _usage,
    "did": _did,
    "vc": _credential,
}

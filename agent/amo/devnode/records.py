"""Records of the state, and the JSON in which the node keeps them.

Fields stand in a fixed order, addresses and hex in upper case, amounts as strings. `extra`,
documents and credentials are kept as the sender spelt them, without white space.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from agent.amo.devnode.payload import Payload, quote, stored_amount


@dataclass(frozen=True, slots=True)
class Extra:
    """What owner, buyer and owner again added: raw JSON, empty where there was nothing."""

    register: bytes = b""
    request: bytes = b""
    grant: bytes = b""

    def encode(self) -> bytes:
        return encode_object(
            ("register", self.register or None),
            ("request", self.request or None),
            ("grant", self.grant or None),
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        read = Payload(raw or b"null", "Extra")
        return cls(read.raw("register"), read.raw("request"), read.raw("grant"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Storage:
    owner: bytes
    url: str
    registration_fee: int
    hosting_fee: int
    active: bool

    def encode(self) -> bytes:
        return encode_object(
            ("owner", hex_text(self.owner)),
            ("url", quote(self.url)),
            ("registration_fee", amount_text(self.registration_fee)),
            ("hosting_fee", amount_text(self.hosting_fee)),
            ("active", _flag(self.active)),
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        read = Payload(raw, "Storage")
        return cls(
            owner=read.hex("owner"),
            url=read.text("url"),
            registration_fee=read.amount("registration_fee"),
            hosting_fee=read.amount("hosting_fee"),
            active=read.flag("active"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """proxy: account that may act for the owner; empty for none."""

    owner: bytes
    custody: bytes
    proxy: bytes
    extra: Extra
    on_sale: bool

    def encode(self) -> bytes:
        return encode_object(
            ("owner", hex_text(self.owner)),
            ("custody", hex_text(self.custody)),
            ("proxy_account", hex_text(self.proxy) if self.proxy else None),
            ("extra", self.extra.encode()),
            ("on_sale", _flag(self.on_sale)),
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        read = Payload(raw, "Parcel")
        return cls(
            owner=read.hex("owner"),
            custody=read.hex("custody"),
            proxy=read.hex("proxy_account"),
            extra=Extra.decode(read.raw("extra")),
            on_sale=read.flag("on_sale"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """payment and dealer_fee: mote held until the request is granted or cancelled."""

    payment: int
    agency: bytes
    dealer: bytes
    dealer_fee: int
    extra: Extra

    def encode(self) -> bytes:
        return encode_object(
            ("payment", amount_text(self.payment)),
            ("agency", hex_text(self.agency) if self.agency else None),
            ("dealer", hex_text(self.dealer) if self.dealer else None),
            ("dealer_fee", amount_text(self.dealer_fee)),
            ("extra", self.extra.encode()),
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        read = Payload(raw, "Request")
        return cls(
            payment=read.amount("payment"),
            agency=read.hex("agency"),
            dealer=read.hex("dealer"),
            dealer_fee=read.amount("dealer_fee"),
            extra=Extra.decode(read.raw("extra")),
        )


@dataclass(frozen=True, slots=True)
class Usage:
    custody: bytes
    extra: Extra

    def encode(self) -> bytes:
        return encode_object(("custody", hex_text(self.custody)), ("extra", self.extra.encode()))


@dataclass(frozen=True, slots=True)
class Coin:
    """A user-defined coin. operators: None where none were ever named."""

    owner: bytes
    desc: str
    operators: Sequence[bytes] | None
    total: int

    def encode(self) -> bytes:
        operators = b"null"
        if self.operators is not None:
            operators = b"[" + b",".join(hex_text(each) for each in self.operators) + b"]"
        return encode_object(
            ("owner", hex_text(self.owner)),
            ("desc", quote(self.desc)),
            ("operators", operators),
            ("total", amount_text(self.total)),
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        read = Payload(raw, "UDC")
        operators = read.hex_list("operators")
        return cls(
            read.hex("owner"), read.text("desc"), operators, stored_amount(read.raw("total"))
        )


@dataclass(frozen=True, slots=True)
class Delegation:
    delegatee: bytes
    amount: int

    def encode(self) -> bytes:
        return encode_object(
            ("delegatee", hex_text(self.delegatee)), ("amount", amount_text(self.amount))
        )

    @classmethod
    def decode(cls, raw: bytes) -> Self:
        read = Payload(raw, "Delegate")
        return cls(read.hex("delegatee"), stored_amount(read.raw("amount")))


def encode_object(*members: tuple[str, bytes | None]) -> bytes:
    """A compact JSON object; members that are None are left out."""
    texts = [b'"%s":%s' % (name.encode(), value) for name, value in members if value is not None]
    return b"{" + b",".join(texts) + b"}"


def hex_text(data: bytes) -> bytes:
    return b'"%s"' % data.hex().upper().encode()


def amount_text(amount: int) -> bytes:
    return b'"%d"' % amount


def _flag(value: bool) -> bytes:  # noqa: FBT001 (a JSON value, not a switch)
    return b"true" if value else b"false"

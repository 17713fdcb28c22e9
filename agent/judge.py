"""What the owner's rules say to a request, by what is asked for and what they granted so far."""

from collections import Counter
from collections.abc import Iterable

import msgspec

from agent import rules
from agent.books import Books
from agent.clock import Clock
from agent.contents import Content, Contents
from agent.events import ParcelRegistered, TxSigned
from agent.eventstore.log import EventReader
from agent.owner import Opener
from agent.privacy import Level
from agent.record import Journal
from agent.wallet.consent import Decision, History, Request, Used, decide
from agent.wallet.policy import parse_policy


class Asked(msgspec.Struct, frozen=True):
    """A buyer's request. public: 65 bytes; empty where none was found."""

    buyer: str
    public: bytes
    payment_mote: int


class Judge:
    """Of one log. opener: of what is sealed for the owner."""

    def __init__(
        self, *, log: EventReader, books: Books, journal: Journal, opener: Opener, clock: Clock
    ) -> None:
        self._log = log
        self._books = books
        self._journal = journal
        self._opener = opener
        self._clock = clock
        self._contents = Contents(log, opener.open)

    def policy(self) -> str:
        """The owner's rules, as text. Raises SealError."""
        with self._books.model() as model:
            return rules.last_policy(self._log, model, self._opener)

    def set_policy(self, text: str) -> None:
        """Raises ConfigError for rules that cannot be used, and StoreError."""
        rules.set_policy(text, self._journal)

    def content(self, parcel: ParcelRegistered) -> Content:
        return self._contents.of(parcel)

    def request(self, parcel: ParcelRegistered, asked: Asked) -> Request:
        """With all that a rule may look at."""
        content = self._contents.of(parcel)
        return Request(
            parcel_id=parcel.parcel_id,
            level=Level(parcel.parcel_level),
            buyer_address=asked.buyer,
            buyer_public=asked.public,
            payment_mote=asked.payment_mote,
            kinds=content.kinds,
            since_ns=content.since_ns,
            until_ns=content.until_ns,
            places=rules.places(self._log, self._opener, parcel.first_seq, parcel.last_seq),
        )

    def decide(self, request: Request, under_way: Iterable[TxSigned]) -> Decision:
        """under_way: transactions that may still be executed; their grants count as made."""
        granting = Counter(signed.by for signed in under_way if signed.tx_kind == "grant")
        with self._books.model() as model:
            told = rules.history(model, self._clock)
            policy = parse_policy(rules.last_policy(self._log, model, self._opener))
        return decide(request, policy, _with(told, granting))


def _with(told: History, granting: Counter[str]) -> History:
    used = dict(told.used)
    for name, count in granting.items():
        before = used.get(name, Used())
        used[name] = Used(before.total + count, before.day + count)
    return msgspec.structs.replace(told, used=used)

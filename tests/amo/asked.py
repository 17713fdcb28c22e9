"""Random payloads of every type a car or its owner sends, from arguments that may be any good."""

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from agent.amo import dids, payload
from agent.amo.p256 import Account
from agent.errors import UsageError

ACCOUNTS = [Account.from_seed(f"random {number}") for number in range(8)]
MAX_MOTE = 2**256 - 2
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=5,
)
EXTRA = st.none() | st.dictionaries(TEXT, JSON, max_size=3)
HEX = st.sampled_from("0123456789ABCDEFabcdef")


def digits(low: int, high: int) -> st.SearchStrategy[str]:
    return st.text(HEX, min_size=low, max_size=high)


ADDRESS = st.sampled_from([account.address for account in ACCOUNTS])
MOTE = st.integers(1, MAX_MOTE) | st.integers(1, 10**21)
NUMBER = st.integers(0, 2**32 - 1)
PARCEL = st.binary(min_size=5, max_size=40).map(bytes.hex)
CUSTODY = st.binary(max_size=120)
DID = ADDRESS.map(dids.did_of)
CREDENTIAL = st.binary(min_size=32, max_size=32).map(lambda b: f"amo:cred:{b.hex().upper()}")
DOCUMENT = st.builds(
    lambda account, extra: {**dids.document_of(account.public), "service": extra},
    st.sampled_from(ACCOUNTS),
    JSON,
)


def credentials(sender: Account) -> st.SearchStrategy[dict[str, Any]]:
    fields = {"id": CREDENTIAL, "issued": st.text(min_size=1, max_size=9), "claim": JSON}
    return st.fixed_dictionaries(fields).map(
        lambda made: {**made, "issuer": dids.did_of(sender.address)}
    )


def good(sender: Account) -> dict[str, st.SearchStrategy[dict[str, Any]]]:
    """Type -> payloads that this sender can send."""
    other = ADDRESS.filter(lambda address: address != sender.address)
    options = {"recipient": st.none() | ADDRESS, "extra": EXTRA}
    return {
        "transfer": st.builds(payload.transfer, other, mote=MOTE, udc=NUMBER)
        | st.builds(payload.transfer, other, parcel=PARCEL),
        "stake": st.builds(payload.stake, st.binary(min_size=32, max_size=32), MOTE),
        "withdraw": st.builds(payload.withdraw, MOTE),
        "delegate": st.builds(payload.delegate, other, MOTE),
        "retract": st.builds(payload.retract, MOTE),
        "vote": st.builds(payload.vote, NUMBER, approve=st.booleans()),
        "setup": st.builds(
            payload.setup, NUMBER, TEXT, registration_fee=MOTE, hosting_fee=st.just(0)
        ),
        "close": st.builds(payload.close, NUMBER),
        "register": st.builds(
            payload.register, PARCEL, CUSTODY, proxy=st.none() | ADDRESS, extra=EXTRA
        ),
        "discard": st.builds(payload.discard, PARCEL),
        "request": st.builds(payload.request, PARCEL, MOTE, **options)
        | st.builds(payload.request, PARCEL, MOTE, dealer=ADDRESS, dealer_fee=MOTE),
        "cancel": st.builds(payload.cancel, PARCEL, recipient=options["recipient"]),
        "grant": st.builds(payload.grant, PARCEL, ADDRESS, CUSTODY, extra=EXTRA),
        "revoke": st.builds(payload.revoke, PARCEL, ADDRESS),
        "did.claim": DOCUMENT.map(dids.claim),
        "did.dismiss": DID.map(dids.dismiss),
        "did.issue": credentials(sender).map(dids.issue),
        "did.revoke": CREDENTIAL.map(dids.revoke),
    }


WILD_MOTE = st.integers(-3, 3) | st.integers() | st.integers(MAX_MOTE - 1, MAX_MOTE + 2)
WILD_TEXT = digits(36, 42) | digits(0, 12) | ADDRESS | DID | CREDENTIAL | st.text(max_size=45)
WILD_ADDRESS = ADDRESS | ADDRESS.map(str.lower) | WILD_TEXT
WILD_PARCEL = PARCEL | PARCEL.map(str.upper) | WILD_TEXT
WILD_NUMBER = st.integers(-2, 3) | st.integers(2**32 - 2, 2**32 + 1) | st.integers()
WILD_DOCUMENT = st.builds(
    lambda base, changes: {**base, **changes},
    DOCUMENT,
    st.dictionaries(
        st.sampled_from(["@context", "id", "controller", "ID", "verificationMethod"])
        | st.sampled_from(["authentication", "assertionMethod", "Authentication"]),
        JSON | DID | st.lists(DID, max_size=2),
        max_size=3,
    ),
)
WILD_CREDENTIAL = st.builds(
    lambda base, changes: {**base, **changes},
    st.sampled_from(ACCOUNTS).flatmap(credentials),
    st.dictionaries(
        st.sampled_from(["id", "issuer", "Issuer", "issued", "issuanceDate"]),
        JSON | DID | CREDENTIAL,
        max_size=2,
    ),
)

Made = Callable[[], dict[str, Any]]


def wild() -> dict[str, st.SearchStrategy[Made]]:
    """Type -> the making of a payload from arguments that may be no good."""

    def made(make: Callable[..., dict[str, Any]], *args: Any, **named: Any) -> Any:
        values = st.tuples(st.tuples(*args), st.fixed_dictionaries(named))
        return values.map(lambda given: lambda: make(*given[0], **given[1]))

    maybe = st.none() | WILD_ADDRESS
    return {
        "transfer": made(
            payload.transfer, WILD_ADDRESS, mote=WILD_MOTE, udc=st.just(0) | WILD_NUMBER
        )
        | made(payload.transfer, WILD_ADDRESS, parcel=WILD_PARCEL),
        "stake": made(payload.stake, st.binary(min_size=31, max_size=33), WILD_MOTE),
        "withdraw": made(payload.withdraw, WILD_MOTE),
        "delegate": made(payload.delegate, WILD_ADDRESS, WILD_MOTE),
        "retract": made(payload.retract, WILD_MOTE),
        "vote": made(payload.vote, WILD_NUMBER, approve=st.booleans()),
        "setup": made(
            payload.setup, WILD_NUMBER, TEXT, registration_fee=WILD_MOTE, hosting_fee=WILD_MOTE
        ),
        "close": made(payload.close, WILD_NUMBER),
        "register": made(payload.register, WILD_PARCEL, CUSTODY, proxy=maybe, extra=EXTRA),
        "discard": made(payload.discard, WILD_PARCEL),
        "request": made(
            payload.request,
            WILD_PARCEL,
            WILD_MOTE,
            recipient=maybe,
            dealer=maybe,
            dealer_fee=WILD_MOTE,
            extra=EXTRA,
        ),
        "cancel": made(payload.cancel, WILD_PARCEL, recipient=maybe),
        "grant": made(payload.grant, WILD_PARCEL, WILD_ADDRESS, CUSTODY, extra=EXTRA),
        "revoke": made(payload.revoke, WILD_PARCEL, WILD_ADDRESS),
        "did.claim": made(dids.claim, WILD_DOCUMENT),
        "did.dismiss": made(dids.dismiss, DID | WILD_TEXT),
        "did.issue": made(dids.issue, WILD_CREDENTIAL),
        "did.revoke": made(dids.revoke, WILD_TEXT),
    }


def tried(make: Made) -> dict[str, Any] | None:
    """The payload, or None where it was refused."""
    try:
        return make()
    except UsageError:
        return None

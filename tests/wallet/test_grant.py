"""A grant lets one buyer open one parcel, and nobody else anything."""

import msgspec
import pytest

from agent.errors import SealError
from agent.privacy import Level
from agent.wallet.address import address
from agent.wallet.consent import Request
from agent.wallet.custody import unwrap, wrap
from agent.wallet.envelope import decrypt, encrypt
from agent.wallet.grant import grant
from agent.wallet.keys import FileKey

PARCEL = "00000001" + "AB" * 32
ACCOUNT = FileKey(b"\x41" * 32, protected=False)


def request(buyer: FileKey) -> Request:
    return Request(
        parcel_id=PARCEL,
        buyer_address=address(buyer.public),
        buyer_public=buyer.public,
        payment_mote=1,
        level=Level.LV2,
    )


def custody(owner: FileKey, key: bytes = bytes(32)) -> bytes:
    return wrap(key, owner.public, parcel_id=PARCEL, level=Level.LV2)


def test_the_buyer_reads_what_the_owner_granted(owner: FileKey, buyer: FileKey) -> None:
    ciphertext, key = encrypt(b"a parcel", level=Level.LV2, header=b"")
    granted = grant(custody(owner, key), owner, request(buyer), own_publics=[ACCOUNT.public])
    theirs = unwrap(granted, buyer, parcel_id=PARCEL, level=Level.LV2)
    assert decrypt(ciphertext, theirs) == b"a parcel"


def test_a_grant_opens_for_the_buyer_alone(owner: FileKey, buyer: FileKey) -> None:
    granted = grant(custody(owner), owner, request(buyer), own_publics=[])
    with pytest.raises(SealError):
        unwrap(granted, owner, parcel_id=PARCEL, level=Level.LV2)


def test_a_grant_is_bound_to_its_parcel_and_level(owner: FileKey, buyer: FileKey) -> None:
    granted = grant(custody(owner), owner, request(buyer), own_publics=[])
    with pytest.raises(SealError):
        unwrap(granted, buyer, parcel_id=PARCEL, level=Level.LV1)
    with pytest.raises(SealError):
        unwrap(granted, buyer, parcel_id="00000002" + "AB" * 32, level=Level.LV2)


@pytest.mark.parametrize("change", [{"level": Level.LV1}, {"parcel_id": "00000002" + "AB" * 32}])
def test_a_request_widened_to_another_level_or_parcel_is_refused(
    owner: FileKey, buyer: FileKey, change: dict[str, object]
) -> None:
    widened = msgspec.structs.replace(request(buyer), **change)
    with pytest.raises(SealError):
        grant(custody(owner), owner, widened, own_publics=[])


@pytest.mark.parametrize("public", [b"", b"\x00", b"\x04" + bytes(64), b"\x04" + b"\xff" * 64])
def test_a_buyers_key_that_is_not_one_is_refused(owner: FileKey, public: bytes) -> None:
    forged = msgspec.structs.replace(
        request(owner), buyer_public=public, buyer_address=address(public)
    )
    with pytest.raises(SealError):
        grant(custody(owner), owner, forged, own_publics=[])


def test_a_key_of_somebody_else_than_the_buyer_is_refused(owner: FileKey, buyer: FileKey) -> None:
    forged = msgspec.structs.replace(request(buyer), buyer_public=ACCOUNT.public)
    with pytest.raises(SealError, match="not that of buyer"):
        grant(custody(owner), owner, forged, own_publics=[])


def test_the_wallet_grants_nothing_to_itself(owner: FileKey) -> None:
    for own in (ACCOUNT, owner):
        with pytest.raises(SealError, match="itself"):
            grant(custody(owner), owner, request(own), own_publics=[ACCOUNT.public])


def test_an_owner_who_cannot_open_the_custody_grants_nothing(
    owner: FileKey, buyer: FileKey
) -> None:
    with pytest.raises(SealError):
        grant(custody(ACCOUNT), owner, request(buyer), own_publics=[])

import hashlib
from collections.abc import Callable

import pytest

from agent.amo import payload
from agent.amo.p256 import Account
from agent.errors import UsageError
from tests.amo.recorded import recorded

BOB = Account.from_seed("bob").address
PARCEL = "00000001" + "AB" * 32


def test_payloads_of_a_recorded_run_are_the_ones_written_here() -> None:
    steps = {step["n"]: step["payload"] for step in recorded()["conformance_v6"]["steps"]}
    dealer = "AF5B1CE50147EFAB443FB7E43F8574EFED5E4598"
    carol = "654E8DCF35527DBDA93A318CD31AEB44C165F81A"
    assert payload.transfer(BOB, mote=10) == steps[1]
    assert payload.transfer(carol, parcel=PARCEL) == steps[58]
    assert payload.transfer(steps[103]["to"], mote=10, udc=7) == steps[103]
    assert payload.setup(1, steps[16]["url"], registration_fee=10, hosting_fee=20) == steps[16]
    assert payload.register(PARCEL, b"\x33") == steps[65]
    assert payload.discard(PARCEL.lower()) == steps[30]
    assert payload.request(PARCEL, 100) == steps[31]
    assert payload.request(PARCEL, 50, recipient=carol) == steps[40]
    assert steps[38].items() >= payload.request(PARCEL, 100, dealer=dealer, dealer_fee=7).items()
    assert payload.cancel(PARCEL) == steps[32]
    assert payload.cancel(PARCEL, recipient=carol) == steps[44]
    assert steps[51].items() >= payload.grant(PARCEL, BOB, b"\x22").items()
    assert payload.revoke(PARCEL, BOB) == steps[56]
    assert payload.close(1) == steps[20]
    key = bytes.fromhex(steps[111]["validator"])
    assert payload.stake(key, 10_001) == steps[111]
    assert payload.delegate(steps[112]["to"], 10_000) == steps[112]
    assert payload.retract(10_000) == steps[113]
    assert payload.withdraw(1_000_000) == steps[116]
    assert payload.vote(1, approve=True) == steps[120]


def test_recorded_parcel_ids_are_recomputed() -> None:
    published, by_digest, by_all = recorded()["parcel_id"]
    assert payload.parcel_id(published["storage_id"], b"\0").startswith(published["storage_id_hex"])
    digest = hashlib.sha256(by_digest["data_utf8"].encode()).digest()
    assert payload.parcel_id(by_digest["storage_id"], digest) == by_digest["parcel_id"]
    hashed = "".join(by_all[name] for name in ("owner", "metadata_utf8", "data_utf8"))
    digest = hashlib.sha256(hashed.encode()).digest()
    assert payload.parcel_id(by_all["storage_id"], digest) == by_all["parcel_id"]
    assert payload.storage_of(by_digest["parcel_id"]) == by_digest["storage_id"]


def test_addresses_and_ids_are_written_in_upper_case() -> None:
    assert payload.grant(PARCEL.lower(), BOB.lower(), b"\xab") == {
        "target": PARCEL,
        "recipient": BOB,
        "custody": "AB",
    }


def test_extra_and_proxy_stand_only_where_they_are_given() -> None:
    assert set(payload.register(PARCEL, b"")) == {"target", "custody"}
    full = payload.register(PARCEL, b"", proxy=BOB, extra={"seal": 1})
    assert (full["proxy_account"], full["extra"]) == (BOB, {"seal": 1})


@pytest.mark.parametrize(
    "made",
    [
        lambda: payload.transfer(BOB),
        lambda: payload.transfer(BOB, mote=-1),
        lambda: payload.transfer(BOB, mote=1, parcel=PARCEL),
        lambda: payload.transfer(BOB, udc=1, parcel=PARCEL),
        lambda: payload.transfer(BOB, mote=2**256 - 1),
        lambda: payload.transfer(BOB, mote=1, udc=2**32),
        lambda: payload.transfer("did:amo:" + BOB, mote=1),
        lambda: payload.transfer(BOB[1:], mote=1),
        lambda: payload.setup(-1, "u", registration_fee=0, hosting_fee=0),
        lambda: payload.setup(2**32, "u", registration_fee=0, hosting_fee=0),
        lambda: payload.setup(1, "u", registration_fee=-1, hosting_fee=0),
        lambda: payload.register("00000001", b""),
        lambda: payload.register("00000001A", b""),
        lambda: payload.register("", b""),
        lambda: payload.register("0x" + PARCEL, b""),
        lambda: payload.discard("\u0660" * 72),
        lambda: payload.request(PARCEL, -1),
        lambda: payload.request(PARCEL, 1, dealer_fee=1),
        lambda: payload.request(PARCEL, 1, recipient="AA"),
        lambda: payload.grant(PARCEL, "", b""),
        lambda: payload.revoke(PARCEL, BOB + "00"),
        lambda: payload.close(-1),
        lambda: payload.close(2**32),
        lambda: payload.stake(bytes(31), 1),
        lambda: payload.stake(bytes(33), 1),
        lambda: payload.stake(bytes(32), 0),
        lambda: payload.withdraw(0),
        lambda: payload.withdraw(-1),
        lambda: payload.delegate(BOB, 0),
        lambda: payload.delegate("B0B", 1),
        lambda: payload.retract(2**256 - 1),
        lambda: payload.vote(2**32, approve=True),
        lambda: payload.parcel_id(1, b""),
        lambda: payload.storage_of("zz"),
    ],
)
def test_what_the_chain_refuses_whatever_its_state_is_not_made(
    made: Callable[[], object],
) -> None:
    with pytest.raises(UsageError):
        made()

"""A document that the chain takes can always be changed and taken away again."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from agent.amo import dids
from agent.amo.p256 import Account, address_of
from agent.errors import UsageError
from tests.amo.recorded import recorded

ALICE, BOB = Account.from_seed("alice"), Account.from_seed("bob")
DID = dids.did_of(ALICE.address)
VC = "amo:cred:" + "AB" * 32
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


def document(**changes: object) -> dict[str, Any]:
    """Alice's document; a change to None leaves the field out."""
    made = dids.document_of(ALICE.public) | changes
    return {name: value for name, value in made.items() if value is not None}


def credential(**changes: object) -> dict[str, Any]:
    made = {"id": VC, "issuer": DID, "issued": "2026-01-01T00:00:00Z"} | changes
    return {name: value for name, value in made.items() if value is not None}


def test_payloads_of_a_recorded_run_are_the_ones_written_here() -> None:
    steps = {step["n"]: step["payload"] for step in recorded()["conformance_v6"]["steps"]}
    assert dids.claim(dids.document_of(ALICE.public)) == steps[68]
    assert dids.dismiss(steps[80]["target"]) == steps[80]
    assert dids.issue(steps[87]["credential"]) == steps[87]
    assert dids.issue(steps[88]["credential"]) == steps[88]
    assert dids.revoke(VC) == steps[94]


def test_document_that_would_be_stuck_for_ever_in_the_recorded_run_is_not_made() -> None:
    steps = {step["n"]: step["payload"] for step in recorded()["conformance_v6"]["steps"]}
    with pytest.raises(UsageError, match="@context is not one text"):
        dids.claim(steps[84]["document"])


@pytest.mark.parametrize(
    "made",
    [
        document(**{"@context": None}),
        document(**{"@context": [dids.CONTEXT]}),
        document(**{"@CONTEXT": ["x"]}),
        document(ID="x"),
        document() | {"a\u017f\u017fertionMethod": "x"},
        document(controller=[DID]),
        document(controller={"id": DID}),
        document(id=None),
        document(id=DID.lower()),
        document(id=DID + "0"),
        document(id="did:eth:" + ALICE.address),
        document(id=DID + "\n"),
        document(verificationMethod=None),
        document(verificationMethod=[]),
        document(verificationMethod={}),
        document(verificationMethod=["x"]),
        document(verificationMethod=[{}]),
        document(verificationMethod=[{"id": f"{DID}#keys-1", "type": 5, "controller": DID}]),
        document(verificationMethod=[{"id": f"{DID}#keys-1", "type": "t", "controller": [DID]}]),
        document(verificationMethod=[{"id": "x", "Id": "y", "type": "t", "controller": DID}]),
        document(authentication=None),
        document(authentication=[]),
        document(authentication=[None]),
        document(authentication=["x"]),
        document(authentication=f"{DID}#keys-1"),
        document(assertionMethod="x"),
    ],
)
def test_document_that_is_refused_or_could_never_be_changed_is_not_made(
    made: dict[str, Any],
) -> None:
    with pytest.raises(UsageError):
        dids.claim(made)


@pytest.mark.parametrize(
    "made",
    [
        credential(id=VC[:-2]),
        credential(id=VC.replace("AB", "ab")),
        credential(id="amo:cred:" + "AB" * 20),
        credential(id=5),
        credential(Id=VC),
        credential(issuer=None),
        credential(issuer={"id": DID}),
        credential(issuer=DID.lower()),
        credential(issued=None),
        credential(issued=""),
        credential(issued=5),
        credential(issuanceDate=["x"]),
    ],
)
def test_credential_that_the_chain_refuses_is_not_made(made: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        dids.issue(made)


@pytest.mark.parametrize(
    "made",
    [
        lambda: dids.dismiss(ALICE.address),
        lambda: dids.dismiss(DID.lower()),
        lambda: dids.did_of(ALICE.address.lower()),
        lambda: dids.revoke("amo:cred:AB"),
        lambda: dids.revoke(DID),
    ],
)
def test_identifier_of_another_form_is_refused(made: Callable[[], object]) -> None:
    with pytest.raises(UsageError):
        made()


def test_more_than_the_needed_fields_and_methods_are_kept_as_they_are() -> None:
    method = {"id": "x", "type": "t", "controller": DID}
    made = document(controller=DID, service=[{"id": "s"}])
    made["verificationMethod"] = [*made["verificationMethod"], method]
    made["authentication"] = [method, *made["authentication"]]
    assert dids.claim(made) == {"target": DID, "document": made}


def with_key(**key: object) -> dict[str, Any]:
    return document(verificationMethod=[{"id": "k", "type": "t", "controller": DID, **key}])


def test_key_of_a_document_is_found_in_either_form() -> None:
    assert dids.public_in(document(), ALICE.address) == ALICE.public
    assert dids.public_in(with_key(publicKeyHex=ALICE.public.hex()), ALICE.address) == ALICE.public


def test_recorded_documents_hold_the_key_of_their_address() -> None:
    keys = {case["address"]: case["public_key_hex"] for case in recorded()["p256_key_from_seed"]}
    steps = {step["n"]: step["payload"] for step in recorded()["conformance_v6"]["steps"]}
    shown = steps[68]["document"]
    found = dids.public_in(shown, shown["id"].removeprefix("did:amo:"))
    assert found is not None
    assert found.hex().upper() == keys[ALICE.address]


def off_curve() -> tuple[bytes, str]:
    """65 bytes that are no point, and the address they would have."""
    public = ALICE.public[:-1] + bytes([ALICE.public[-1] ^ 1])
    return public, address_of(public)


def test_key_off_the_curve_is_no_key_though_its_digest_is_the_address() -> None:
    public, address = off_curve()
    assert dids.public_in(with_key(publicKeyHex=public.hex()), address) is None


def test_key_of_another_curve_is_no_key() -> None:
    other = ec.derive_private_key(5, ec.SECP256K1()).public_key()
    point = other.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    shown = with_key(publicKeyHex=point.hex())
    assert dids.public_in(shown, address_of(point)) is None


@pytest.mark.parametrize(
    "shown",
    [
        None,
        {},
        "x",
        [],
        document(verificationMethod=[]),
        document(verificationMethod="x"),
        document(verificationMethod=[5]),
        with_key(),
        with_key(publicKeyHex=BOB.public.hex()),
        with_key(publicKeyHex=ALICE.public[1:].hex()),
        with_key(publicKeyHex=5),
        with_key(publicKeyJwk=5),
        with_key(publicKeyJwk={"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}),
        with_key(publicKeyJwk={"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"}),
        with_key(publicKeyJwk={"kty": "EC", "crv": "P-256", "x": "é", "y": 5}),
        with_key(publicKeyJwk={"kty": "EC", "crv": "P-256"}, publicKeyHex=ALICE.public.hex()),
    ],
)
def test_document_without_the_key_of_its_address_gives_none(shown: object) -> None:
    assert dids.public_in(shown, ALICE.address) is None


@given(JSON)
def test_any_document_of_a_stranger_is_read_without_an_error(shown: object) -> None:
    assert dids.public_in(shown, ALICE.address) is None
    assert dids.public_in({"verificationMethod": [shown]}, ALICE.address) is None
    assert dids.public_in(with_key(publicKeyJwk=shown), ALICE.address) is None


@given(st.dictionaries(st.sampled_from(["@context", "id", "Id", "controller", "x"]), JSON))
def test_any_document_is_claimed_in_the_plain_form_or_refused(made: dict[str, Any]) -> None:
    try:
        asked = dids.claim(document() | made)
    except UsageError:
        return
    assert isinstance(asked["document"], dict)
    assert isinstance(asked["document"]["@context"], str)
    assert isinstance(asked["document"].get("controller", ""), str)

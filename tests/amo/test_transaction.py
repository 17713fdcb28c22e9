import base64
import hashlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.amo import payload
from agent.amo.p256 import Account
from agent.amo.transaction import (
    MAX_SENT_BYTES,
    SignedTx,
    Tx,
    build,
    parse,
    signing_bytes,
    tx_hash,
)
from agent.errors import MalformedInputError, UsageError
from tests.amo.recorded import recorded

ALICE = Account.from_seed("alice")
BOB = Account.from_seed("bob")

NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
PAYLOADS = st.dictionaries(NAMES, VALUES, max_size=4)


def sent(**changes: str) -> bytes:
    """An envelope of raw JSON members; a change to "" leaves the member out."""
    members = {
        "type": '"transfer"',
        "sender": f'"{ALICE.address}"',
        "fee": '"0"',
        "last_height": '"5"',
        "payload": "{}",
    }
    members |= changes
    return "{{{}}}".format(",".join(f'"{n}":{v}' for n, v in members.items() if v)).encode()


def signed_over(message: bytes, **changes: str) -> Tx:
    signature = f'{{"pubkey":"{ALICE.public.hex()}","sig_bytes":"{ALICE.sign(message).hex()}"}}'
    return parse(sent(signature=signature, **changes))


def test_published_transaction_is_signed_by_its_sender() -> None:
    case = recorded()["tx_signature"][0]
    tx = parse(case["signed_tx_utf8"].encode())
    assert tx.signing_bytes() == case["signing_bytes_utf8"].encode()
    assert hashlib.sha256(tx.signing_bytes()).hexdigest() == case["signing_bytes_sha256"]
    assert tx.is_signed_by_sender()


def test_hash_is_over_the_bytes_as_sent_so_hex_case_changes_it() -> None:
    case = recorded()["tx_signature"][0]
    lower = base64.b64decode(case["base64"])
    assert tx_hash(case["signed_tx_utf8"].encode()) == case["tx_hash_of_upper_hex_form"]
    assert tx_hash(lower) == case["tx_hash_of_base64_form"]
    assert parse(lower).is_signed_by_sender()


def test_recorded_signing_bytes_are_rebuilt_from_the_payload_as_sent() -> None:
    for case in recorded()["signing_bytes_escaping"]:
        sender = Account.from_seed(case["sender_seed"])
        message = signing_bytes("setup", sender.address, 0, "0", case["payload_as_sent"])
        assert message == case["signing_bytes_utf8"].encode()
        raw = sent(type='"setup"', sender=f'"{sender.address}"', payload=case["payload_as_sent"])
        assert parse(raw).payload == case["payload_as_sent"].encode()


def test_built_transaction_of_a_recorded_test_is_the_recorded_message() -> None:
    case = recorded()["tx_signature"][1]
    sender = Account.from_seed(case["private_seed"])
    asked = json.loads(case["signing_bytes_utf8"])["payload"]
    tx = build("transfer", asked, signer=sender, fee=0, last_height=1)
    assert parse(tx.raw).signing_bytes() == case["signing_bytes_utf8"].encode()


def test_every_payload_of_a_recorded_run_is_built_and_verifies() -> None:
    for step in recorded()["conformance_v6"]["steps"]:
        fee = max(0, int(step["fee"] or 0))
        signed = build(step["type"], step["payload"], signer=BOB, fee=fee, last_height=3)
        tx = parse(signed.raw)
        assert tx.is_signed_by_sender()
        assert json.loads(tx.payload) == step["payload"]


@given(NAMES, PAYLOADS, st.integers(0, 2**256 - 2), st.integers(0, 2**63 - 1))
def test_any_transaction_reads_back_and_verifies(
    kind: str, asked: dict[str, Any], fee: int, height: int
) -> None:
    signed = build(kind, asked, signer=ALICE, fee=fee, last_height=height)
    tx = parse(signed.raw)
    assert (tx.type, tx.sender, tx.fee, tx.bound_height) == (kind, ALICE.address, fee, height)
    assert json.loads(tx.payload) == asked
    assert tx.is_signed_by_sender()
    assert signed.hash == hashlib.sha256(signed.raw).hexdigest().upper()


@settings(max_examples=300)
@given(st.data())
def test_one_changed_byte_breaks_the_transaction_or_changes_no_meaning(data: st.DataObject) -> None:
    signed = build(
        "transfer", payload.transfer(BOB.address, mote=100), signer=ALICE, fee=7, last_height=42
    )
    at = data.draw(st.integers(0, len(signed.raw) - 1))
    broken = bytearray(signed.raw)
    broken[at] ^= data.draw(st.integers(1, 255))
    try:
        tx = parse(bytes(broken))
    except MalformedInputError:
        return
    untouched = parse(signed.raw)
    assert tx == untouched or not tx.is_signed_by_sender()


@given(st.text(" \t\r\n", min_size=1, max_size=3))
def test_same_transaction_spelt_with_white_space_still_verifies_under_another_hash(
    white: str,
) -> None:
    signed = build("discard", payload.discard("00" * 36), signer=ALICE, fee=0, last_height=1)
    spelt = signed.raw.replace(b",", f",{white}".encode()) + white.encode()
    assert parse(spelt).is_signed_by_sender()
    assert tx_hash(spelt) != signed.hash


def test_signature_of_another_account_is_not_the_senders() -> None:
    message = signing_bytes("transfer", ALICE.address, 0, "5", "{}")
    signature = f'{{"pubkey":"{BOB.public.hex()}","sig_bytes":"{BOB.sign(message).hex()}"}}'
    assert not parse(sent(signature=signature)).is_signed_by_sender()


def test_fields_are_found_in_any_order_and_case_and_unknown_ones_ignored() -> None:
    message = signing_bytes("transfer", ALICE.address, 0, "5", "{}")
    raw = (
        f'{{"Payload":{{}},"x":[1],"SIGNATURE":{{"y":1,"pubKey":"{ALICE.public.hex()}",'
        f'"Sig_Bytes":"{ALICE.sign(message).hex()}"}},"lastHeight":"9","LAST_HEIGHT":"5",'
        f'"fEE":"0","sender":"{ALICE.address}","tYpe":"transfer"}}'
    ).encode()
    assert parse(raw).is_signed_by_sender()


def test_last_of_equal_names_wins() -> None:
    raw = b'{"type":"a","TYPE":"b","fee":"1","fee":"2","payload":1,"payload":{"c":3}}'
    tx = parse(raw)
    assert (tx.type, tx.fee, tx.payload) == ("b", 2, b'{"c":3}')


def test_long_s_and_kelvin_sign_count_as_letters() -> None:
    assert parse('{"\u017fender":"AB"}'.encode()).sender == "AB"


def test_signature_objects_are_laid_over_each_other() -> None:
    raw = sent(signature='{"sig_bytes":"AA"},"signature":{"pubkey":"' + "04" * 65 + '"}')
    assert (parse(raw).signature, len(parse(raw).public)) == (b"\xaa", 65)


@pytest.mark.parametrize("raw", [b"{}", b" null ", b'{"type":null,"last_height":null}'])
def test_missing_fields_count_as_empty(raw: bytes) -> None:
    tx = parse(raw)
    assert (tx.type, tx.sender, tx.fee, tx.last_height, tx.bound_height) == ("", "", 0, "", 0)
    assert (tx.payload, tx.public, tx.signature) == (b"null", b"", b"")
    assert not tx.is_signed_by_sender()


def test_lower_case_sender_is_signed_in_upper_case() -> None:
    message = signing_bytes("transfer", ALICE.address, 0, "5", "{}")
    assert signed_over(message, sender=f'"{ALICE.address.lower()}"').is_signed_by_sender()


@pytest.mark.parametrize(
    ("fee", "as_signed"), [("007", 7), ("+7", 7), ("", 0), ("-3", -3), ("-0", 0), ("000", 0)]
)
def test_fee_is_signed_in_its_shortest_form(fee: str, as_signed: int) -> None:
    message = signing_bytes("transfer", ALICE.address, as_signed, "5", "{}")
    assert b'"fee":"%d"' % as_signed in message
    assert signed_over(message, fee=f'"{fee}"').is_signed_by_sender()


@pytest.mark.parametrize(
    ("height", "number"),
    [
        ("007", 7),
        ("abc", 0),
        ("", 0),
        ("-4", -4),
        ("+4", 4),
        (" 4", 0),
        ("4.0", 0),
        ("+", 0),
        ("1_0", 0),
        ("9" * 30, 2**63 - 1),
        ("-" + "9" * 5000, -(2**63)),
        ("\u0664", 0),
    ],
)
def test_last_height_is_signed_as_sent_and_counts_as_a_number(height: str, number: int) -> None:
    message = signing_bytes("transfer", ALICE.address, 0, height, "{}")
    tx = signed_over(message, last_height=json.dumps(height))
    assert tx.is_signed_by_sender()
    assert tx.bound_height == number


def test_type_is_signed_with_the_five_escapes() -> None:
    message = signing_bytes("a<b>&\u2028", ALICE.address, 0, 1, "{}")
    assert rb'"type":"a\u003cb\u003e\u0026\u2028"' in message


@pytest.mark.parametrize(
    ("raw", "log"),
    [
        (
            sent(fee="1"),
            "Currency should be represented as double-quoted string(hex:31,str:1).",
        ),
        (sent(fee='"1f"'), "Fail to convert hex string(1f)"),
        (sent(fee='"+"'), "Fail to convert hex string(+)"),
        (sent(fee=f'"{2**256 - 1}"'), f"Currency supports up to 32 bytes({2**256 - 1})"[:90]),
        (sent(sender='"ABC"'), "encoding/hex: odd length hex string"),
        (sent(sender='"zz"'), "encoding/hex: invalid byte: U+007A 'z'"),
        (sent(sender="1"), "invalid hex string: 1"),
        (sent(last_height="7"), "json: cannot unmarshal number"),
        (sent(type="{}"), "json: cannot unmarshal object"),
        (sent(signature='{"pubkey":"04"}'), "Invalid public key format"),
        (sent(signature='{"pubkey":"' + "z" * 130 + '"}'), "Invalid public key format"),
        (sent(signature="[]"), "JSON text is not an object"),
        (b"hello", "invalid character 'h' looking for beginning of value"),
        (b"", "unexpected end of JSON input"),
        (b"[]", "JSON text is not an object"),
        (sent() + b"x", "invalid character 'x' after top-level value"),
    ],
)
def test_unreadable_transaction_is_refused_in_the_words_of_the_chain(raw: bytes, log: str) -> None:
    with pytest.raises(MalformedInputError) as caught:
        parse(raw)
    assert str(caught.value).startswith(log)


def test_largest_amount_is_read_and_one_more_is_not() -> None:
    assert parse(sent(fee=f'"{2**256 - 2}"')).fee == 2**256 - 2
    with pytest.raises(MalformedInputError):
        parse(sent(fee='"' + "9" * 100_000 + '"'))


@given(st.binary(max_size=80))
def test_garbage_is_refused_with_our_own_error(raw: bytes) -> None:
    try:
        parse(raw)
    except MalformedInputError:
        return
    assert raw.strip()[:1] in (b"{", b"n")


@given(st.binary(max_size=40), st.sampled_from(["type", "sender", "fee", "last_height", "payload"]))
def test_garbage_inside_a_field_is_refused_or_not_signed(inside: bytes, field: str) -> None:
    raw = b'{"%b":"%b","payload":{}}' % (field.encode(), inside)
    try:
        tx = parse(raw)
    except MalformedInputError:
        return
    assert not tx.is_signed_by_sender()


def test_payload_sent_is_the_payload_signed() -> None:
    asked = {"url": "http://x/?a=1&b=<2>\u2028ü", "n": 1}
    signed = build("setup", asked, signer=ALICE, fee=0, last_height=0)
    tx = parse(signed.raw)
    assert tx.payload in tx.signing_bytes()
    assert json.loads(tx.payload) == asked


def test_equal_transactions_of_one_account_have_one_hash() -> None:
    def made() -> SignedTx:
        return build("discard", payload.discard("00" * 36), signer=ALICE, fee=0, last_height=9)

    assert made() == made()


@pytest.mark.parametrize(
    "asked", [{"a": float("nan")}, {"a": object()}, {"a": "\ud800"}, {"a": b"x"}]
)
def test_payload_that_is_not_json_is_refused(asked: dict[str, object]) -> None:
    with pytest.raises(UsageError):
        build("transfer", asked, signer=ALICE, fee=0, last_height=0)


@pytest.mark.parametrize(("fee", "height"), [(-1, 0), (2**256 - 1, 0), (0, -1), (0, 2**63)])
def test_fee_and_height_outside_their_range_are_refused(fee: int, height: int) -> None:
    with pytest.raises(UsageError, match="outside"):
        build("transfer", {}, signer=ALICE, fee=fee, last_height=height)


def test_transaction_too_large_for_a_node_is_refused() -> None:
    with pytest.raises(UsageError, match=str(MAX_SENT_BYTES)):
        build("claim", {"x": "y" * MAX_SENT_BYTES}, signer=ALICE, fee=0, last_height=0)

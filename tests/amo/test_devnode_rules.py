"""Rules of the state machine beyond the recorded run: odd spellings, replays, stakes, protocols."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from nacl.signing import SigningKey

from agent.amo.codes import ResultCode
from agent.amo.devnode.genesis import Genesis, dev_genesis, read_genesis
from agent.amo.devnode.incentive import shares
from agent.amo.devnode.ledger import Ledger
from agent.amo.devnode.outcome import Outcome, TxFailedError
from agent.amo.devnode.payload import MAX_AMOUNT, Payload, quote, read_amount, unquote
from agent.amo.devnode.query import ask
from agent.amo.devnode.records import Delegation
from agent.amo.devnode.stakes import Stake
from agent.amo.p256 import Account
from agent.amo.tendermint.validators import validator_address
from agent.amo.transaction import signing_bytes
from agent.errors import UsageError
from tests.amo.recorded import recorded
from tests.amo.test_p256 import high_s

KEY = SigningKey(bytes(range(32)))
PUBLIC = bytes(KEY.verify_key)
PROPOSER = validator_address(PUBLIC)
ALICE, BOB, CAROL, HOLDER = (Account.from_seed(name) for name in ("alice", "bob", "carol", "h"))


MISFIT = "json: cannot unmarshal number {} into Go struct field TransferParam.udc of type uint32"


def genesis(config: Mapping[str, object] | None = None, **state: object) -> Genesis:
    made = dev_genesis(
        {ALICE.address: 10**6, BOB.address: 10**6},
        validator=PUBLIC,
        holder=HOLDER.address,
        time_ns=0,
        chain_id="amo-test",
    )
    app = dict(made.document["app_state"])
    app["config"] = {**app["config"], **(config or {})}
    app["state"] = {**app["state"], **state}
    return read_genesis({**made.document, "app_state": app})


def ledger(config: Mapping[str, object] | None = None, **state: object) -> Ledger:
    own = Ledger(genesis(config, **state))
    own.execute([], PROPOSER)
    return own


def signed(
    kind: str,
    payload: str | Mapping[str, object],
    *,
    sender: Account = ALICE,
    fee: str = "0",
    bound: str = "0",
    envelope: str = '{"type":%s,"sender":"%s","fee":"%s","last_height":%s,"payload":%s,%s}',
) -> bytes:
    text = payload if isinstance(payload, str) else json.dumps(payload)
    message = signing_bytes(kind, sender.address, int(fee or 0), bound, text)
    signature = {"pubkey": sender.public.hex(), "sig_bytes": sender.sign(message).hex()}
    member = '"signature":' + json.dumps(signature)
    parts = (json.dumps(kind), sender.address, fee, json.dumps(bound), text, member)
    return (envelope % parts).encode()


def run(own: Ledger, raw: bytes) -> Outcome:
    checked = own.check(raw)
    assert checked.code == 0, checked
    return own.execute([raw], PROPOSER).outcomes[0]


def balance(own: Ledger, who: Account) -> int:
    return own.state.balance(bytes.fromhex(who.address))


def to_bob(amount: object = "5") -> dict[str, object]:
    return {"to": BOB.address, "amount": amount}


def test_signed_transaction_spelt_otherwise_is_executed_again() -> None:
    own, raw = ledger(), signed("transfer", to_bob())
    assert run(own, raw).code == 0
    own.execute([], PROPOSER)
    assert own.check(raw).log == "already processed tx"
    assert run(own, raw + b"\n").code == 0
    assert balance(own, BOB) == 10**6 + 10


def test_payment_of_an_agency_can_be_taken_by_the_recipient_to_the_mote() -> None:
    """The cancel hole: without that field the buyer cancels, and is paid, what others paid."""
    own, parcel = ledger(), f"{7:08X}" + "AB" * 32
    storage = {"storage": 7, "url": "http://x", "registration_fee": "0", "hosting_fee": "0"}
    asked = {"target": parcel, "payment": "1234567", "recipient": BOB.address}
    own.state.set_balance(bytes.fromhex(CAROL.address), 1234567)
    assert run(own, signed("setup", storage, sender=HOLDER)).code == 0
    assert run(own, signed("register", {"target": parcel, "custody": "0A"})).code == 0
    assert run(own, signed("request", asked, sender=CAROL)).code == 0
    assert (balance(own, CAROL), balance(own, BOB)) == (0, 10**6)
    assert run(own, signed("cancel", {"target": parcel}, sender=BOB)).code == 0
    assert (balance(own, CAROL), balance(own, BOB)) == (0, 10**6 + 1234567)


def test_high_s_is_taken_as_the_real_node_takes_it_and_der_is_not() -> None:
    own, raw = ledger(), signed("transfer", to_bob())
    low = json.loads(raw)["signature"]["sig_bytes"]
    high = high_s(bytes.fromhex(low)).hex()
    assert high[64:] > low[64:]
    assert run(own, raw.replace(low.encode(), high.encode())).code == 0
    assert balance(own, BOB) == 10**6 + 5
    der = "30440220" + low[:64] + "0220" + low[64:]
    assert own.check(raw.replace(low.encode(), der.encode())).code == ResultCode.BAD_SIGNATURE


def test_transaction_of_the_latest_block_is_left_to_the_cache_and_refused_in_a_block() -> None:
    own, raw = ledger(), signed("transfer", to_bob())
    own.execute([raw], PROPOSER)
    assert own.check(raw).code == 0
    assert own.execute([raw], PROPOSER).outcomes[0].code == 2


def test_same_bytes_twice_in_a_block_execute_once() -> None:
    own, raw = ledger(), signed("transfer", to_bob())
    assert [each.code for each in own.execute([raw, raw], PROPOSER).outcomes] == [0, 2]


def test_record_of_an_execution_lives_as_long_as_its_binding() -> None:
    own, raw = ledger({"block_binding_window": 3}), signed("transfer", to_bob(), bound="1")
    own.execute([raw], PROPOSER)
    logs = [own.execute([raw], PROPOSER).outcomes[0].log for _ in range(4)]
    assert logs == ["already processed tx", "tx is too old", "tx is too old", "tx is too old"]


@pytest.mark.parametrize(("fee", "taken"), [("007", 7), ("+7", 7), ("", 0), ("-0", 0)])
def test_fee_of_another_spelling_counts_as_its_shortest(fee: str, taken: int) -> None:
    own = ledger()
    assert run(own, signed("transfer", to_bob("1"), fee=fee)).code == 0
    assert balance(own, ALICE) == 10**6 - 1 - taken


def test_fields_may_come_in_any_order_and_case_with_unknown_ones_between() -> None:
    envelope = (
        '{"Type":%s, "x":[1,{"y":null}],"sender":"%s","FEE":"%s",'
        '\n"last_height":%s,"payload":%s,%s}'
    )
    own = ledger()
    payload = f'{{"amount":"1","AMOUNT":"2","to":"{BOB.address.lower()}","more":{{}}}}'
    assert run(own, signed("transfer", payload, envelope=envelope)).code == 0
    assert balance(own, BOB) == 10**6 + 2


@pytest.mark.parametrize(
    ("payload", "log"),
    [
        ("[]", "json: cannot unmarshal array into Go value of type types.TransferParam"),
        ('{"to":5}', "invalid hex string: 5"),
        ('{"to":"0"}', "encoding/hex: odd length hex string"),
        ('{"to":"zz"}', "encoding/hex: invalid byte: U+007A 'z'"),
        ('{"to":"","amount":"1f"}', "Fail to convert hex string(1f)"),
        ('{"udc":-1}', MISFIT.format("-1")),
        ('{"udc":4294967296}', MISFIT.format("4294967296")),
        ("null", "wrong recipient address size"),
    ],
)
def test_payload_that_does_not_fit_is_refused_in_the_nodes_words(payload: str, log: str) -> None:
    outcome = ledger().check(signed("transfer", payload))
    assert (outcome.code, outcome.log) == (1, log)


@pytest.mark.parametrize("digits", [str(MAX_AMOUNT), "9" * 100, "1" * 100_000, "-" + "9" * 99])
def test_amount_beyond_the_limit_is_refused(digits: str) -> None:
    with pytest.raises(TxFailedError, match="Currency supports up to 32 bytes"):
        read_amount(f'"{digits}"'.encode())


def test_amount_at_the_limit_is_read_through_any_number_of_zeros() -> None:
    digits = "0" * 100_000 + str(MAX_AMOUNT - 1)
    assert read_amount(f'"{digits}"'.encode()) == MAX_AMOUNT - 1


def test_sum_beyond_the_limit_is_held_at_it() -> None:
    own = ledger()
    address = bytes.fromhex(CAROL.address)
    own.state.set_balance(address, MAX_AMOUNT - 1)
    own.state.add_balance(address, 100)
    assert own.state.balance(address) == MAX_AMOUNT


def test_coin_issued_up_to_the_limit_can_still_be_read() -> None:
    own = ledger()
    for bound in ("0", "1"):
        payload = {"udc": 7, "amount": str(MAX_AMOUNT - 1)}
        assert run(own, signed("issue", payload, sender=HOLDER, bound=bound)).code == 0
    assert json.loads(ask(own, "/udc", b"7").log)["total"] == str(MAX_AMOUNT)


def test_zero_balance_of_a_stranger_is_written_and_the_next_time_removed() -> None:
    own = ledger()
    key = b"balance:" + bytes.fromhex(CAROL.address)
    own.state.set_balance(key[8:], 0)
    assert own.state.tree.get(key) == b'"0"'
    own.state.set_balance(key[8:], 0)
    assert own.state.tree.get(key) is None


def test_failed_transaction_destroys_its_fee() -> None:
    own = ledger()
    before = sum(balance(own, who) for who in (ALICE, BOB, HOLDER))
    assert run(own, signed("transfer", to_bob("99999999"), fee="11")).code == 4
    assert sum(balance(own, who) for who in (ALICE, BOB, HOLDER)) == before - 11


def test_type_of_a_later_protocol_is_unknown_before() -> None:
    own = ledger({"upgrade_protocol_version": 5})
    outcome = own.check(signed("did.dismiss", {"target": "did:amo:" + ALICE.address}))
    assert (outcome.code, outcome.log) == (1000, "unknown transaction type")
    assert b'"state_protocol_version":5' in (ask(own, "/version", b"").value or b"")


def test_protocol_changes_at_its_height() -> None:
    own = Ledger(genesis({"upgrade_protocol_height": 3}))
    seen = []
    for _ in range(4):
        done = own.execute([], PROPOSER)
        seen.append((own.protocol, len(done.begin_events)))
    assert seen == [(4, 0), (4, 0), (6, 1), (6, 0)]


def test_stake_is_locked_falls_free_and_can_be_withdrawn() -> None:
    own = ledger({"lockup_period": 2})
    payload = {"validator": "11" * 32, "amount": "20000"}
    assert run(own, signed("stake", payload)).code == 0
    assert run(own, signed("withdraw", {"amount": "10000"})).log == "stake locked"
    assert run(own, signed("withdraw", {"amount": "10001"})).code == 0
    assert own.stakes.held(bytes.fromhex(ALICE.address)) == 9999
    shown = ask(own, "/stake", json.dumps(ALICE.address).encode()).log
    assert json.loads(shown) == {"validator": "11" * 32, "amount": "9999"}


def test_stake_with_another_key_or_anothers_key_is_refused() -> None:
    own = ledger()
    run(own, signed("stake", {"validator": "11" * 32, "amount": "10000"}))
    other = run(own, signed("stake", {"validator": "22" * 32, "amount": "10000"}))
    assert (other.code, other.log) == (6, "validator key mismatch")
    taken = run(own, signed("stake", {"validator": "11" * 32, "amount": "10000"}, sender=BOB))
    assert (taken.code, taken.log) == (6, "PermissionDenied")


def test_holder_with_delegators_cannot_leave() -> None:
    own = ledger()
    run(own, signed("delegate", {"to": HOLDER.address, "amount": "10000"}))
    out = run(own, signed("withdraw", {"amount": "1000000"}, sender=HOLDER))
    assert (out.code, out.log) == (20, "DelegateExists")


def test_incentive_is_shared_with_delegators_and_lost_to_nobody() -> None:
    own = ledger()
    delegator = bytes.fromhex(BOB.address)
    own.stakes.set_delegation(delegator, Delegation(bytes.fromhex(HOLDER.address), 1_000_000))
    paid = dict(shares(10**18 + 1, bytes.fromhex(HOLDER.address), own.stakes, own.config))
    assert sum(paid.values()) == 10**18 + 1
    assert paid[delegator] == 10**18 // 3


def test_block_of_a_proposer_without_a_stake_pays_nobody() -> None:
    own = ledger()
    done = own.execute([signed("transfer", to_bob(), fee="9")], bytes(20))
    assert done.end_events == ()
    assert balance(own, HOLDER) == 0


def test_stakes_of_one_validator_are_kept_apart_by_their_lock() -> None:
    own = ledger()
    holder = bytes.fromhex(CAROL.address)
    for lock in (2, 1, 2):
        own.stakes.add(Stake(holder, b"k" * 32, 5, lock))
    assert [(each.locked_blocks, each.amount) for each in own.stakes.of_holder(holder)] == [
        (1, 5),
        (2, 10),
    ]
    assert own.stakes.unlock() == [Stake(holder, b"k" * 32, 5, 0)]


@pytest.mark.parametrize(
    ("path", "data", "code"),
    [
        ("balance", '"00"', 0),
        ("/balance/", '"00"', 1002),
        ("/balance/7/8", '"00"', 1002),
        ("/balance/2147483648", '"00"', 1002),
        ("/balance/x", '"00"', 1002),
        ("/udclock", '"00"', 1002),
        ("", '"00"', 1002),
        ("/parcel/1", '"00"', 1002),
        ("/balance", "5", 1004),
        ("/balance", '"0', 1004),
        ("/balance", '"0"', 1004),
        ("/did", "5", 1004),
        ("/did", '"\\ud800"', 1005),
        ("/storage", "4294967296", 1004),
        ("/storage", "1.0", 1004),
        ("/request", "[]", 1004),
        ("/request", '{"recipient":"00","target":"00"}', 1004),
        ("/usage", '{"recipient":"' + "0" * 40 + '"}', 1004),
        ("/hibernate", '"00"', 1005),
        ("/draft", "1", 1005),
        ("/vote", '{"draft_id":1,"voter":"00"}', 1005),
        ("/validator", '"00"', 0),
        ("/version", "", 0),
        ("/config", "nonsense", 0),
    ],
)
def test_query_is_answered_with_a_code(path: str, data: str, code: int) -> None:
    assert ask(ledger(), path, data.encode()).code == code


@given(st.binary(max_size=60))
@settings(max_examples=60, deadline=None)
def test_any_bytes_get_a_verdict(raw: bytes) -> None:
    own = ledger()
    assert own.check(raw).code in (1, 12)
    assert own.execute([raw], PROPOSER).outcomes[0].code != 0


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["target", "document", "id", "amount", "to", "credential", "udc", "extra"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=8,
)
KINDS = ["transfer", "setup", "register", "request", "grant", "issue", "stake", "propose"]
KINDS += ["did.claim", "did.issue", "did.dismiss", "claim", "vote", "lock", "cancel", "nope"]


@given(st.sampled_from(KINDS), _JSON)
@settings(max_examples=100, deadline=None)
def test_any_payload_gets_a_verdict(kind: str, payload: Any) -> None:
    own = ledger()
    raw = signed(kind, json.dumps(payload).replace("NaN", "1").replace("Infinity", "1e999"))
    own.check(raw)
    own.execute([raw], PROPOSER)


@given(st.sampled_from(["/balance", "/did", "/usage", "/parcel", "/udc", "/vote"]), st.binary())
@settings(max_examples=60, deadline=None)
def test_any_query_is_answered(path: str, data: bytes) -> None:
    assert ask(ledger(), path, data).code in (0, 1003, 1004, 1005)


@given(st.text(max_size=20))
def test_quoted_text_reads_back(text: str) -> None:
    raw = quote(text)
    assert not any(character in raw for character in b"<>&")
    assert unquote(raw) == text.encode("utf-8", "replace").decode()


def test_extra_is_kept_as_it_was_spelt_without_white_space() -> None:
    raw = b'{"extra": {"b": 1.50, "a" : "<\\u00e9>", "a": [ ]}}'
    assert Payload(raw, "X").raw("extra") == (b'{"b":1.50,"a":"\\u003c\\u00e9\\u003e","a":[]}')


@pytest.mark.parametrize(
    "change",
    [
        {"chain_id": ""},
        {"chain_id": "x" * 51},
        {"genesis_time": "yesterday"},
        {"consensus_params": {}},
        {"app_state": {"state": {"protocol_version": 3}, "stakes": []}},
        {"app_state": {"state": {"protocol_version": 6}}, "validators": []},
        {"app_state": {"state": {"protocol_version": 6}, "config": {"tx_reward": 5}}},
        {"app_state": {"state": {"protocol_version": 6}, "config": {"max_validators": "5"}}},
        {"app_state": {"state": {"protocol_version": 6}, "balances": [{"owner": "00"}]}},
        {"app_state": []},
    ],
)
def test_genesis_that_cannot_be_used_is_a_usage_error(change: Mapping[str, object]) -> None:
    with pytest.raises(UsageError):
        read_genesis({**genesis().document, **change})


@pytest.mark.parametrize("document", [None, [], {}, "x", 7])
def test_genesis_that_is_no_document_is_a_usage_error(document: object) -> None:
    with pytest.raises(UsageError):
        read_genesis(document)


def test_recorded_addresses_of_validators_are_recomputed() -> None:
    cases = recorded()["validator_address"]
    assert len(cases) == 3
    for case in cases:
        public = bytes.fromhex(case["ed25519_public_key_hex"])
        assert validator_address(public).hex().upper() == case["address"]

"""The state machine: what a transaction may do, block after block.

Blocks are executed whole, without a pause, so everybody else only ever sees committed states.
A transaction that fails in its block keeps no change but the loss of its fee, which nobody gets.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from agent.amo import transaction
from agent.amo.codes import ResultCode
from agent.amo.devnode import (
    execute_coin,
    execute_did,
    execute_parcel,
    execute_stake,
    execute_storage,
    incentive,
)
from agent.amo.devnode.context import Context, Kind, require
from agent.amo.devnode.genesis import Genesis
from agent.amo.devnode.outcome import BlockOutcome, Event, Outcome, TxFailedError, failed
from agent.amo.devnode.payload import Payload, bad_param, quote
from agent.amo.devnode.records import hex_text
from agent.amo.devnode.replay import ReplayGuard
from agent.amo.devnode.stakes import Stakes
from agent.amo.devnode.state import PROTOCOL_KEY, State
from agent.amo.tendermint.validators import ValidatorSet
from agent.errors import MalformedInputError

KINDS: Final[Mapping[str, Kind]] = {
    **execute_coin.KINDS,
    **execute_storage.KINDS,
    **execute_parcel.KINDS,
    **execute_did.KINDS,
    **execute_stake.KINDS,
}


class Ledger:
    """The application behind the chain.

    height:     of the last block executed; 0 before the first
    app_hash:   of the state after it
    validators: the set that the state after it asks for
    """

    def __init__(self, genesis: Genesis) -> None:
        self._tree = genesis.tree()
        self._context = Context(
            State(self._tree), Stakes(self._tree), genesis.config, genesis.protocol
        )
        self._guard = ReplayGuard(genesis.config.block_binding_window)
        self.config: Final = genesis.config
        self.height = 0
        self.app_hash = b""
        self.validators: ValidatorSet = genesis.first_validators

    @property
    def state(self) -> State:
        return self._context.state

    @property
    def stakes(self) -> Stakes:
        return self._context.stakes

    @property
    def protocol(self) -> int:
        return self._context.protocol

    def check(self, raw: bytes, *, again: bool = False) -> Outcome:
        """Whether the mempool takes it; balances are not looked at. again: signature known."""
        try:
            tx = _parse(raw)
            require(tx.fee >= 0, ResultCode.INVALID_AMOUNT, "negative fee")
            signed = again or _is_signed(tx)
            require(signed, ResultCode.BAD_SIGNATURE, "Signature verification failed")
            self._guard.require_bound(tx.bound_height, self.height)
            self._guard.require_new(raw, self.height)  # the latest block's are in the cache
            kind = self._kind(tx.type)
            kind.check(bytes.fromhex(tx.sender), Payload(tx.payload, kind.parameters))
        except TxFailedError as failure:
            return failed(failure)
        return Outcome()

    def execute(self, txs: Sequence[bytes], proposer: bytes) -> BlockOutcome:
        """The next block. proposer: validator address."""
        committed = Stakes(self._tree.snapshot())
        self.height += 1
        self._guard.forget(self.height)
        begin_events = self._upgrade()
        delivered = [self._deliver(raw) for raw in txs]
        earned = sum(fee for _, fee in delivered) + self.config.blk_reward
        end_events = [*self._pay(earned, proposer, committed), *self._unlock()]
        updates = self._update_validators()
        self.app_hash = self._tree.save()
        outcomes = tuple(outcome for outcome, _ in delivered)
        return BlockOutcome(self.app_hash, outcomes, begin_events, tuple(end_events), updates)

    def _deliver(self, raw: bytes) -> tuple[Outcome, int]:
        """How it ended, and what the proposer earned by it."""
        try:
            tx = _parse(raw)
            self._guard.require_bound(tx.bound_height, self.height)
            self._guard.require_new(raw, self.height + 1)
            self._guard.add(raw, self.height)
            sender = bytes.fromhex(tx.sender)
            left = self.state.balance(sender) - tx.fee
            log = "not enough balance to pay fee"
            require(left >= 0, ResultCode.NOT_ENOUGH_BALANCE, log)
        except TxFailedError as failure:
            return failed(failure), 0
        self.state.set_balance(sender, left)
        events = (Event("tx", (("type", quote(tx.type).decode()), ("sender", f'"{tx.sender}"'))),)
        try:
            kind = self._kind(tx.type)
            kind.execute(self._context, sender, Payload(tx.payload, kind.parameters))
        except TxFailedError as failure:
            self.state.set_balance(sender, left)  # a second write: it counts in the app hash
            return failed(failure, events), 0
        return Outcome(events=events), tx.fee + self.config.tx_reward

    def _kind(self, name: str) -> Kind:
        kind = KINDS.get(name)
        if kind is None or self.protocol < kind.since:
            raise TxFailedError(ResultCode.UNKNOWN, "unknown transaction type")
        return kind

    def _upgrade(self) -> tuple[Event, ...]:
        version = self.config.upgrade_protocol_version
        if not version or self.height != self.config.upgrade_protocol_height:
            return ()
        self._context = Context(self.state, self.stakes, self.config, version)
        self._tree.set(PROTOCOL_KEY, str(version).encode())
        return (Event("protocol_upgrade", (("version", str(version)),)),)

    def _pay(self, earned: int, proposer: bytes, committed: Stakes) -> list[Event]:
        """What nobody's stake earned is lost."""
        holder = committed.holder_of(proposer)
        if not earned or not holder:
            return []
        events = []
        for account, part in incentive.shares(earned, holder, committed, self.config):
            self.state.add_balance(account, part)
            events.append(_paid("incentive", account, part))
        return events

    def _unlock(self) -> list[Event]:
        return [_paid("stake_unlock", each.holder, each.amount) for each in self.stakes.unlock()]

    def _update_validators(self) -> tuple[tuple[bytes, int], ...]:
        wanted = self.stakes.validators(self.config.max_validators) or self.validators
        before = {each.public: each.power for each in self.validators}
        after = {each.public: each.power for each in wanted}
        self.validators = wanted
        gone = tuple((public, 0) for public in before if public not in after)
        changed = (each for each in after.items() if before.get(each[0]) != each[1])
        return tuple(changed) + gone


def _parse(raw: bytes) -> transaction.Tx:
    try:
        return transaction.parse(raw)
    except MalformedInputError as error:
        raise bad_param(str(error)) from error


def _is_signed(tx: transaction.Tx) -> bool:
    try:
        return tx.is_signed_by_sender()
    except MalformedInputError:  # the payload cannot be written in the form that is signed
        return False


def _paid(name: str, account: bytes, amount: int) -> Event:
    return Event(name, (("address", hex_text(account).decode()), ("amount", f'"{amount}"')))

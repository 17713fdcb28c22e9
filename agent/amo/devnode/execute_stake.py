"""Types about validators' power: stake, withdraw, delegate, retract; and drafts, refused.

Drafts are not kept here. Whoever may propose one is told so; everybody else, and every vote,
gets the answer of a chain that has none.
"""

from typing import Final

from agent.amo.codes import ResultCode
from agent.amo.devnode.context import Context, Kind, is_address, require
from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import Payload
from agent.amo.devnode.records import Delegation
from agent.amo.devnode.stakes import Stake
from agent.amo.tendermint.validators import KEY_BYTES

_FIRST_DRAFT: Final = 1


def _check_stake(_sender: bytes, payload: Payload) -> None:
    payload.amount("amount")
    valid = len(payload.hex("validator")) == KEY_BYTES
    require(valid, ResultCode.BAD_VALIDATOR, "bad validator key")


def _stake(context: Context, sender: bytes, payload: Payload) -> None:
    public, amount, stakes = payload.hex("validator"), payload.amount("amount"), context.stakes
    _check_unit(context, amount)
    left = _left(context, sender, amount)
    same = all(stake.public == public for stake in stakes.of_holder(sender))
    require(same, ResultCode.PERMISSION_DENIED, "validator key mismatch")
    free = all(stake.holder == sender for stake in stakes.all() if stake.public == public)
    require(free, ResultCode.PERMISSION_DENIED, "PermissionDenied")
    context.state.set_balance(sender, left)
    stakes.add(Stake(sender, public, amount, context.config.lockup_period))


def _check_amount(_sender: bytes, payload: Payload) -> None:
    payload.amount("amount")


def _withdraw(context: Context, sender: bytes, payload: Payload) -> None:
    amount, stakes = payload.amount("amount"), context.stakes
    require(amount > 0, ResultCode.INVALID_AMOUNT, "invalid amount")
    own = stakes.of_holder(sender)
    require(bool(own), ResultCode.NO_STAKE, "no stake")
    held = stakes.held(sender)
    require(amount <= held, ResultCode.NOT_ENOUGH_BALANCE, "not enough stake")
    free = [stake for stake in own if not stake.locked_blocks]
    unlocked = free[0].amount if free else 0
    require(amount <= unlocked, ResultCode.STAKE_LOCKED, "stake locked")
    if amount == held:
        alone = not stakes.delegators(sender)
        require(alone, ResultCode.DELEGATE_EXISTS, "DelegateExists")
        others = any(stake.holder != sender for stake in stakes.all())
        require(others, ResultCode.LAST_VALIDATOR, "LastValidator")
    stakes.set(Stake(sender, own[0].public, unlocked - amount))
    context.state.add_balance(sender, amount)


def _check_delegate(sender: bytes, payload: Payload) -> None:
    payload.amount("amount")
    to = payload.hex("to")
    require(is_address(to), ResultCode.BAD_PARAM, "wrong recipient address size")
    require(to != sender, ResultCode.SELF_TRANSACTION, "tried to delegate to self")


def _delegate(context: Context, sender: bytes, payload: Payload) -> None:
    to, amount, stakes = payload.hex("to"), payload.amount("amount"), context.stakes
    _check_unit(context, amount)
    left = _left(context, sender, amount)
    require(bool(stakes.of_holder(to)), ResultCode.NO_STAKE, "no stake")
    present = stakes.delegation(sender)
    same = present is None or present.delegatee == to
    require(same, ResultCode.MULTIPLE_DELEGATES, "multiple delegate")
    context.state.set_balance(sender, left)
    stakes.set_delegation(sender, Delegation(to, amount + (present.amount if present else 0)))


def _retract(context: Context, sender: bytes, payload: Payload) -> None:
    amount = payload.amount("amount")
    require(amount > 0, ResultCode.INVALID_AMOUNT, "invalid amount")
    present = context.stakes.delegation(sender)
    if present is None:
        raise TxFailedError(ResultCode.DELEGATE_NOT_FOUND, "delegate not found")
    require(amount <= present.amount, ResultCode.NOT_ENOUGH_BALANCE, "not enough balance")
    left = Delegation(present.delegatee, present.amount - amount)
    context.stakes.set_delegation(sender, left)
    context.state.add_balance(sender, amount)


def _check_unit(context: Context, amount: int) -> None:
    require(amount > 0, ResultCode.INVALID_AMOUNT, "invalid amount")
    whole = amount % context.config.min_staking_unit == 0
    require(whole, ResultCode.IMPROPER_STAKE_AMOUNT, "improper stake amount")


def _left(context: Context, sender: bytes, amount: int) -> int:
    """Balance after the amount is taken."""
    left = context.state.balance(sender) - amount
    require(left >= 0, ResultCode.NOT_ENOUGH_BALANCE, "not enough balance")
    return left


def _check_propose(_sender: bytes, payload: Payload) -> None:
    payload.uint32("draft_id")
    payload.text("desc")


def _propose(context: Context, sender: bytes, payload: Payload) -> None:
    _require_validator(context, sender, "no permission to propose a draft")
    known = payload.uint32("draft_id") == _FIRST_DRAFT
    require(known, ResultCode.IMPROPER_DRAFT_ID, "improper draft ID")
    _left(context, sender, context.config.draft_deposit)
    raise TxFailedError(ResultCode.UNKNOWN, "drafts are not kept by this node")


def _check_vote(_sender: bytes, payload: Payload) -> None:
    payload.uint32("draft_id")
    payload.flag("approve")


def _vote(context: Context, sender: bytes, _payload: Payload) -> None:
    _require_validator(context, sender, "no permission to vote")
    raise TxFailedError(ResultCode.NON_EXISTING_DRAFT, "no draft")


def _require_validator(context: Context, sender: bytes, log: str) -> None:
    allowed = context.stakes.is_validator(sender, context.config.max_validators)
    require(allowed, ResultCode.PERMISSION_DENIED, log)


KINDS: Final = {
    "stake": Kind("StakeParam", _check_stake, _stake),
    "withdraw": Kind("WithdrawParam", _check_amount, _withdraw),
    "delegate": Kind("DelegateParam", _check_delegate, _delegate),
    "retract": Kind("RetractParam", _check_amount, _retract),
    "propose": Kind("ProposeParam", _check_propose, _propose),
    "vote": Kind("VoteParam", _check_vote, _vote),
}

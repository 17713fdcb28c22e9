"""Types that move or make coins: transfer (of parcels too), issue, lock, burn."""

from typing import Final

from agent.amo.codes import ResultCode
from agent.amo.devnode.context import Context, Kind, is_address, require
from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import MAX_AMOUNT, Payload
from agent.amo.devnode.records import Coin, Parcel

_NOTHING_GIVEN: Final = "either parcel or coin should be specifed"
_PARCELS_SINCE: Final = 5


def _check_transfer(sender: bytes, payload: Payload) -> None:
    to, _, amount, parcel = _read_transfer(payload)
    require(is_address(to), ResultCode.BAD_PARAM, "wrong recipient address size")
    require(to != sender, ResultCode.SELF_TRANSACTION, "tried to transfer to self")
    require(bool(parcel) or amount != 0, ResultCode.BAD_PARAM, _NOTHING_GIVEN)


def _transfer(context: Context, sender: bytes, payload: Payload) -> None:
    to, udc, amount, parcel = _read_transfer(payload)
    if parcel and context.protocol >= _PARCELS_SINCE:
        _transfer_parcel(context, sender, to, parcel)
        return
    if context.protocol < _PARCELS_SINCE:
        require(amount > 0, ResultCode.INVALID_AMOUNT, "invalid amount")
    require(amount > 0, ResultCode.BAD_PARAM, _NOTHING_GIVEN)
    state = context.state
    locked = state.udc_lock(sender, udc) if udc else 0
    balance = state.balance(sender, udc)
    require(balance >= locked + amount, ResultCode.NOT_ENOUGH_BALANCE, "not enough balance")
    state.set_balance(sender, balance - amount, udc)
    state.add_balance(to, amount, udc)


def _transfer_parcel(context: Context, sender: bytes, to: bytes, parcel_id: bytes) -> None:
    parcel = context.state.parcel(parcel_id)
    if parcel is None:
        raise TxFailedError(ResultCode.PARCEL_NOT_FOUND, "parcel not found")
    require(parcel.owner == sender, ResultCode.PERMISSION_DENIED, "permission denied")
    moved = Parcel(
        owner=to,
        custody=parcel.custody,
        proxy=parcel.proxy,
        extra=parcel.extra,
        on_sale=parcel.on_sale,
    )
    context.state.set_parcel(parcel_id, moved)


def _read_transfer(payload: Payload) -> tuple[bytes, int, int, bytes]:
    """to, udc, amount, parcel"""
    return payload.hex("to"), payload.uint32("udc"), payload.amount("amount"), payload.hex("parcel")


def _check_issue(sender: bytes, payload: Payload) -> None:
    try:
        operators = payload.hex_list("operators") or []
    except TxFailedError:  # the mempool does not look at this payload as a whole
        return
    for operator in operators:
        require(is_address(operator), ResultCode.BAD_PARAM, "wrong size of operator address")
        require(operator != sender, ResultCode.SELF_TRANSACTION, "operator is same as the issuer")


def _issue(context: Context, sender: bytes, payload: Payload) -> None:
    udc, desc = payload.uint32("udc"), payload.text("desc")
    operators, amount = payload.hex_list("operators"), payload.amount("amount")
    require(amount >= 0, ResultCode.INVALID_AMOUNT, "invalid amount")
    coin = context.state.coin(udc)
    if coin is None:
        allowed = context.stakes.is_validator(sender, context.config.max_validators)
        coin = Coin(sender, desc, operators, 0)
    else:
        allowed = _may_run(coin, sender)
    require(allowed, ResultCode.PERMISSION_DENIED, "permission denied")
    total = min(coin.total + amount, MAX_AMOUNT)
    context.state.set_coin(udc, Coin(coin.owner, desc, operators, total))
    context.state.add_balance(sender, amount, udc)


def _check_lock(_sender: bytes, payload: Payload) -> None:
    payload.uint32("udc")
    payload.amount("amount")
    holder = payload.hex("holder")
    require(is_address(holder), ResultCode.BAD_PARAM, "wrong size of operator address")


def _lock(context: Context, sender: bytes, payload: Payload) -> None:
    udc, holder, amount = payload.uint32("udc"), payload.hex("holder"), payload.amount("amount")
    require(amount > 0, ResultCode.INVALID_AMOUNT, "invalid amount")
    allowed = _may_run(_coin(context, udc), sender)
    require(allowed, ResultCode.PERMISSION_DENIED, "permission denied")
    context.state.set_udc_lock(holder, udc, amount)


def _check_burn(_sender: bytes, payload: Payload) -> None:
    payload.uint32("udc")
    payload.amount("amount")


def _burn(context: Context, sender: bytes, payload: Payload) -> None:
    udc, amount = payload.uint32("udc"), payload.amount("amount")
    require(amount > 0, ResultCode.INVALID_AMOUNT, "invalid amount")
    coin = _coin(context, udc)
    balance = context.state.balance(sender, udc)
    enough = balance >= context.state.udc_lock(sender, udc) + amount
    require(enough, ResultCode.NOT_ENOUGH_BALANCE, "not enough balance")
    context.state.set_balance(sender, balance - amount, udc)
    context.state.set_coin(udc, Coin(coin.owner, coin.desc, coin.operators, coin.total - amount))


def _coin(context: Context, udc: int) -> Coin:
    coin = context.state.coin(udc)
    if coin is None:
        raise TxFailedError(ResultCode.UDC_NOT_FOUND, "UDC not found")
    return coin


def _may_run(coin: Coin, sender: bytes) -> bool:
    return sender == coin.owner or sender in (coin.operators or ())


KINDS: Final = {
    "transfer": Kind("TransferParam", _check_transfer, _transfer),
    "issue": Kind("IssueParam", _check_issue, _issue),
    "lock": Kind("LockParam", _check_lock, _lock),
    "burn": Kind("BurnParam", _check_burn, _burn),
}

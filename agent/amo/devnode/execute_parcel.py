"""Types about parcels: register, discard, request, cancel, grant, revoke."""

from typing import Final

from agent.amo.codes import ResultCode
from agent.amo.devnode.context import Context, Kind, is_address, require
from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import Payload
from agent.amo.devnode.records import Extra, Parcel, Request, Storage, Usage
from agent.amo.devnode.state import STORAGE_ID_BYTES

_DENIED: Final = "permission denied"


def _check_register(_sender: bytes, payload: Payload) -> None:
    payload.hex("custody")
    payload.hex("proxy_account")
    long_enough = len(payload.hex("target")) > STORAGE_ID_BYTES
    require(long_enough, ResultCode.BAD_PARAM, "parcel id too short")


def _register(context: Context, sender: bytes, payload: Payload) -> None:
    target, state = payload.hex("target"), context.state
    storage = _open_storage(context, target)
    present = state.parcel(target)
    if present is None:
        fee, balance = storage.registration_fee, state.balance(sender)
        log = "not enough balance for registration fee"
        require(balance >= fee, ResultCode.NOT_ENOUGH_BALANCE, log)
        state.set_balance(sender, balance - fee)
        state.add_balance(storage.owner, fee)
    else:
        require(_may_act(present, sender), ResultCode.PERMISSION_DENIED, _DENIED)
    parcel = Parcel(
        owner=sender,
        custody=payload.hex("custody"),
        proxy=payload.hex("proxy_account"),
        extra=Extra(register=payload.raw("extra")),
        on_sale=True,
    )
    state.set_parcel(target, parcel)


def _check_discard(_sender: bytes, payload: Payload) -> None:
    payload.hex("target")


def _discard(context: Context, sender: bytes, payload: Payload) -> None:
    target = payload.hex("target")
    parcel = _parcel(context, target)
    require(_may_act(parcel, sender), ResultCode.PERMISSION_DENIED, _DENIED)
    off_sale = Parcel(
        owner=parcel.owner,
        custody=parcel.custody,
        proxy=parcel.proxy,
        extra=parcel.extra,
        on_sale=False,
    )
    context.state.set_parcel(target, off_sale)


def _check_request(_sender: bytes, payload: Payload) -> None:
    for field in ("payment", "dealer_fee"):
        payload.amount(field)
    payload.hex("dealer")
    _check_buyer(_sender, payload)


def _check_buyer(_sender: bytes, payload: Payload) -> None:
    payload.hex("target")
    buyer = payload.hex("recipient")
    valid = not buyer or is_address(buyer)
    require(valid, ResultCode.BAD_PARAM, "improper recipient address")


def _request(context: Context, sender: bytes, payload: Payload) -> None:
    target, recipient = payload.hex("target"), payload.hex("recipient")
    payment, dealer_fee = payload.amount("payment"), payload.amount("dealer_fee")
    state, buyer, dealer = context.state, recipient or sender, payload.hex("dealer")
    valid = payment >= 0 and dealer_fee >= 0
    require(valid, ResultCode.INVALID_AMOUNT, "invalid amount")
    parcel = _parcel(context, target)
    require(buyer != parcel.owner, ResultCode.SELF_TRANSACTION, "requesting owned parcel")
    free = state.usage(buyer, target) is None
    require(free, ResultCode.ALREADY_GRANTED, "parcel already granted")
    free = state.request(buyer, target) is None
    require(free, ResultCode.ALREADY_REQUESTED, "parcel already requested")
    _open_storage(context, target)
    valid = not dealer or is_address(dealer)
    require(valid, ResultCode.BAD_PARAM, "invalid dealer address")
    request = Request(
        payment=payment,
        agency=sender if recipient else b"",
        dealer=dealer,
        dealer_fee=dealer_fee if dealer else 0,
        extra=Extra(register=parcel.extra.register, request=payload.raw("extra")),
    )
    left = state.balance(sender) - payment - request.dealer_fee
    require(left >= 0, ResultCode.NOT_ENOUGH_BALANCE, "not enough balance")
    state.set_request(buyer, target, request)
    state.set_balance(sender, left)


def _cancel(context: Context, sender: bytes, payload: Payload) -> None:
    """Without the recipient field the buyer may cancel what an agency paid for, and is paid."""
    target, recipient = payload.hex("target"), payload.hex("recipient")
    state, buyer = context.state, recipient or sender
    _parcel(context, target)
    request = state.request(buyer, target)
    if request is None:
        raise TxFailedError(ResultCode.REQUEST_NOT_FOUND, "request not found")
    allowed = not recipient or sender == request.agency
    require(allowed, ResultCode.PERMISSION_DENIED, _DENIED)
    free = state.usage(buyer, target) is None
    require(free, ResultCode.ALREADY_GRANTED, "parcel already granted")
    state.remove_request(buyer, target)
    state.add_balance(sender, request.payment + request.dealer_fee)


def _check_grant(_sender: bytes, payload: Payload) -> None:
    payload.hex("target")
    payload.hex("custody")
    valid = is_address(payload.hex("recipient"))
    require(valid, ResultCode.BAD_PARAM, "improper recipient address")


def _grant(context: Context, sender: bytes, payload: Payload) -> None:
    _check_grant(sender, payload)
    target, buyer, state = payload.hex("target"), payload.hex("recipient"), context.state
    parcel = _parcel(context, target)
    require(_may_act(parcel, sender), ResultCode.PERMISSION_DENIED, _DENIED)
    free = state.usage(buyer, target) is None
    require(free, ResultCode.ALREADY_GRANTED, "parcel already granted")
    request = state.request(buyer, target)
    if request is None:
        raise TxFailedError(ResultCode.REQUEST_NOT_FOUND, "parcel not requested")
    storage = _open_storage(context, target)
    left = state.balance(parcel.owner) + request.payment - storage.hosting_fee
    require(left >= 0, ResultCode.NOT_ENOUGH_BALANCE, "not enough balance for hosting fee")
    extra = Extra(request.extra.register, request.extra.request, payload.raw("extra"))
    state.remove_request(buyer, target)
    state.set_usage(buyer, target, Usage(payload.hex("custody"), extra))
    state.set_balance(parcel.owner, left)
    state.add_balance(storage.owner, storage.hosting_fee)
    state.add_balance(request.dealer, request.dealer_fee)  # also to nobody: the empty address


def _check_revoke(_sender: bytes, payload: Payload) -> None:
    payload.hex("target")
    valid = is_address(payload.hex("recipient"))
    require(valid, ResultCode.BAD_PARAM, "wrong recipient address")


def _revoke(context: Context, sender: bytes, payload: Payload) -> None:
    target, buyer = payload.hex("target"), payload.hex("recipient")
    allowed = _may_act(_parcel(context, target), sender)
    require(allowed, ResultCode.PERMISSION_DENIED, _DENIED)
    granted = context.state.usage(buyer, target) is not None
    require(granted, ResultCode.USAGE_NOT_FOUND, "usage not found")
    context.state.remove_usage(buyer, target)


def _parcel(context: Context, parcel_id: bytes) -> Parcel:
    parcel = context.state.parcel(parcel_id)
    if parcel is None:
        raise TxFailedError(ResultCode.PARCEL_NOT_FOUND, "parcel not found")
    return parcel


def _open_storage(context: Context, parcel_id: bytes) -> Storage:
    storage = context.state.active_storage(parcel_id)
    if storage is None:
        raise TxFailedError(ResultCode.NO_STORAGE, "no active storage for this parcel")
    return storage


def _may_act(parcel: Parcel, sender: bytes) -> bool:
    return sender in (parcel.owner, parcel.proxy)


KINDS: Final = {
    "register": Kind("RegisterParam", _check_register, _register),
    "discard": Kind("DiscardParam", _check_discard, _discard),
    "request": Kind("RequestParam", _check_request, _request),
    "cancel": Kind("CancelParam", _check_buyer, _cancel),
    "grant": Kind("GrantParam", _check_grant, _grant),
    "revoke": Kind("RevokeParam", _check_revoke, _revoke),
}

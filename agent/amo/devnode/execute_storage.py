"""Types about storages: setup and close."""

from typing import Final

from agent.amo.codes import ResultCode
from agent.amo.devnode.context import Context, Kind, require
from agent.amo.devnode.outcome import TxFailedError
from agent.amo.devnode.payload import Payload
from agent.amo.devnode.records import Storage

_DENIED: Final = "permission denied"


def _check_setup(_sender: bytes, payload: Payload) -> None:
    _read_setup(payload)


def _setup(context: Context, sender: bytes, payload: Payload) -> None:
    storage_id, url, registration_fee, hosting_fee = _read_setup(payload)
    valid = registration_fee >= 0 and hosting_fee >= 0
    require(valid, ResultCode.INVALID_AMOUNT, "invalid amount")
    present = context.state.storage(storage_id)
    allowed = present is None or present.owner == sender
    require(allowed, ResultCode.PERMISSION_DENIED, _DENIED)
    storage = Storage(
        owner=sender,
        url=url,
        registration_fee=registration_fee,
        hosting_fee=hosting_fee,
        active=True,
    )
    context.state.set_storage(storage_id, storage)


def _read_setup(payload: Payload) -> tuple[int, str, int, int]:
    """storage, url, registration_fee, hosting_fee"""
    fees = payload.amount("registration_fee"), payload.amount("hosting_fee")
    return payload.uint32("storage"), payload.text("url"), *fees


def _check_close(_sender: bytes, payload: Payload) -> None:
    payload.uint32("storage")


def _close(context: Context, sender: bytes, payload: Payload) -> None:
    storage_id = payload.uint32("storage")
    storage = context.state.storage(storage_id)
    if storage is None:
        raise TxFailedError(ResultCode.NOT_FOUND, "not found")
    require(storage.owner == sender, ResultCode.PERMISSION_DENIED, _DENIED)
    closed = Storage(
        owner=storage.owner,
        url=storage.url,
        registration_fee=storage.registration_fee,
        hosting_fee=storage.hosting_fee,
        active=False,
    )
    context.state.set_storage(storage_id, closed)


KINDS: Final = {
    "setup": Kind("SetupParam", _check_setup, _setup),
    "close": Kind("CloseParam", _check_close, _close),
}

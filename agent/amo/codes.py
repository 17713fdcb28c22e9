"""Result codes of the chain, their meaning in words, and the error each becomes.

Numbers and names as amoabci 1.9.1 uses them; the same for protocols 4, 5 and 6.
"""

from collections.abc import Mapping
from enum import IntEnum
from typing import Final

from agent.errors import (
    AlreadyDoneError,
    BadTxError,
    NotAllowedError,
    NotEnoughFundsError,
    NotThereError,
    RefusedError,
    StaleTxError,
)


class ResultCode(IntEnum):
    """How a transaction ended."""

    OK = 0
    BAD_PARAM = 1
    IMPROPER_TX = 2
    INVALID_AMOUNT = 3
    NOT_ENOUGH_BALANCE = 4
    SELF_TRANSACTION = 5
    PERMISSION_DENIED = 6
    ALREADY_REQUESTED = 7
    ALREADY_GRANTED = 8
    PARCEL_NOT_FOUND = 9
    REQUEST_NOT_FOUND = 10
    USAGE_NOT_FOUND = 11
    BAD_SIGNATURE = 12
    MULTIPLE_DELEGATES = 13
    DELEGATE_NOT_FOUND = 14
    NO_STAKE = 15
    IMPROPER_STAKE_AMOUNT = 16
    HEIGHT_TAKEN = 17
    BAD_VALIDATOR = 18
    LAST_VALIDATOR = 19
    DELEGATE_EXISTS = 20
    STAKE_LOCKED = 21
    IMPROPER_DRAFT_ID = 22
    IMPROPER_DRAFT_CONFIG = 23
    PROPOSED_DRAFT = 24
    NON_EXISTING_DRAFT = 25
    ANOTHER_DRAFT_IN_PROCESS = 26
    VOTE_NOT_OPEN = 27
    ALREADY_VOTED = 28
    NO_STORAGE = 29
    UDC_NOT_FOUND = 30
    NOT_FOUND = 31
    UNKNOWN = 1000

    @property
    def text(self) -> str:
        return _TEXTS[self]


class QueryCode(IntEnum):
    """How a question to the chain's state ended."""

    OK = 0
    BAD_PATH = 1002
    NO_KEY = 1003
    BAD_KEY = 1004
    NO_MATCH = 1005


_TEXTS: Final[Mapping[ResultCode, str]] = {
    ResultCode.OK: "done",
    ResultCode.BAD_PARAM: "a field is missing or does not fit",
    ResultCode.IMPROPER_TX: "bound to a height outside the window, or executed before",
    ResultCode.INVALID_AMOUNT: "amount is negative, or zero where it may not be",
    ResultCode.NOT_ENOUGH_BALANCE: "balance does not cover amount and fees",
    ResultCode.SELF_TRANSACTION: "sender and recipient are the same account",
    ResultCode.PERMISSION_DENIED: "sender is not the owner and has no right to act for it",
    ResultCode.ALREADY_REQUESTED: "this buyer has already requested the parcel",
    ResultCode.ALREADY_GRANTED: "the parcel is already granted to this buyer",
    ResultCode.PARCEL_NOT_FOUND: "no such parcel is registered",
    ResultCode.REQUEST_NOT_FOUND: "this buyer has not requested the parcel",
    ResultCode.USAGE_NOT_FOUND: "the parcel is not granted to this buyer",
    ResultCode.BAD_SIGNATURE: "signature or sender's key does not fit",
    ResultCode.MULTIPLE_DELEGATES: "coins are already delegated to another account",
    ResultCode.DELEGATE_NOT_FOUND: "nothing is delegated",
    ResultCode.NO_STAKE: "no stake is held",
    ResultCode.IMPROPER_STAKE_AMOUNT: "stake is not a multiple of the staking unit",
    ResultCode.HEIGHT_TAKEN: "height is taken",
    ResultCode.BAD_VALIDATOR: "validator key is not 32 bytes",
    ResultCode.LAST_VALIDATOR: "the last validator cannot leave",
    ResultCode.DELEGATE_EXISTS: "stake has delegators",
    ResultCode.STAKE_LOCKED: "stake is still locked",
    ResultCode.IMPROPER_DRAFT_ID: "draft id is not the next one",
    ResultCode.IMPROPER_DRAFT_CONFIG: "draft would set an impossible configuration",
    ResultCode.PROPOSED_DRAFT: "draft was proposed before",
    ResultCode.NON_EXISTING_DRAFT: "no such draft",
    ResultCode.ANOTHER_DRAFT_IN_PROCESS: "another draft is in process",
    ResultCode.VOTE_NOT_OPEN: "voting is not open",
    ResultCode.ALREADY_VOTED: "this account has voted",
    ResultCode.NO_STORAGE: "the parcel's storage is unknown or closed",
    ResultCode.UDC_NOT_FOUND: "no such user-defined coin",
    ResultCode.NOT_FOUND: "no such entry",
    ResultCode.UNKNOWN: "unknown transaction type, or an entry that cannot be read",
}

_ERRORS: Final[Mapping[type[RefusedError], tuple[ResultCode, ...]]] = {
    StaleTxError: (ResultCode.IMPROPER_TX,),
    NotEnoughFundsError: (ResultCode.NOT_ENOUGH_BALANCE,),
    AlreadyDoneError: (
        ResultCode.ALREADY_REQUESTED,
        ResultCode.ALREADY_GRANTED,
        ResultCode.PROPOSED_DRAFT,
        ResultCode.ALREADY_VOTED,
    ),
    NotThereError: (
        ResultCode.PARCEL_NOT_FOUND,
        ResultCode.REQUEST_NOT_FOUND,
        ResultCode.USAGE_NOT_FOUND,
        ResultCode.DELEGATE_NOT_FOUND,
        ResultCode.NO_STAKE,
        ResultCode.NON_EXISTING_DRAFT,
        ResultCode.NO_STORAGE,
        ResultCode.UDC_NOT_FOUND,
        ResultCode.NOT_FOUND,
    ),
    NotAllowedError: (
        ResultCode.PERMISSION_DENIED,
        ResultCode.MULTIPLE_DELEGATES,
        ResultCode.HEIGHT_TAKEN,
        ResultCode.LAST_VALIDATOR,
        ResultCode.DELEGATE_EXISTS,
        ResultCode.STAKE_LOCKED,
        ResultCode.ANOTHER_DRAFT_IN_PROCESS,
        ResultCode.VOTE_NOT_OPEN,
    ),
    BadTxError: (
        ResultCode.BAD_PARAM,
        ResultCode.INVALID_AMOUNT,
        ResultCode.SELF_TRANSACTION,
        ResultCode.BAD_SIGNATURE,
        ResultCode.IMPROPER_STAKE_AMOUNT,
        ResultCode.BAD_VALIDATOR,
        ResultCode.IMPROPER_DRAFT_ID,
        ResultCode.IMPROPER_DRAFT_CONFIG,
        ResultCode.UNKNOWN,
    ),
}
_ERROR_OF: Final = {int(code): error for error, codes in _ERRORS.items() for code in codes}


def refusal(code: int, log: str, where: str) -> RefusedError:
    """The error to raise for a code other than OK; a code nobody listed is a RefusedError.

    log: the chain's own words, of any length; where: an endpoint, a block, a parcel
    """
    words = " ".join(log.split())[:200]
    said = f"code {code}: {words}" if words else f"code {code}"
    return _ERROR_OF.get(code, RefusedError)(f"{where}: {text_of(code)} ({said})", code=code)


def text_of(code: int) -> str:
    """The meaning of any number, those this table does not know included."""
    known = {int(result): text for result, text in _TEXTS.items()}
    return known.get(code, f"code {code}, not known here")

"""Every error the agent raises on purpose, sorted by what its caller does next.

    AgentError
     +-- UsageError             a command was given something unusable   (exit code 2)
     +-- ConfigError            the file must be changed first           (exit code 78)
     +-- SourceLostError        open the bus, radio or receiver again    (back-off)
     +-- MalformedInputError    count it and go on with the next input
     +-- StoreError             stop: nothing is recorded without the log
     |    +-- LogCorruptError   stop, and keep the file for diagnosis
     |    +-- DiskFullError     go on when there is room; what does not fit is counted
     +-- HeldError              this must be kept; release the hold first
     +-- SealError              a key is missing or does not fit; nothing may leave the car
     |    +-- ErasedError       its key was destroyed; go on without it
     +-- RemoteError            try again later; the log still has everything
          +-- PushbackError     try again later, and slower
          +-- RefusedError      do not try again; tell a person
               +-- StaleTxError         build the transaction again and send it
               +-- AlreadyDoneError     go on: the chain has it
               +-- NotEnoughFundsError  wait for coins; what is to be sent stays queued
               +-- NotThereError        forget it, or look again what there is
               +-- NotAllowedError      leave it to whoever may, or to another time
               +-- BadTxError           stop: we made it wrongly
          +-- LyingEndpointError  drop that endpoint, and ask another
          +-- TrustExpiredError nothing is proven until a person names a newer block

The message names the value that was wrong and the limit it broke, in one line.
A ValueError or TypeError that reaches the service is a bug of ours.
"""


class AgentError(Exception):
    """Base of the tree above. `hint` tells a person, in one sentence, what to do."""

    hint: str = ""


class UsageError(AgentError):
    """A file, a directory, a port or an option that this command cannot use."""


class ConfigError(AgentError):
    """The configuration cannot be used; the message has section, key, value and limit."""


class SourceLostError(AgentError):
    """A bus, radio or receiver stopped delivering; opening it again may help."""


class MalformedInputError(AgentError):
    """One frame, line or message cannot be understood. It says nothing about the next."""


class StoreError(AgentError):
    """The event log cannot be read or written."""

    hint = "Check free space and the health of the disk under the state directory."


class LogCorruptError(StoreError):
    """The log holds something it cannot have written: a gap, a wrong digest."""

    hint = "Keep the file; `amo-agent log verify` names the first bad sequence number."


class DiskFullError(StoreError):
    """There is no room on the disk, for now."""

    hint = "Make room on the disk under the state directory."


class SealError(AgentError):
    """A key is missing or unusable, or a sealed value does not open with it."""


class ErasedError(SealError):
    """A value's key was destroyed because its owner wanted that."""


class HeldError(AgentError):
    """A part of the log that must be kept would be lost."""

    hint = "`amo-agent log release` ends a hold."


class RemoteError(AgentError):
    """The far side, or the road to it, failed. Nothing is lost: the log has it."""


class PushbackError(RemoteError):
    """The far side asks for a slower pace.

    retry_after_s: seconds to wait, as the far side said; None where it did not say.
    """

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class RefusedError(RemoteError):
    """The far side understood and said no; the same request would be refused again.

    code: the far side's own number for the reason (AMO result code, HTTP status).
    """

    def __init__(self, message: str, *, code: int = 0) -> None:
        super().__init__(message)
        self.code = code


class StaleTxError(RefusedError):
    """The transaction is outside its window of blocks, or these very bytes were executed."""

    hint = "Build the transaction again, for a height of now."


class AlreadyDoneError(RefusedError):
    """What was asked for stands on the chain already."""

    hint = "Nothing is to be done."


class NotEnoughFundsError(RefusedError):
    """Coins of the account do not cover amount and fees."""

    hint = "Put coins on the account, or send less."


class NotThereError(RefusedError):
    """The parcel, request, grant, storage or entry is not on the chain."""

    hint = "Check the identifier; what it names may be gone, closed or never made."


class NotAllowedError(RefusedError):
    """The chain lets another account do this, or this one at another time."""

    hint = "Another account may do this, or this one at another time."


class BadTxError(RefusedError):
    """The transaction was made wrongly and never passes as it is."""

    hint = "This is a fault of the agent or of a value handed to it; keep the message."


class LyingEndpointError(RemoteError):
    """What an endpoint said contradicts what is proven.

    endpoint: its address, or two of them where each shows a chain that is signed
    """

    def __init__(self, endpoint: str, reason: str) -> None:
        super().__init__(f"{endpoint}: {reason}")
        self.endpoint = endpoint
        self.reason = reason


class TrustExpiredError(RemoteError):
    """The newest block that is trusted is older than the trusting period."""

    hint = "Take height and hash of a recent block from a source you trust, as `upload.trust`."

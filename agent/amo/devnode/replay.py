"""Protection against executing the same bytes twice, and against bindings out of the window.

It looks at bytes, as the reference does: the same signed fields spelt otherwise pass again.
"""

from collections import OrderedDict
from hashlib import sha256

from agent.amo.codes import ResultCode
from agent.amo.devnode.outcome import TxFailedError


class ReplayGuard:
    """Hashes of what was executed, failed transactions too, in the last `window` blocks."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._heights: OrderedDict[bytes, int] = OrderedDict()

    def require_bound(self, bound: int, height: int) -> None:
        """bound: height the transaction names; height: of its block. Raises TxFailedError."""
        oldest = height - self._window + 1 if self._window < height else 0
        if bound < oldest:
            raise TxFailedError(ResultCode.IMPROPER_TX, "tx is too old")
        if bound > height:
            raise TxFailedError(ResultCode.IMPROPER_TX, "tx is from the future")

    def require_new(self, raw: bytes, before: int) -> None:
        """Refuse what was executed below height `before`. Raises TxFailedError."""
        height = self._heights.get(sha256(raw).digest())
        if height is not None and height < before:
            raise TxFailedError(ResultCode.IMPROPER_TX, "already processed tx")

    def add(self, raw: bytes, height: int) -> None:
        self._heights.setdefault(sha256(raw).digest(), height)

    def forget(self, height: int) -> None:
        """Block `height` begins: what only older windows could reach goes."""
        while self._heights and next(iter(self._heights.values())) < height - self._window:
            self._heights.popitem(last=False)

"""What the BSM room needs from the outside; the drivers fit these by shape."""

from collections.abc import AsyncIterator
from typing import Protocol


class Radio(Protocol):
    """Broadcasts and hears payloads on one channel. It does not know what a BSM is.

    max_payload: octets
    dropped:     payloads that were heard and that nobody took in time
    """

    @property
    def max_payload(self) -> int: ...

    @property
    def dropped(self) -> int: ...

    async def send(self, payload: bytes) -> None:
        """Return when the payload is queued on the air interface.

        Raises SourceLostError. A payload over `max_payload` is a ValueError.
        """

    def heard(self) -> AsyncIterator[bytes]:
        """Payloads in the order of arrival, until the radio is closed."""

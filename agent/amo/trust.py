"""What a light client starts from, as a person writes it down."""

import re
from dataclasses import dataclass
from typing import Final, Self

from agent.errors import UsageError

_FORM: Final = re.compile(r"([1-9][0-9]{0,17}):([0-9A-Fa-f]{64})", re.ASCII)


@dataclass(frozen=True, slots=True)
class TrustRoot:
    """A block that is believed without proof. hash: of its header, 32 bytes."""

    height: int
    hash: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """From "HEIGHT:HASH". Raises UsageError."""
        form = _FORM.fullmatch(text)
        if form is None:
            raise UsageError(f"{text[:100]!r} is not HEIGHT:HASH, the hash of 64 hex digits")
        return cls(int(form[1]), bytes.fromhex(form[2]))

    def __str__(self) -> str:
        return f"{self.height}:{self.hash.hex().upper()}"

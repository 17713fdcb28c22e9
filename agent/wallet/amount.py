"""Amounts of coins: whole numbers of mote inside, AMO with 18 decimals on the screen.

One AMO is 10^18 mote (AMO protocol, chapter 2). No float is met on the way, so that what a person
reads and types is what the chain moves.
"""

import re
from typing import Final

from agent.errors import UsageError

DECIMALS: Final = 18
AMO: Final = 10**DECIMALS
"""Mote in one AMO."""
MAX_MOTE: Final = 2**256 - 2
"""The largest amount the chain reads."""

_AMOUNT: Final = re.compile(r"(0|[1-9][0-9]{0,77})(?:\.([0-9]{1,18}))?( ?AMO)?", re.ASCII)
_MOTE: Final = re.compile(r"(0|[1-9][0-9]{0,77}) ?mote", re.ASCII)


def mote_of(text: str) -> int:
    """What a person wrote ("1.5 AMO", "1.5" or "1500000000000000000 mote") -> mote, exactly.

    Digits and one point, nothing else: a comma, an exponent, a sign or a leading zero means one
    thing here and another there. Raises UsageError for these, and outside 0..2^256-2.
    """
    mote = _read(text)
    if mote > MAX_MOTE:
        raise UsageError(f"amount {text[:100]!r} is outside 0..2^256-2 mote")
    return mote


def amo_text(mote: int) -> str:
    """All 18 decimals and the unit: "1.500000000000000000 AMO". A loss has its sign in front."""
    whole, rest = divmod(abs(mote), AMO)
    return f"{'-' * (mote < 0)}{whole}.{rest:0{DECIMALS}} AMO"


def _read(text: str) -> int:
    if match := _MOTE.fullmatch(text):
        return int(match[1])
    if match := _AMOUNT.fullmatch(text):
        whole, decimals = match[1], match[2] or ""
        return int(whole) * AMO + int(decimals.ljust(DECIMALS, "0"))
    raise UsageError(
        f"amount {text[:100]!r} is not like '1.5 AMO', of at most {DECIMALS} decimals, or '15 mote'"
    )

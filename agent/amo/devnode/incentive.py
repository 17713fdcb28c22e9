"""The incentive of a block, shared among the proposer's stake holder and its delegators.

The node works the shares out in binary floating point, so the same rounding is done here.
"""

from fractions import Fraction
from typing import Final

from agent.amo.devnode.config import ChainConfig
from agent.amo.devnode.stakes import Stakes

_LEAST_BITS: Final = 64


def shares(
    amount: int, holder: bytes, stakes: Stakes, config: ChainConfig
) -> list[tuple[bytes, int]]:
    """(account, mote) in the order in which they are paid: delegators, then the holder."""
    weights = [
        (delegator, _product(config.weight_delegator, delegated))
        for delegator, delegated in stakes.delegators(holder)
    ]
    whole = _product(config.weight_validator, stakes.held(holder))
    for _, weight in weights:
        whole = _rounded(whole + weight, _bits(whole, weight))
    paid = [(delegator, _share(weight, whole, amount)) for delegator, weight in weights]
    rest = amount - sum(part for _, part in paid)
    return [(who, part) for who, part in [*paid, (holder, rest)] if part > 0]


def _share(weight: Fraction, whole: Fraction, amount: int) -> int:
    ratio = _rounded(weight / whole, _bits(weight, whole))
    return int(_rounded(ratio * amount, _bits(ratio, Fraction(amount))))


def _product(weight: float, amount: int) -> Fraction:
    exact = Fraction(weight) * amount
    return _rounded(exact, _bits(Fraction(amount)))


def _bits(*numbers: Fraction) -> int:
    """Mantissa of the result: as long as the longest integer part, and at least 64 bits."""
    return max(_LEAST_BITS, *(int(number).bit_length() for number in numbers))


def _rounded(number: Fraction, bits: int) -> Fraction:
    """To the nearest number with that many bits, ties to even."""
    if not number:
        return number
    exponent = number.numerator.bit_length() - number.denominator.bit_length() - bits
    unit = Fraction(2) ** exponent
    if number / unit >= 1 << bits:
        unit *= 2
    return round(number / unit) * unit

"""A condition on signals, as a person writes it: `speed.vehicle > 5 and not brake.pedal > 0`.

    names of docs/signals.md and can.MESSAGE.SIGNAL, numbers, < <= > >= == !=, and, or, not, ( )

Python's parser reads it, these forms alone are taken over, and Python evaluates nothing of it.
A comparison with a signal that was never seen is neither true nor false, nor is what depends on it.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Final
from warnings import catch_warnings

from agent.errors import ConfigError

LONGEST: Final = 500
COMPARISONS: Final[Mapping[type[ast.cmpop], Callable[[float, float], bool]]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

Values = Mapping[str, float]
_Truth = Callable[[Values], bool | None]
_Number = Callable[[Values], float | None]


class Condition:
    """names: the signals that are in it. Raises ConfigError for anything outside the grammar."""

    def __init__(self, text: str) -> None:
        self.names: set[str] = set()
        if len(text) > LONGEST:
            raise ConfigError(f"a condition of {len(text)} characters; at most {LONGEST}")
        try:
            with catch_warnings(action="error"):  # the parser warns where it guesses
                tree = ast.parse(text.strip(), mode="eval")
            self._holds = self._truth(tree.body)
        except (SyntaxError, Warning, ValueError, RecursionError, MemoryError) as error:
            reason = getattr(error, "msg", None) or error
            raise ConfigError(f"{text!r} is no condition: {reason}") from None

    def holds(self, values: Values) -> bool:
        """values: the last one of each signal that was seen."""
        return self._holds(values) is True

    def _truth(self, node: ast.expr) -> _Truth:
        if isinstance(node, ast.BoolOp):
            parts = [self._truth(value) for value in node.values]
            return _all(parts) if isinstance(node.op, ast.And) else _any(parts)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return _not(self._truth(node.operand))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        raise ConfigError(f"{ast.unparse(node)!r} is neither true nor false; compare it")

    def _comparison(self, node: ast.Compare) -> _Truth:
        sides = [self._number(side) for side in (node.left, *node.comparators)]
        for op in node.ops:
            if type(op) not in COMPARISONS:
                raise ConfigError(f"{ast.unparse(node)!r}: only < <= > >= == != compare")
        steps = zip(sides, node.ops, sides[1:], strict=False)
        return _all([_compare(left, COMPARISONS[type(op)], right) for left, op, right in steps])

    def _number(self, node: ast.expr) -> _Number:
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
            return lambda _: number
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            inner = self._number(node.operand)
            return lambda values: None if (found := inner(values)) is None else -found
        name = _dotted(node)
        self.names.add(name)
        return lambda values: values.get(name)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise ConfigError(f"{ast.unparse(node)!r} is neither a number nor the name of a signal")


def _compare(left: _Number, test: Callable[[float, float], bool], right: _Number) -> _Truth:
    def compared(values: Values) -> bool | None:
        one, other = left(values), right(values)
        return None if one is None or other is None else test(one, other)

    return compared


def _all(parts: list[_Truth]) -> _Truth:
    def everyone(values: Values) -> bool | None:
        found = [part(values) for part in parts]
        return False if False in found else None if None in found else True

    return everyone


def _any(parts: list[_Truth]) -> _Truth:
    def anyone(values: Values) -> bool | None:
        found = [part(values) for part in parts]
        return True if True in found else None if None in found else False

    return anyone


def _not(part: _Truth) -> _Truth:
    def other(values: Values) -> bool | None:
        found = part(values)
        return None if found is None else not found

    return other

"""Compiled bit formats: bitstruct's C, or its Python on a platform that has no C of it.

Both give the same bits, and both raise OverflowError for what does not fit its bits and
TypeError for what is neither whole number nor octets.
"""

from typing import Any, Protocol

import bitstruct  # type: ignore[import-untyped]  # it has no types

try:
    from bitstruct import c as _fast
except ImportError:
    _fast = None


class Format(Protocol):
    """A letter and a number of bits each: u unsigned, s signed, r octets, p zeros without value."""

    def pack(self, *values: int | bytes) -> bytes: ...

    def unpack(self, data: bytes) -> tuple[Any, ...]: ...


def compiled(text: str) -> Format:
    return PlainFormat(text) if _fast is None else _fast.compile(text)


class PlainFormat:
    """bitstruct's Python is lenient: it packs "7" and 7.9 as 7, and cuts octets to fit."""

    def __init__(self, text: str) -> None:
        self._format = bitstruct.compile(text)
        self._types = [bytes if kind == "r" else int for kind in text if kind in "usr"]

    def pack(self, *values: int | bytes) -> bytes:
        for value, kind in zip(values, self._types, strict=True):
            if not isinstance(value, kind):
                raise TypeError(f"{type(value).__name__} where {kind.__name__} is expected")
        try:
            return bytes(self._format.pack(*values))
        except bitstruct.Error as error:
            raise OverflowError(str(error)) from error

    def unpack(self, data: bytes) -> tuple[Any, ...]:
        return tuple(self._format.unpack(data))

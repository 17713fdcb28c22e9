"""Libraries without what they load for their own sake.

Some load others that happen to be installed, of which nothing here has a use: pandas alone is
70 MB that a car's computer does not have to spare.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without(name: str) -> Iterator[None]:
    """Inside, an import of this module is refused, as where it is not installed."""
    if name in sys.modules:
        yield
        return
    sys.modules[name] = None  # type: ignore[assignment]  # what an import refuses
    try:
        yield
    finally:
        del sys.modules[name]

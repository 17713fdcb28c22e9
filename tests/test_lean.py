"""The agent does not load what it has no use for, also where it is installed."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from agent.lean import without

HEAVY = ("asammdf", "pandas", "numpy", "lxml", "canmatrix", "bleak", "dbus_fast")


def test_service_loads_none_of_the_heavy_libraries_that_are_installed() -> None:
    installed = [name for name in HEAVY if find_spec(name)]
    if not installed:
        pytest.skip(f"none of {', '.join(HEAVY)} is installed")
    script = f"import sys, agent.cli.run; print([n for n in {installed} if n in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_library_that_was_hidden_can_be_loaded_afterwards() -> None:
    name = "colorsys" if "wave" in sys.modules else "wave"
    with without(name), pytest.raises(ImportError):
        __import__(name)
    assert __import__(name).__name__ == name


def test_library_that_is_loaded_already_stays() -> None:
    with without("subprocess"):
        assert __import__("subprocess") is subprocess
    assert sys.modules["subprocess"] is subprocess

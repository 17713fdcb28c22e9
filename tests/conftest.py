"""What the tests of several rooms start from: a state directory, open, under a manual clock."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.archive import Archive, archive
from agent.clock import ManualClock
from tests.tokens import SoftHsm, SwTpm

START_NS = 1_700_000_000_000_000_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_NS)


@pytest.fixture
def parts(tmp_path: Path, clock: ManualClock) -> Iterator[Archive]:
    with archive(tmp_path / "state", clock, wait=True) as opened:
        yield opened


@pytest.fixture(scope="session")
def softhsm(tmp_path_factory: pytest.TempPathFactory) -> SoftHsm:
    return SoftHsm(tmp_path_factory.mktemp("softhsm"))


@pytest.fixture(scope="session")
def swtpm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwTpm]:
    tpm = SwTpm(tmp_path_factory.mktemp("swtpm"))
    yield tpm
    tpm.unplug()


@pytest.fixture
def memory() -> Iterator[Path]:
    """A place for many small logs; in memory, where a machine has that, so that syncs are quick."""
    shared = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=shared if os.access(shared, os.W_OK) else None) as made:
        yield Path(made)

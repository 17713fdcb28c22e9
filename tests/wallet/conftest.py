"""Keys that the tests of the wallet share; made once, used for nothing else."""

import pytest

from agent.wallet import curve
from agent.wallet.keys import FileKey


@pytest.fixture(scope="session")
def owner() -> FileKey:
    return FileKey(curve.new_scalar(), protected=False)


@pytest.fixture(scope="session")
def buyer() -> FileKey:
    return FileKey(curve.new_scalar(), protected=False)

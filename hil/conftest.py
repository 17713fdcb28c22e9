"""Finds the rig: builds the machine's image, or says why there can be none."""

import pytest

from hil import image


@pytest.fixture(scope="session")
def machine() -> image.Image:
    reason = image.missing()
    if reason is not None:
        pytest.skip(reason)
    return image.build()

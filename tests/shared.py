"""Where recorded inputs of others lie: beside the project, never in it."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2] / "shared"
RAV4 = SHARED / "data" / "can" / "toyota-rav4-2018-08-02"
TOYOTA_DBC = SHARED / "data" / "dbc" / "opendbc" / "toyota_new_mc_pt_generated.dbc"

needs_shared = pytest.mark.skipif(
    not SHARED.is_dir(), reason="the folder ../shared with recorded drives is not there"
)

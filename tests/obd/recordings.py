"""Where the recorded drives lie; tests that need them say so when they are absent."""

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"
CAN = SHARED / "data" / "can"
DBC = SHARED / "data" / "dbc"

RAV4 = CAN / "toyota-rav4-2018-08-02"
RAV4_LOG = RAV4 / "can.log.gz"
TOYOTA_DBC = DBC / "opendbc" / "toyota_new_mc_pt_generated.dbc"
SUBARU = CAN / "subaru-wrx-sti"
SUBARU_LOG = SUBARU / "can_sample.first30s.log.gz"
KONA_LOG = CAN / "hyundai-kona-ev" / "230112-7-2019-pcan-ccan-power-off-on-ready-off.csv.gz"
PYTHON_CAN = CAN / "python-can-formats"
SAVVYCAN = CAN / "savvycan-formats"

PROFILES = Path(__file__).parents[2] / "dbc"

needs_recordings = pytest.mark.skipif(
    not CAN.is_dir(), reason=f"recorded drives are not at {CAN.parent.parent.name}/data/can"
)


def dbc_files() -> list[Path]:
    return [*sorted(DBC.glob("*/*.dbc")), *sorted(CAN.glob("*/*.dbc")), PROFILES / "simcar.dbc"]


def log_files() -> list[Path]:
    endings = (".log.gz", ".asc", ".asc.gz", ".blf", ".trc", ".txt.gz")
    logs = [path for path in CAN.glob("*/*") if path.name.endswith(endings)]
    return sorted([*logs, *CAN.glob("hyundai-kona-ev/*.csv.gz"), *CAN.glob("savvycan*/*.csv.gz")])

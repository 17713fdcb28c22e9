"""Values recorded from real nodes and services, kept beside the repository."""

import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "amo_vectors.json"


@cache
def recorded() -> dict[str, Any]:
    if not VECTORS.exists():
        reason = f"the recorded vectors are not here: {VECTORS.name}"
        pytest.skip(reason, allow_module_level=True)
    return dict(json.loads(VECTORS.read_text(encoding="utf-8")))

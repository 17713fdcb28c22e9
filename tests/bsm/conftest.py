"""The codec of the shipped module, and the public messages it has to read."""

import json
from pathlib import Path
from typing import Any

import pytest

from agent.bsm.codec import Codec
from tests.bsm.trees import POINT, with_safety

ROOT = Path(__file__).parents[2]
VECTORS = ROOT.parent / "shared" / "vectors"


@pytest.fixture(scope="session")
def codec() -> Codec:
    codec = Codec(ROOT / "asn1" / "J2735.asn")
    assert codec.types  # compiled here, so that no test is timed with it
    return codec


@pytest.fixture(scope="session")
def public() -> dict[str, Any]:
    vectors: dict[str, Any] = _load("bsm_vectors.json")
    return vectors


@pytest.fixture(scope="session")
def secured() -> list[dict[str, Any]]:
    vectors: list[dict[str, Any]] = _load("ieee1609dot2_vectors.json")["vectors"]
    return vectors


@pytest.fixture(scope="session")
def sources(codec: Codec, public: dict[str, Any]) -> list[bytes]:
    """Public messages, and one with everything that has a compiled format."""
    whole = {
        "events": (b"\x01\x00", 13),
        "pathHistory": {"crumbData": [POINT] * 5},
        "pathPrediction": {"radiusOfCurve": -32767, "confidence": 200},
        "lights": (b"\x80\x00", 9),
    }
    ours = codec.encode_tree(with_safety(codec, whole))
    return [ours, ours[3:], *(bytes.fromhex(vector["hex"]) for vector in public["vectors"])]


def _load(name: str) -> Any:
    path = VECTORS / name
    if not path.exists():
        pytest.skip(f"the public messages are not here: {path.name}")
    return json.loads(path.read_text(encoding="utf-8"))

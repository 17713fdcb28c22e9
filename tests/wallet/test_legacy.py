"""What the older clients wrote is opened for whoever asks for that, with a warning, and no more."""

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from agent.errors import SealError
from agent.privacy import Level
from agent.wallet import curve
from agent.wallet.custody import CUSTODY_BYTES, unwrap, wrap
from agent.wallet.keys import FileKey
from agent.wallet.legacy import open_legacy

VECTORS = Path(__file__).parents[2].parent / "shared" / "vectors" / "amo_vectors.json"
PARCEL = "00000001" + "AB" * 32


def recorded(section: str) -> list[dict[str, Any]]:
    if not VECTORS.exists():
        pytest.skip(f"{VECTORS.name} is not beside the repository")
    found: list[dict[str, Any]] = json.loads(VECTORS.read_text(encoding="utf-8"))[section]
    return found


def recomputable() -> list[dict[str, Any]]:
    return [case for case in recorded("key_custody") if "recipient_seed" in case]


def reader_of(case: dict[str, Any]) -> FileKey:
    return FileKey(hashlib.sha256(case["recipient_seed"].encode()).digest(), protected=False)


def test_the_published_private_key_is_the_recorded_one_and_so_is_its_point() -> None:
    [fixed] = recorded("key_custody_fixed_key")
    scalar = hashlib.sha256(b"keyencryptionkey").digest()
    assert scalar.hex() == fixed["fixed_private_key_hex"]
    public = curve.public_bytes(curve.load_private(scalar))
    assert public.hex().upper() == fixed["fixed_public_key_hex"]


def test_every_recorded_custody_opens() -> None:
    cases = recomputable()
    assert len(cases) == 4
    for case in cases:
        public = bytes.fromhex(case["recipient_public_key_hex"])
        custody = bytes.fromhex(case["custody_hex"])
        assert reader_of(case).public == public
        assert open_legacy(custody, public).hex() == case["dek_hex"]


def test_a_wallet_opens_it_only_when_it_is_asked_to() -> None:
    case = recomputable()[0]
    reader, custody = reader_of(case), bytes.fromhex(case["custody_hex"])
    with pytest.raises(SealError, match="legacy scheme, which protects nothing"):
        unwrap(custody, reader, parcel_id=PARCEL, level=Level.LV3)
    key = unwrap(custody, reader, parcel_id=PARCEL, level=Level.LV3, legacy=True)
    assert key.hex() == case["dek_hex"]


def test_opening_it_warns_and_shows_no_key() -> None:
    case = recomputable()[0]
    with capture_logs() as told:
        open_legacy(bytes.fromhex(case["custody_hex"]), reader_of(case).public)
    [line] = told
    assert line["log_level"] == "warning"
    assert "anybody can open" in line["event"]
    assert case["dek_hex"] not in str(told)
    assert case["ecdh_shared_secret_hex"] not in str(told)


def test_our_own_custody_stays_bound_to_its_parcel_for_who_takes_the_legacy_kind_too(
    owner: FileKey,
) -> None:
    custody = wrap(bytes(32), owner.public, parcel_id=PARCEL, level=Level.LV3)
    assert len(custody) == CUSTODY_BYTES
    assert unwrap(custody, owner, parcel_id=PARCEL, level=Level.LV3, legacy=True) == bytes(32)
    other = PARCEL[:-2] + "00"
    with pytest.raises(SealError):
        unwrap(custody, owner, parcel_id=other, level=Level.LV3, legacy=True)


@pytest.mark.parametrize("length", [0, 1, 31, 33, 113])
def test_custody_of_another_length_is_not_taken_for_a_legacy_one(
    owner: FileKey, length: int
) -> None:
    with pytest.raises(SealError, match=f"{length} bytes"):
        unwrap(bytes(length), owner, parcel_id=PARCEL, level=Level.LV3, legacy=True)


@pytest.mark.parametrize("public", [b"", bytes(65), b"\x04" + bytes(64), b"\x02" + bytes(32)])
def test_a_reader_whose_key_is_not_one_is_refused(public: bytes) -> None:
    with pytest.raises(SealError):
        open_legacy(bytes(32), public)

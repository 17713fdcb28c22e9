"""Custody opens for its reader, its parcel and its level, and for nothing else."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.errors import SealError
from agent.privacy import Level
from agent.wallet.custody import (
    CUSTODY_BYTES,
    unwrap,
    unwrap_seal_root,
    unwrap_segment,
    wrap,
    wrap_seal_root,
    wrap_segment,
)
from agent.wallet.keys import FileKey
from tests.wallet import plain_hpke

PARCEL = "00000001" + "AB" * 32
KEY = bytes(range(32))
GOLDEN = bytes.fromhex(
    "0104d65a93977caa3d1b081852ff57a79e465f1660577304baead505dd3a48589cf350185e895372df6221ea3a137557e473fddb6755f05bd507c3c533fce9c9128561d8172c9a6caba458c51296fda05f1431805be3f3e01c2a65fa47cb6661f13bdc918338f28727192281405bf6f2ff2a"
)
"""Printed by `python -m tests.wallet.plain_hpke`: private key 11…11, ephemeral key 22…22."""


def wrapped(to: FileKey) -> bytes:
    return wrap(KEY, to.public, parcel_id=PARCEL, level=Level.LV2)


def opened(custody: bytes, by: FileKey, parcel: str = PARCEL, level: Level = Level.LV2) -> bytes:
    return unwrap(custody, by, parcel_id=parcel, level=level)


def test_the_data_key_comes_back(owner: FileKey) -> None:
    assert opened(wrapped(owner), owner) == KEY


def test_a_custody_written_before_is_still_read() -> None:
    assert opened(GOLDEN, FileKey(b"\x11" * 32, protected=False)) == KEY
    assert plain_hpke.golden_custody() == GOLDEN


def test_the_documented_layout_opens_with_the_second_writing() -> None:
    reader = FileKey(b"\x11" * 32, protected=False)
    info = b"amo-agent custody v1\x02" + bytes.fromhex(PARCEL)
    assert plain_hpke.unseal(b"\x11" * 32, wrapped(reader)[1:], info, b"") == KEY


def test_each_changed_byte_is_found(owner: FileKey) -> None:
    good = wrapped(owner)
    assert len(good) == CUSTODY_BYTES == 114
    for position in range(len(good)):
        bad = bytearray(good)
        bad[position] ^= 0x01
        with pytest.raises(SealError):
            opened(bytes(bad), owner)


def test_another_reader_cannot_open_it(owner: FileKey, buyer: FileKey) -> None:
    with pytest.raises(SealError):
        opened(wrapped(owner), buyer)


def test_it_does_not_open_for_another_parcel_or_level(owner: FileKey) -> None:
    with pytest.raises(SealError):
        opened(wrapped(owner), owner, parcel="00000001" + "AC" * 32)
    with pytest.raises(SealError):
        opened(wrapped(owner), owner, level=Level.LV3)


def test_the_case_of_the_parcel_id_does_not_matter(owner: FileKey) -> None:
    assert opened(wrapped(owner), owner, parcel=PARCEL.lower()) == KEY


def test_a_legacy_custody_is_named_and_refused(owner: FileKey) -> None:
    with pytest.raises(SealError, match="legacy"):
        opened(bytes(32), owner)


def test_the_key_of_a_segment_never_opens_as_a_parcels(owner: FileKey) -> None:
    segment = wrap_segment(KEY, owner.public, 7, Level.LV2)
    assert unwrap_segment(segment, owner, 7, Level.LV2) == KEY
    with pytest.raises(SealError):
        unwrap_segment(segment, owner, 8, Level.LV2)
    with pytest.raises(SealError):
        unwrap_segment(segment, owner, 7, Level.LV1)
    with pytest.raises(SealError):
        opened(segment, owner, parcel="0000000007")


def test_the_key_of_a_seal_opens_as_nothing_else(owner: FileKey) -> None:
    log_id = bytes(range(32))
    wrapped_root = wrap_seal_root(KEY, owner.public, log_id, 7)
    assert unwrap_seal_root(wrapped_root, owner, log_id, 7) == KEY
    for other_log, other_number in ((bytes(32), 7), (log_id, 8)):
        with pytest.raises(SealError):
            unwrap_seal_root(wrapped_root, owner, other_log, other_number)
    with pytest.raises(SealError):
        unwrap_segment(wrapped_root, owner, 7, Level.LV3)
    with pytest.raises(SealError):
        opened(wrapped_root, owner, parcel=log_id.hex())


@pytest.mark.parametrize(
    "parcel", ["", "00000001", "0000000", "zz" * 36, "00 000001ab", "\uff10" * 12]
)
def test_a_parcel_id_that_is_not_one_is_refused(owner: FileKey, parcel: str) -> None:
    with pytest.raises(SealError):
        wrap(KEY, owner.public, parcel_id=parcel, level=Level.LV2)


def test_a_key_of_another_length_is_not_wrapped(owner: FileKey) -> None:
    with pytest.raises(SealError):
        wrap(KEY[:31], owner.public, parcel_id=PARCEL, level=Level.LV2)


@pytest.mark.parametrize(
    "public",
    [
        b"",
        b"\x00",  # the point at infinity
        b"\x02" + bytes(32),  # compressed
        b"\x04" + bytes(64),  # not on the curve
        b"\x04" + b"\xff" * 64,  # coordinates over the field
        b"\x04" + bytes(63) + b"\x01",
        b"\x06" + bytes(64),  # hybrid form
        bytes(65),
    ],
)
def test_a_public_key_that_is_not_one_is_refused(public: bytes) -> None:
    with pytest.raises(SealError):
        wrap(KEY, public, parcel_id=PARCEL, level=Level.LV2)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=130))
def test_garbage_is_refused(data: bytes) -> None:
    with pytest.raises(SealError):
        opened(data, FileKey(b"\x11" * 32, protected=False))


def test_no_error_shows_the_key(owner: FileKey) -> None:
    bad = wrapped(owner)[:-1] + b"\x00"
    with pytest.raises(SealError) as caught:
        opened(bad, owner)
    assert KEY.hex() not in repr(caught.value)

"""The key of the seals moves on, cannot be turned back, and its owner can make every one."""

import hashlib
import hmac
import pickle
from pathlib import Path

import pytest

from agent.errors import SealError
from agent.wallet import cbor
from agent.wallet.keys import FileKey
from agent.wallet.sealkey import KEY, ROOT, OwnersSealKeys, SealKey, load_roots
from tests.wallet.rot import every_bit

LOG = bytes(range(32))


def begun(directory: Path, owner: FileKey, first: int = 1) -> SealKey:
    return SealKey.begin(directory, owner.public, LOG, first)


def owners(directory: Path, owner: FileKey, log_id: bytes = LOG) -> OwnersSealKeys:
    return OwnersSealKeys(load_roots(directory), owner, log_id)


def loaded(directory: Path) -> SealKey:
    key = SealKey.load(directory, LOG)
    assert key is not None
    return key


def test_key_moves_on_as_the_format_says(tmp_path: Path, owner: FileKey) -> None:
    key = begun(tmp_path, owner)
    stored = cbor.load((tmp_path / KEY).read_bytes(), dict)
    first = stored["key"]
    assert key.mac(1, b"note") == hmac.new(first, b"note", hashlib.sha3_512).digest()
    key.advance(1)
    second = hmac.new(first, b"amo-agent seal key 1", hashlib.sha3_512).digest()[:32]
    check = hashlib.sha3_256(b"amo-agent seal key check 1" + bytes(7) + b"\2" + second).digest()
    stored = cbor.load((tmp_path / KEY).read_bytes(), dict)
    assert stored == {"no": 2, "key": second, "check": check[:8]}


def test_key_file_is_private_and_canonical(tmp_path: Path, owner: FileKey) -> None:
    begun(tmp_path, owner).advance(300)
    for name in (KEY, ROOT):
        assert (tmp_path / name).stat().st_mode & 0o777 == 0o600
    data = (tmp_path / KEY).read_bytes()
    assert data[:1] + data[1:4] + data[4:7] == b"\xa3" + b"\x62no" + b"\x19\x01\x2d"
    assert sorted(entry.name for entry in tmp_path.iterdir()) == [KEY, ROOT]


def test_only_the_next_seal_can_be_made(tmp_path: Path, owner: FileKey) -> None:
    key = begun(tmp_path, owner)
    key.advance(1)
    for no in (0, 1, 3):
        with pytest.raises(SealError, match="next seal is 2"):
            key.mac(no, b"note")


def test_rt_15_key_on_the_device_makes_no_earlier_mac(tmp_path: Path, owner: FileKey) -> None:
    """What a thief of the directory has is the next key, and it is a hash of what was before."""
    key = begun(tmp_path, owner)
    early = key.mac(1, b"note")
    key.advance(9)
    stolen = cbor.load((tmp_path / KEY).read_bytes(), dict)["key"]
    for _ in range(20):
        assert hmac.digest(stolen, b"note", "sha3_512") != early
        stolen = hmac.digest(stolen, b"amo-agent seal key 1", "sha3_512")[:32]


def test_key_goes_on_where_it_was_after_a_start(tmp_path: Path, owner: FileKey) -> None:
    key = begun(tmp_path, owner)
    key.advance(4)
    assert loaded(tmp_path).mac(5, b"note") == key.mac(5, b"note")


def test_key_that_is_behind_catches_up(tmp_path: Path, owner: FileKey) -> None:
    key = begun(tmp_path, owner)
    kept = (tmp_path / KEY).read_bytes()
    key.advance(1)
    expected = key.mac(2, b"note")
    (tmp_path / KEY).write_bytes(kept)  # the power failed before the new key was on disk
    late = loaded(tmp_path)
    late.advance(1)
    assert late.mac(2, b"note") == expected


def test_interrupted_replacement_leaves_the_old_key(tmp_path: Path, owner: FileKey) -> None:
    begun(tmp_path, owner)
    (tmp_path / f"{KEY}.new").write_bytes(b"half")
    key = loaded(tmp_path)
    key.advance(1)
    assert loaded(tmp_path).no == 2


def test_rt_14_owner_makes_every_mac(tmp_path: Path, owner: FileKey) -> None:
    key = begun(tmp_path, owner)
    macs = []
    for no in range(1, 30):
        macs.append(key.mac(no, b"note %d" % no))
        key.advance(no)
    known = owners(tmp_path, owner)
    for no in (*range(1, 30), 7, 3, 29, 1):  # in order and out of it
        assert known.mac(no, b"note %d" % no) == macs[no - 1]
    assert known.firsts == (1,)


def test_keys_begun_anew_are_the_owners_too(tmp_path: Path, owner: FileKey) -> None:
    first = begun(tmp_path, owner).mac(1, b"x")
    again = begun(tmp_path, owner, 5)
    known = owners(tmp_path, owner)
    assert known.firsts == (1, 5)
    assert known.mac(5, b"x") == again.mac(5, b"x")
    assert known.mac(1, b"x") == first
    again.advance(5)
    assert known.mac(6, b"x") == again.mac(6, b"x")


def test_root_opens_for_its_owner_and_its_log_alone(
    tmp_path: Path, owner: FileKey, buyer: FileKey
) -> None:
    begun(tmp_path, owner)
    with pytest.raises(SealError, match="does not open"):
        owners(tmp_path, buyer)
    with pytest.raises(SealError, match="no key of the seals"):
        owners(tmp_path, owner, bytes(32))
    roots = load_roots(tmp_path)
    moved = [type(root)(bytes(32), root.first, root.key) for root in roots]
    with pytest.raises(SealError, match="does not open"):
        OwnersSealKeys(moved, owner, bytes(32))


def test_number_before_the_first_key_is_named(tmp_path: Path, owner: FileKey) -> None:
    begun(tmp_path, owner, 5)
    with pytest.raises(SealError, match="seal 4 is before the first key, that of 5"):
        owners(tmp_path, owner).mac(4, b"")


def test_there_is_no_key_where_there_never_was_one_or_it_is_another_logs(
    tmp_path: Path, owner: FileKey
) -> None:
    assert SealKey.load(tmp_path, LOG) is None
    begun(tmp_path, owner)
    assert SealKey.load(tmp_path, bytes(32)) is None
    assert loaded(tmp_path).no == 1
    (tmp_path / ROOT).unlink()  # a key that its owner could not check is none
    assert SealKey.load(tmp_path, LOG) is None


def test_rt_46_no_bit_of_the_key_may_rot(tmp_path: Path, owner: FileKey) -> None:
    begun(tmp_path, owner)
    for rotten in every_bit(tmp_path / KEY):
        (tmp_path / KEY).write_bytes(rotten)
        assert SealKey.load(tmp_path, LOG) is None


def test_rt_46_root_that_rotted_is_found_before_any_mac_is_called_false(
    tmp_path: Path, owner: FileKey
) -> None:
    begun(tmp_path, owner)
    for rotten in every_bit(tmp_path / ROOT):
        (tmp_path / ROOT).write_bytes(rotten)
        with pytest.raises(SealError):
            owners(tmp_path, owner)


@pytest.mark.parametrize(
    "content",
    [b"", b"\xff", b"\xa0", cbor.dump({"no": 0, "key": bytes(32), "check": bytes(8)})],
)
def test_broken_key_is_none(tmp_path: Path, owner: FileKey, content: bytes) -> None:
    begun(tmp_path, owner)
    (tmp_path / KEY).write_bytes(content)
    assert SealKey.load(tmp_path, LOG) is None


def test_key_that_others_can_read_is_refused(tmp_path: Path, owner: FileKey) -> None:
    begun(tmp_path, owner)
    (tmp_path / KEY).chmod(0o644)
    with pytest.raises(SealError, match="0644"):
        SealKey.load(tmp_path, LOG)


def test_broken_roots_are_named(tmp_path: Path, owner: FileKey) -> None:
    begun(tmp_path, owner)
    (tmp_path / ROOT).write_bytes(b"\xff")
    with pytest.raises(SealError, match=ROOT.replace(".", r"\.")):
        load_roots(tmp_path)


def test_disk_that_refuses_is_named(tmp_path: Path, owner: FileKey) -> None:
    with pytest.raises(SealError, match=r"seal\.root"):
        begun(tmp_path / "gone", owner)


def test_key_shows_in_no_repr_and_is_not_pickled(tmp_path: Path, owner: FileKey) -> None:
    key = begun(tmp_path, owner)
    secret = cbor.load((tmp_path / KEY).read_bytes(), dict)["key"]
    assert repr(key) == "SealKey(no=1)"
    with pytest.raises(TypeError):
        pickle.dumps(key)
    with pytest.raises(SealError) as caught:
        key.mac(2, b"")
    assert secret.hex() not in repr(caught.value)

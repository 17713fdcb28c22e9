"""A backup has all keys, opens with its passphrase alone, and is never written over a file."""

from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import ManualClock
from agent.errors import SealError
from agent.privacy import Level
from agent.wallet import backup, keyfile
from agent.wallet.keys import create_keys, fill, load_keys
from agent.wallet.sealkey import KEY, ROOT, SealKey
from agent.wallet.segments import SegmentKeys, SegmentStore

LOG = b"\x01" * 32


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keyfile, "OPERATIONS", 1)
    monkeypatch.setattr(keyfile, "MEMORY_BYTES", 8192)


def test_all_that_opens_a_log_comes_back_and_nothing_else(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "keys", b"keys")
    SealKey.begin(tmp_path / "keys", made.owner.public, LOG, 1)
    with SegmentKeys(tmp_path / "keys" / "segments.db", made.owner.public, ManualClock()) as used:
        segment, _ = used.current(Level.LV1)
        packed = backup.pack(tmp_path / "keys", b"sesame")  # while they are in use
        wrapped = used.store.wrapped(segment, Level.LV1)
    files = backup.unpack(packed, b"sesame")
    assert sorted(files) == ["account.key", "device.key", "owner.key", ROOT, "segments.db"]
    assert KEY not in files
    fill(tmp_path / "again", files)
    again = load_keys(tmp_path / "again", b"keys")
    assert (again.account.public, again.owner.public) == (made.account.public, made.owner.public)
    with closing(SegmentStore(tmp_path / "again" / "segments.db")) as store:
        assert store.wrapped(segment, Level.LV1) == wrapped


def test_another_passphrase_and_any_changed_byte_open_nothing(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    packed = backup.pack(tmp_path / "keys", b"sesame")
    with pytest.raises(SealError, match="does not open"):
        backup.unpack(packed, b"sesamE")
    for place in range(0, len(packed), 23):
        changed = bytearray(packed)
        changed[place] ^= 0x01
        with pytest.raises(SealError):
            backup.unpack(bytes(changed), b"sesame")


def test_no_key_is_in_a_backup_in_clear(tmp_path: Path) -> None:
    create_keys(tmp_path / "keys")
    packed = backup.pack(tmp_path / "keys", b"sesame")
    for path in (tmp_path / "keys").iterdir():
        scalar, _ = keyfile.decode(path.read_bytes(), path.stem, None)
        assert scalar not in packed


def test_a_file_that_is_there_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "backup"
    backup.write_new(path, b"first")
    with pytest.raises(SealError, match="exists"):
        backup.write_new(path, b"second")
    assert path.read_bytes() == b"first"
    assert path.stat().st_mode & 0o777 == 0o600
    assert [*tmp_path.iterdir()] == [path]


def test_a_file_that_cannot_be_written_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_path: Path, _data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "replace", full)
    with pytest.raises(SealError, match="No space"):
        backup.write_new(tmp_path / "backup", b"first")
    assert [*tmp_path.iterdir()] == []
